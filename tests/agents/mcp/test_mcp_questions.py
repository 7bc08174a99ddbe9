"""What servers tell and ask in the middle of calls: bounded, cleaned, and never more of one user than of another."""

import asyncio
import contextvars

import pytest

pytest.importorskip("mcp", reason="the extra `agents` is not installed")

import mcp_types as types
from sansi.agents.forms import Reply
from sansi.agents.mcp import calls as calls_module
from sansi.agents.mcp.calls import MOST_QUESTIONS, Calls
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.connection import _words
from sansi.agents.mcp.deadline import Deadline
from sansi.agents.mcp.definitions import Caller
from sansi.agents.mcp.http import Client
from sansi.agents.mcp.results import resource_result
from sansi.agents.mcp.traffic import Traffic
from sansi.base import SansiError


def form(message="Sure?", **properties):
    return types.ElicitRequestFormParams(message=message, requested_schema={"type": "object", "properties": properties})


async def asked_in(conversation, calls, asked, times):
    """The actions that come of so many questions, while a call of the conversation runs."""

    async def ask(question):
        asked.append(question)
        return Reply("accept")

    with calls.running(Caller(ask=ask, conversation=conversation), Deadline(10, 10)):
        # A question comes by the task that reads, which knows of no call.
        reading = [asyncio.create_task(calls.elicit(form()), context=contextvars.Context()) for _ in range(times)]
        return [(await each).action for each in reading]


def test_a_conversation_does_not_use_up_the_questions_of_another():
    async def go():
        asked, calls = [], Calls("x", Traffic(), lambda question: asked.append(question) or Reply("accept"))
        with calls.running(Caller(conversation="b"), Deadline(10, 10)):
            first = await asked_in("a", calls, asked, MOST_QUESTIONS + 1)
            again = await asked_in("a", calls, asked, 1)
        assert (first, again) == (["accept"] * MOST_QUESTIONS + ["decline"], ["accept"])

    asyncio.run(go())


@pytest.mark.parametrize(
    ("property", "told"),
    [
        ({"type": "string", "title": "x" * 200_000}, "characters long"),
        ({"type": "number", "default": float("inf")}, "cannot be written as JSON"),
        ({"type": "string", "minLength": -1}, "is not a schema"),
    ],
)
def test_a_form_that_nobody_could_fill_in_is_declined_and_told(property, told):
    async def go():
        asked, traffic = [], Traffic()
        calls = Calls("x", traffic, None)

        async def ask(question):
            asked.append(question)
            return Reply("accept")

        with calls.running(Caller(ask=ask), Deadline(10, 10)):
            bad = await calls.elicit(form(a=property))
            good = await calls.elicit(form("\x1b[2J" + "y" * 200_000, a={"type": "string"}))
        assert (bad.action, good.action) == ("decline", "accept")
        assert [len(question.message) < 11_000 and "\x1b" not in question.message for question in asked] == [True]
        assert "declined as its form" in traffic.oddities[0] and told in traffic.oddities[0]

    asyncio.run(go())


def test_news_of_progress_are_one_short_line():
    assert _words(1, 2, "\x1b[2Jstep\n1") == "step 1 (1 of 2)"
    assert len(_words(1, None, "x" * 10_000)) < 400
    assert _words(1, None, "\u200b") == "1"


@pytest.mark.parametrize("transport", ["stdio", "auto"])
def test_a_command_is_spoken_to_over_stdio(transport):
    assert ServerConfig("x", command="x", transport=transport).transport == "stdio"


@pytest.mark.parametrize(
    ("fields", "needs"),
    [({"command": "x", "transport": "sse"}, "a url"), ({"url": "http://x", "transport": "stdio"}, "a command")],
)
def test_a_transport_that_does_not_fit_is_refused(fields, needs):
    with pytest.raises(SansiError, match=f'MCP server "x": the transport ".*" needs {needs}'):
        ServerConfig("x", **fields)


def test_a_call_is_no_notification_whatever_its_arguments_say():
    """A notification may be lost; a call whose address cannot be reached must say so."""

    async def go():
        call = {
            "jsonrpc": "2.0",
            "id": 5,
            "method": "tools/call",
            "params": {"arguments": {"method": "notifications/x"}},
        }
        news = {"jsonrpc": "2.0", "method": "notifications/x"}
        url = "http://127.0.0.1:9/"
        async with Client(ServerConfig("x", url=url), Traffic()) as client:
            answers = [await client.send(client.build_request("POST", url, json=sent)) for sent in (call, news)]
        assert [answer.status_code for answer in answers] == [503, 202]
        assert "cannot be reached" in answers[0].json()["error"]["message"]

    asyncio.run(go())


def test_files_have_names_that_are_nothing_else():
    def named(uri):
        blob = types.BlobResourceContents(uri=uri, mime_type="text/plain\x1b[2J", blob="eA==")
        (file,) = resource_result(types.ReadResourceResult(contents=[blob])).files
        return file.name, file.media_type

    assert named("memo://a/..") == ("text-1.txt", "text/plain")
    assert named("memo://a/b\u202egnp.\x1b[2Jexe") == ("bgnp.exe", "text/plain")
    assert len(named("memo://a/" + "b" * 1000)[0]) == 128


def test_who_gave_up_a_call_is_not_asked_in_the_place_of_another(monkeypatch):
    """Its server may ask late, and before 2026-07-28 does not say for which call."""

    async def go():
        asked, calls = [], Calls("x", Traffic(), None)

        async def waits():
            with calls.running(Caller(conversation="a"), Deadline(10, 10)):
                await asyncio.sleep(60)

        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await asked_in("b", calls, asked, 1) == ["decline"] and not asked
        assert await asked_in("a", calls, asked, 1) == ["decline"]  # b's test call did not say that it was answered
        monkeypatch.setattr(calls_module, "GIVEN_UP_SECONDS", 0)
        assert await asked_in("b", calls, asked, 1) == ["accept"]

    asyncio.run(go())
