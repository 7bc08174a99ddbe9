"""Questions in the middle of calls: forms and what may be typed into them, events, time that stands still, nobody."""

from __future__ import annotations

import asyncio
import time

import pytest
from asking_tool import FORM, book
from sansi.agents import Agent, Stop, ToolContext, tool
from sansi.agents.desk import AnswerDesk
from sansi.agents.events import Finished, InputAnswered, InputAsked, Notice
from sansi.agents.forms import Question, Reply
from sansi.base import SansiError
from scripted_client import StreamedScript, says, several

ASKED = [{"role": "user", "content": "Book"}]
FIELDS = {field.name: field for field in Question("s", "?", FORM).fields}
GOOD = {"name": "Ada", "class": "biz", "days": ["mon"]}


@pytest.mark.parametrize(
    "name, typed, value",
    [
        ("name", " Ada ", "Ada"),
        ("seats", "3", 3),
        ("seats", "", 2),
        ("price", "", None),
        ("price", "1.5", 1.5),
        ("window", "Yes", True),
        ("window", "0", False),
        ("class", "Business", "biz"),
        ("class", "2", "biz"),
        ("class", "eco", "eco"),
        ("meal", "Vegan", "v"),
        ("days", "mon, 3", ["mon", "wed"]),
    ],
)
def test_what_is_typed_becomes_the_fields_value(name, typed, value):
    assert FIELDS[name].read(typed) == value


@pytest.mark.parametrize(
    "name, typed, told",
    [
        ("name", "", "“Whose name” must be filled in"),
        ("name", "A", "name"),
        ("seats", "five", "seats"),
        ("seats", "9", "seats"),
        ("window", "perhaps", "“window” is yes or no, not “perhaps”"),
        ("class", "bis", "did you mean"),
        ("days", "mon,sun", "“days” has no choice “sun”"),
    ],
)
def test_what_does_not_fit_is_said_with_field_and_value(name, typed, told):
    with pytest.raises(SansiError) as error:
        FIELDS[name].read(typed)
    assert told in str(error.value)


def test_a_reply_is_fitted_to_the_form_as_a_whole():
    question = Question("s", "?", FORM)
    assert question.fitted(Reply("accept", {**GOOD, "price": None})).content == {**GOOD, "seats": 2}
    assert question.fitted(Reply("decline", GOOD)) == Reply("decline")
    for wrong, told in (({"name": "Ada"}, "class"), ({**GOOD, "nam": "x"}, 'no field "nam"; did you mean "name"')):
        with pytest.raises(SansiError, match="form") as error:
            question.fitted(Reply("accept", wrong))
        assert told in str(error.value)


def test_a_question_is_told_answered_and_its_answer_is_not():
    desk, seen = AnswerDesk(), []
    agent = Agent(StreamedScript(several(("book", {})), says("Done.")), [book], ask=desk.ask)
    for event in agent.stream(ASKED):
        seen.append(event)
        if isinstance(event, InputAsked):
            assert (event.server, event.message, event.schema) == ("travel", "Whom is it for?", FORM)
            with pytest.raises(SansiError, match="form"):  # and it waits on
                desk.answer(event.question, {"action": "accept", "content": {"name": "Ada"}})
            assert desk.answer(event.question, {"action": "accept", "content": GOOD})
    [answered] = [event for event in seen if isinstance(event, InputAnswered)]
    assert answered.action == "accept" and "Ada" not in str(answered.to_json())
    assert '"seats": 2' in seen[-1].run.calls[0].observation and seen[-1].run.report.inputs_declined == 0


def test_where_nobody_is_it_is_declined_and_that_is_said():
    events = list(Agent(StreamedScript(several(("book", {})), says("Done.")), [book]).stream(ASKED))
    [notice] = [event for event in events if isinstance(event, Notice)]
    assert notice.about == "input_declined" and "travel asked the user “Whom is it for?”" in notice.text
    assert events[-1].run.calls[0].observation.startswith("decline") and events[-1].report["inputs_declined"] == 1


def test_no_time_of_the_tool_runs_while_the_user_is_asked():
    @tool(timeout=0.4)
    async def slow(context: ToolContext) -> str:
        """Asks."""
        return (await context.ask(Question("s", "?", {"type": "object"}))).action

    def ask(question):  # a plain function may wait
        time.sleep(1.0)
        return "accept"

    run = Agent(StreamedScript(several(("slow", {})), says("Done.")), [slow], ask=ask).run(ASKED)
    assert (run.calls[0].status, run.calls[0].observation) == ("ok", "accept")


def test_a_tool_that_hangs_after_its_question_is_still_ended():
    @tool(timeout=0.4)
    async def hangs(context: ToolContext) -> str:
        """Asks, and hangs."""
        await context.ask(Question("s", "?", {"type": "object"}))
        await asyncio.sleep(60)
        return "never"

    run = Agent(StreamedScript(several(("hangs", {})), says("Done.")), [hangs], ask=lambda q: "decline").run(ASKED)
    assert run.calls[0].status == "timeout"


def test_a_question_is_over_with_its_run():
    desk, kinds = AnswerDesk(), []
    stop = Stop()
    agent = Agent(StreamedScript(several(("book", {})), says("Never.")), [book], ask=desk.ask)
    for event in agent.stream(ASKED, stop=stop):
        kinds.append(event.kind)
        if isinstance(event, InputAsked):
            stop.set()
        if isinstance(event, Finished):
            assert event.status == "cancelled"
    assert not desk.questions


def test_of_two_answers_the_second_hears_that_nothing_waits():
    async def go():
        desk = AnswerDesk()
        asking = asyncio.create_task(desk.ask(Question("s", "?", {"type": "object"}, id="q")))
        await asyncio.sleep(0)
        assert [desk.answer("q", "accept"), desk.answer("q", "decline")] == [True, False]
        assert (await asking).action == "accept"

    asyncio.run(go())
