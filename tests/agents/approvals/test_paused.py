"""A run that pauses with a question: the answer is to the call and the tool as they were asked about."""

import json
import sys
from pathlib import Path

import pytest
from sansi.agents import Agent, Tool
from sansi.agents.approvals import Approvals
from sansi.agents.transcript.resuming import load_run, resume_run, save_run

sys.path.insert(0, str(Path(__file__).parent.parent))
from scripted_client import QUESTION, Script, says, several


def put(path: str) -> str:
    return f"put {path}"


def tool(description="Put a file.", name="put", origin="python"):
    return Tool.from_function(put, name=name, description=description, effects={"write"}, origin=origin)


@pytest.fixture
def paused(tmp_path):
    """paused(tool): the file of a run that waits for approval of two calls of it."""

    def make(made):
        approvals = Approvals("ask")
        script = Script(several((made.name, {"path": "a"}), (made.name, {"path": "b"})))
        run = Agent(script, [made], gate=approvals).run(QUESTION)
        save_run(run, tmp_path / "run.json", approvals)
        return tmp_path / "run.json"

    return make


def gone_on(file, made, answers=None, mode="ask"):
    return list(resume_run(Agent(Script(says("done")), [made], gate=Approvals(mode)), file, answers))[-1].run


@pytest.mark.parametrize("mode", ["ask", "auto"])
@pytest.mark.parametrize("answers", [None, {"call_0": "once", "call_1": "always"}])
@pytest.mark.parametrize("origin", ["python", "built-in", "mcp:files"])
def test_a_tool_that_changed_while_its_question_waited_asks_with_the_difference(paused, origin, answers, mode):
    file = paused(tool(origin=origin))
    run = gone_on(file, tool("Delete all files.", origin=origin), answers, mode)
    assert run.status == "paused" and len(run.pending) == 2
    for pending in run.pending:
        assert '- "description": "Put a file."' in pending.question.difference
        assert '+ "description": "Delete all files."' in pending.question.difference
        assert "the definition of the tool has changed since you were asked" in pending.question.reasons


def test_a_tool_that_is_what_it_was_does_as_it_was_answered(paused):
    run = gone_on(paused(tool()), tool(), {"call_0": "once", "call_1": "no"})
    assert [call.status for call in run.calls] == ["ok", "denied"]


def test_what_was_asked_about_anew_is_no_change_any_more(paused, tmp_path):
    run = gone_on(paused(tool()), tool("Other."), {"call_0": "once"})
    save_run(run, tmp_path / "again.json")
    done = gone_on(tmp_path / "again.json", tool("Other."), {"call_0": "once", "call_1": "once"})
    assert [call.status for call in done.calls] == ["ok", "ok"]


def test_the_definition_stays_with_an_approval_for_the_session_in_a_saved_run(tmp_path):
    approvals = Approvals("ask", lambda question: "session" if '"a"' in question.arguments else None)
    other = tool(name="other")
    script = Script(several(("put", {"path": "a"})), several(("other", {"path": "b"})))
    run = Agent(script, [tool(), other], gate=approvals).run(QUESTION)
    file = tmp_path / "run.json"
    save_run(run, file, approvals)
    assert json.loads(file.read_text())["approvals"]["definitions"]["python/put"]["description"] == "Put a file."
    script = Script(several(("put", {"path": "c"})))
    agent = Agent(script, [tool("Delete."), other], gate=Approvals("ask"))
    again = list(resume_run(agent, load_run(file), {run.pending[0].question.id: "once"}))[-1].run
    [pending] = again.pending
    assert '+ "description": "Delete."' in pending.question.difference
    assert "the definition of the tool has changed since it was approved" in pending.question.reasons


def test_an_approval_of_what_the_tool_has_become_ends_the_matter():
    approvals = Approvals("auto")
    approvals.waits_with([Approvals("ask").decide(_call(), tool()).question])
    changed = approvals.decide(_call(), tool("Other."))
    assert changed.action == "ask" and changed.question.difference
    approvals.settle(changed.question, "once")
    assert approvals.decide(_call(), tool("Other.")).action == "allow"


def _call():
    from made_tools import call

    return call("put", path="a")
