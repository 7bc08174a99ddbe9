"""The model's context: results in the room that there is, older ones shortened where it is full, whole texts kept."""

import json
import re

import pytest
from sansi.agents import Agent, Attachment, Observation, Result, Tool, ToolContext, tool
from sansi.agents.loop.conversation import Conversation
from sansi.agents.loop.results import Results
from sansi.agents.observation import head_and_tail
from sansi.agents.tools.read_result import READ_RESULT
from sansi.base import SansiError
from sansi.client import TokenCount, chars_within, estimated_tokens
from sansi.text import Message
from scripted_client import QUESTION, Script, calls, says


class Counting(Script):
    """Counts a token for each four characters, and refuses what does not fit."""

    def __init__(self, *replies, context_length=1000, source="codec"):
        super().__init__(*replies)
        self.context_length, self.source, self.counts = context_length, source, []

    def count_tokens(self, messages, tools, **options):
        self.counts.append(self.tokens(messages))
        return TokenCount(self.counts[-1], self.source)

    def tokens(self, messages):
        return sum(len(m.content) + len(m.reasoning_content or "") for m in messages) // 4

    def complete(self, messages, tools, **options):
        if self.tokens(messages) >= self.context_length:
            raise SansiError("the prompt is too long", code="context_length_exceeded")
        return super().complete(messages, tools, **options)


def pages(size, **fields):
    @tool(max_result_chars=10**6, **fields)
    def page(i: int) -> str:
        """A page."""
        return f"<{i}>" + "x" * size + f"</{i}>"

    return page


def turn(i):
    return calls(json.dumps({"i": i}), name="page")


def notices(events, about):
    return [event for event in events if event.kind == "notice" and event.about == about]


def test_a_long_result_is_cut_to_what_the_context_has_left_and_can_be_read_on():
    client = Counting(
        turn(1),
        lambda messages, *_: calls(json.dumps({"name": named(messages), "find": "</1>"}), name="read_result"),
        says("done"),
        context_length=2000,
    )
    events = list(Agent(client, [pages(50_000)]).stream(QUESTION))
    run = events[-1].run
    seen = run.messages[2].content
    assert seen.startswith("<1>xxx") and seen.endswith("xxx</1>") and len(seen) < 4 * 2000
    assert (client.tokens(run.messages) < 2000) and run.report.results_cut >= 1
    assert run.calls[1].status == "ok" and run.calls[1].observation.endswith("</1>")
    assert "characters 49803 to 50007 of 50007]" in run.calls[1].observation
    assert [spec["function"]["name"] for spec in client.seen[0][1]] == ["page"]
    assert [spec["function"]["name"] for spec in client.seen[1][1]] == ["page", "read_result"]  # once it has a use
    assert notices(events, "result_cut")[0].details["characters"] == 50_007


def named(messages):
    return re.search(r'read_result\(name="([^"]+)"', messages[-1].content)[1]


def test_results_side_by_side_share_the_room():
    client = Counting(calls('{"i": 1}', '{"i": 2}', '{"i": 3}', name="page"), says("done"), context_length=4000)
    run = Agent(client, [pages(50_000)]).run(QUESTION)
    assert client.tokens(run.messages) + 1000 <= 4000
    assert len({len(m.content) for m in run.messages if m.role == "tool"}) == 1


def test_a_tool_is_told_its_room():
    told = []

    @tool
    def look(context: ToolContext) -> str:
        """Look."""
        told.append(context.room)
        return "x"

    Agent(Counting(calls("{}", name="look"), says("x"), context_length=2000), [look]).run(QUESTION)
    Agent(Script(calls("{}", name="look"), says("x")), [look]).run(QUESTION)
    assert 3000 < told[0] < 6000 and told[1] == 20_000


def test_where_the_context_is_full_the_oldest_results_are_shortened_first():
    client = Counting(*[turn(i) for i in range(9)], says("done"), context_length=1600)
    events = list(Agent(client, [pages(550)], loop_breaker=None).stream(QUESTION))
    run = events[-1].run
    assert (run.answer, run.stopped_reason) == ("done", "answer")
    asked = [client.tokens(messages) for messages, *_ in client.seen]
    assert max(asked) + 400 <= 1600  # the reply has its quarter
    results = [m.content for m in client.seen[-1][0] if m.role == "tool"]
    cut = ["left out" in text for text in results]
    assert cut == sorted(cut, reverse=True) and cut[0] and not cut[-1]
    assert results[0].startswith("<0>x") and results[0].endswith("x</0>")
    told = notices(events, "context_trimmed")
    assert told and all(notice.details["after"] < notice.details["before"] for notice in told)
    assert "tokens, now" in told[0].text and told[0].details["counted_by"] == "codec"
    assert run.report.trimmed_tokens > 0
    assert all(now != before for before, now in zip(client.counts, client.counts[1:], strict=False))  # none twice
    assert all(record.observation.count("x") == 550 for record in run.calls)  # the records stay whole


def test_a_shortened_result_can_be_read_whole(tmp_path):
    conversation = Conversation("talk", tmp_path)
    results = Results(conversation)
    short = results.shortened(Message("tool", "a" * 500 + "needle" + "b" * 500, name="page"), 100)
    again = results.shortened(short, 60)
    assert named([short]) == named([again]) and conversation.saved == 1  # one file, however often it is shortened
    context = ToolContext("talk", folder=conversation.folder, room=5000)
    whole = READ_RESULT.call(json.dumps({"name": named([again])}), context).text
    assert "a" * 500 + "needle" + "b" * 500 in whole


def test_where_nothing_is_left_to_shorten_the_run_ends_and_says_so():
    client = Counting(context_length=400)
    events = list(Agent(client, [pages(10)]).stream([{"role": "user", "content": "x" * 1500}]))
    run = events[-1].run
    assert (run.stopped_reason, run.status, client.seen) == ("context", "finished", [])
    assert run.error == (
        "the conversation has 375 tokens and its reply needs 100; the model's context holds 400, and no result is left "
        "to shorten: begin a new conversation"
    )


class Refusing(Script):
    """A server that counts nothing and tells no length; it refuses more than so many characters."""

    def __init__(self, *replies, limit, words="the prompt exceeds the maximum context length"):
        super().__init__(*replies)
        self.limit, self.refused, self.words = limit, 0, words

    def complete(self, messages, tools, **options):
        if sum(len(m.content) for m in messages) > self.limit:
            self.refused += 1
            raise SansiError(f"HTTP 400: {self.words}")
        return super().complete(messages, tools, **options)


def test_where_nobody_counts_a_refusal_is_answered_by_one_try():
    client = Refusing(turn(1), turn(2), says("done"), limit=6000)
    events = list(Agent(client, [pages(4000)]).stream(QUESTION))
    assert events[-1].run.answer == "done" and client.refused == 1
    (told,) = notices(events, "context_trimmed")
    assert told.details["counted_by"] == "estimate" and "(estimated)" in told.text
    assert [len(m.content) < 600 for m in client.seen[-1][0] if m.role == "tool"] == [True, False]


def test_a_refusal_that_names_the_length_is_taken_at_its_word():
    words = "This model's maximum context length is 2000 tokens. However, you requested 5000 tokens"
    client = Refusing(*[turn(i) for i in range(4)], says("done"), limit=6000, words=words)
    run = Agent(client, [pages(1900)]).run(QUESTION)
    assert run.answer == "done" and client.refused == 1
    assert [len(m.content) < 600 for m in client.seen[-1][0] if m.role == "tool"].count(True) >= 2


def test_one_try_and_then_a_clear_end():
    client = Refusing(turn(1), limit=300)
    run = Agent(client, [pages(4000)]).run(QUESTION)
    assert (run.stopped_reason, client.refused) == ("context", 2)
    assert run.error.startswith("the conversation does not fit the model any longer: HTTP 400")


def test_an_error_of_another_kind_shortens_nothing():
    client = Script(turn(1), SansiError("HTTP 500: out of memory"))
    run = list(Agent(client, [pages(4000)]).stream(QUESTION))[-1].run
    assert (run.stopped_reason, run.report.trimmed_tokens) == ("failed", 0)


def test_whole_texts_of_strangers_stay_tainted():
    client = Counting(
        turn(1),
        lambda messages, *_: calls(json.dumps({"name": named(messages)}), name="read_result"),
        says("done"),
        context_length=2000,
    )
    run = Agent(client, [pages(50_000, tainted=True)]).run(QUESTION)
    assert [record.tainted for record in run.calls] == [True, True] and ".tainted." in run.calls[0].whole


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", "0002-page.txt", "."])
def test_read_result_reads_results_alone(tmp_path, name):
    results = Results(Conversation("talk", tmp_path))
    assert results.save("whole", "page", False) == "0001-page.txt"
    seen = READ_RESULT.call(json.dumps({"name": name}), ToolContext("talk", folder=tmp_path / "talk"))
    assert seen.status == "error" and "there is no result" in seen.text and "Traceback" not in seen.text


def test_read_result_pages_through_the_whole_text(tmp_path):
    results = Results(Conversation("talk", tmp_path))
    text = "".join(f"line {i} – 三思\r\n" for i in range(500))
    name, read, offset = results.save(text, "page", False), "", 0
    while offset is not None:
        seen = READ_RESULT.call(
            json.dumps({"name": name, "offset": offset}), ToolContext("talk", room=1500, folder=tmp_path / "talk")
        ).text
        header, piece = seen.split("\n", 1)
        assert len(seen) <= 1500 and estimated_tokens(piece) <= 510
        read += piece
        more = re.search(r"offset=(\d+)", header)
        offset = int(more[1]) if more else None
    assert read == text
    wrong = READ_RESULT.call(json.dumps({"name": name, "offset": 10**9}), ToolContext("talk", folder=tmp_path / "talk"))
    assert "offset must be from 0 to" in wrong.text


def test_files_that_the_text_does_not_name_are_named(tmp_path):
    plot = Attachment("plot.png", "image/png", b"1234")
    draw = Tool.from_function(lambda: Result("drawn", (plot,)), name="draw", description="Draw.")
    run = Agent(Script(calls("{}", name="draw"), says("see")), [draw], folder=tmp_path).run(QUESTION)
    assert run.messages[2].content == "drawn\n[file plot.png: image/png, 4 bytes]"
    assert run.calls[0].attachments == (plot,)


@pytest.mark.parametrize("text", ["", "x" * 5000, "三思" * 3000, "x三" * 2000])
def test_texts_are_cut_to_head_and_tail(text):
    cut = head_and_tail(text, 500, "{cut} left out")
    assert len(cut) <= 530 and (cut == text or (text.startswith(cut[:300]) and text.endswith(cut[-100:])))
    assert estimated_tokens(text[: chars_within(text, 100)]) <= 101


def test_an_observation_says_how_much_was_left_out(tmp_path):
    made = Tool.from_function(lambda: "", name="page", description="A page.", max_result_chars=100)
    fitted = Results(Conversation("talk", tmp_path)).fit(Observation("y" * 1000, "ok"), made, None)
    left = int(re.search(r"\[(\d+) characters left out", fitted.observation.text)[1])
    assert left + fitted.observation.text.count("y") == 1000
    assert (tmp_path / "talk" / "results" / fitted.whole).read_text() == "y" * 1000


def test_a_page_that_names_a_file_of_results_is_not_taken_for_one(tmp_path):
    results = Results(Conversation("c", tmp_path))
    other = results.save("something else " * 100, "shell", False)
    note = f'\n[9 characters left out; read_result(name="{other}") has the whole text]\n'
    page = "A page of strangers." + note + "word " * 400
    short = results.shortened(Message("tool", page, tool_call_id="a", name="fetch"), 400)
    again = results.shortened(short, 300)
    assert (tmp_path / "c" / "results" / "0002-fetch.txt").read_text() == page
    assert '"0002-fetch.txt"' in again.content and not (tmp_path / "c" / "results" / "0003-fetch.txt").exists()
