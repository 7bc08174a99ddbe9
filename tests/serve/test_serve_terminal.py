"""The chat in a terminal: its commands, fed with a script of lines, and answers for pipes."""

import contextlib
import io
import json

import pytest
from fake_chat import FakeChat
from sansi.base.errors import SansiError
from sansi.serve.terminal import inputs, run
from sansi.serve.terminal.commands import ALIASES, COMMANDS, parse_command
from sansi.text import Message, ToolCall, ToolCallDelta
from scripted_terminal import KEEP_DRAFT, Script, roles, talk

# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_question_is_answered_and_remembered():
    terminal, shown = talk("What is 12 + 30?", "And then?")
    assert shown.count("It is 42") == 2 and "thought 5 tokens, ended by itself" in shown
    assert roles(terminal) == ["user", "assistant"] * 2


def test_plain_text_tells_the_thought_from_the_answer():
    _, shown = talk("What is 12 + 30?")
    header, thought, closing, _, answer = [line.strip() for line in shown.splitlines()][1:6]
    assert (header, thought, answer) == ("thinking…", "12 + 30 is 42.", "It is 42")
    assert closing == "end of thought" and "\x1b" not in shown


def test_the_thought_is_dimmed_and_the_answer_is_not():
    _, shown = talk("What is 12 + 30?", colour=True)
    assert "\x1b[2m12 + 30 is 42." in shown and "\x1b[2mIt" not in shown


def test_the_cut_is_told_without_counting_the_closing_phrase():
    assert "thought 2 tokens, cut at the budget" in talk("/budget 2", "a")[1]


def test_an_answer_cut_at_the_token_limit_says_so():
    chat = FakeChat()
    assert "token limit" not in talk("a", chat=chat)[1]
    chat.finish_reason = "length"
    assert "cut at the token limit" in talk("a", chat=chat)[1]


def test_a_refused_question_comes_back_as_a_draft_and_the_conversation_goes_on():
    terminal, shown = talk("a", "x" * 2000, "b")
    assert "error: the messages are longer" in shown and shown.count("error") == 1
    assert roles(terminal) == ["user", "assistant"] * 2
    assert terminal._read.seen == ["", "", "x" * 2000, ""]


def test_a_bug_does_not_take_the_conversation_with_it():
    chat = FakeChat()
    terminal, _ = talk("a", chat=chat)
    chat.fail_at = 1
    terminal._read = Script(["b"])
    terminal.run()
    assert roles(terminal) == ["user", "assistant"]
    assert "error: RuntimeError: secret detail" in terminal.console.file.getvalue()


@pytest.mark.parametrize("colour", [False, True])
def test_ctrl_c_stops_the_answer_and_keeps_what_was_said(colour):
    chat = FakeChat(delay=0.01)
    chat.interrupt_at = 6  # after a thought of five words, within the answer
    terminal, shown = talk("a", "/budget 7", chat=chat, colour=colour)
    assert "stopped" in shown and "budget: 7" in shown and chat.cancelled == 1
    (_, turn) = terminal.conversation.turns
    assert turn.stopped and turn.message.reasoning_content == "12 + 30 is 42." and turn.message.content == "It "


def test_a_stopped_answer_can_be_asked_for_again():
    chat = FakeChat(delay=0.01)
    chat.interrupt_at = 2
    terminal, _ = talk("a", chat=chat)
    chat.interrupt_at = None
    terminal._read = Script(["/r"])
    terminal.run()
    (_, turn) = terminal.conversation.turns
    assert not turn.stopped and turn.message.content == "It is 42"


@pytest.mark.parametrize(("stopped_at", "part", "before"), [(2, "thought", "12 + "), (6, "answer", "12 + 30 is 42.")])
def test_a_stopped_answer_can_be_gone_on_with(stopped_at, part, before):
    chat = FakeChat(delay=0.01)
    chat.interrupt_at = stopped_at
    terminal, _ = talk("a", chat=chat)
    chat.interrupt_at, chat.thought, chat.content = None, "more ", "end"
    terminal._read = Script(["/continue", "/continue"])
    terminal.run()
    (messages, options), (_, turn) = chat.seen[-1], terminal.conversation.turns
    assert options.continue_final == part and messages[-1].reasoning_content == before and len(chat.seen) == 2
    assert turn.message.reasoning_content == before + "more " and turn.message.content.endswith("end")
    assert not turn.stopped


def test_ctrl_c_twice_at_an_empty_prompt_leaves():
    terminal, shown = talk(KeyboardInterrupt(), "a", KeyboardInterrupt(), KeyboardInterrupt(), "never asked")
    assert len(terminal.chat.seen) == 1 and shown.count("Ctrl-C once more") == 2


# --- commands --------------------------------------------------------------------------------------------------------


def test_mode_and_budget_commands():
    chat = FakeChat()
    talk("/no_think", "a", "/think", "/budget 2", "b", "/auto", "/budget off", "c", "/quit", "never asked", chat=chat)
    options = [(o.enable_thinking, o.thinking_budget) for _, o in chat.seen]
    assert options == [(False, None), (True, 2), (None, None)]


def test_sampling_commands():
    chat = FakeChat()
    talk("/sampling temperature=0.2 top_k=7", "/seed 9", "a", "/sampling top_k=off", "/seed off", "b", chat=chat)
    talk("/sampling min_p=0.1", "/seed 3", "/preset", "a", chat=chat)
    sampling = [(o.temperature, o.top_k, o.min_p, o.seed) for _, o in chat.seen]
    assert sampling == [(0.2, 7, None, 9), (0.2, None, None, None), (None, None, None, 3)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/budget", "usage: /budget"),
        ("/budget -3", "usage: /budget"),
        ("/budget many", "usage: /budget"),
        ("/sampling heat=1", '"heat"'),
        ("/sampling temperature", "temperature=1"),
        ("/sampling temperature=hot", '"hot"'),
        ("/sampling temperature=-1", "temperature"),
        ("/sampling top_k=2.5", "whole number"),
        ("/sampling max_tokens=0", "max_tokens"),
        ("/seed -1", "seed"),
        ("/history all", '"all"'),
        ("/thinkk", 'did you mean "/think"'),
        ("/undo it", "takes nothing"),
        ("/undo", "nothing has been asked"),
        ("/r", "nothing has been asked"),
        ("/edit b", "nothing has been asked"),
        ("/continue", "no answer that was stopped"),
        ("/stats", "no answer"),
        ("/result 3", "no call waits"),
        ("/save", "usage: /save"),
        ("/save talk.txt", ".json"),
        ("/save 'talk.json", "quot"),
        ("/load", "usage: /load"),
        ("/load no/such/file.json", "no/such/file.json"),
        ("/tools no/such/file.json", "no/such/file.json"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(line, words):
    terminal, shown = talk(line)
    (told,) = [text for text in shown.splitlines() if text.startswith("error: ")]
    assert words in told
    assert terminal.options == talk()[0].options and not terminal.conversation.turns and not terminal.chat.seen


@pytest.mark.parametrize("line", ["/no_think why?", "/usr/bin is where?", " /budget 3", "/Think", "1/2", "//"])
def test_what_is_no_command_is_a_message(line):
    chat = FakeChat()
    talk(line, chat=chat)
    assert chat.seen[0][0][-1].content == line.strip()


def test_every_command_is_known_to_the_chat_and_to_the_help():
    terminal, shown = talk("/help")
    for command in COMMANDS:
        assert command.name in shown and command.help in shown
        if command.name != "/exit":
            with contextlib.suppress(SansiError):  # what it needs is missing
                terminal._do(parse_command(command.name))
    assert set(ALIASES.values()) <= {command.name for command in COMMANDS}


def test_a_system_message_goes_first_and_stays():
    chat = FakeChat()
    talk("/system Be brief.\nAlways.", "a", "/new", "b", "/system off", "c", chat=chat)
    asked = [[(m.role, m.content) for m in messages] for messages, _ in chat.seen]
    system = ("system", "Be brief.\nAlways.")
    assert asked == [[system, ("user", "a")], [system, ("user", "b")], [("user", "b"), *asked[2][1:]]]
    assert asked[2][-1] == ("user", "c")


def test_regenerate_edit_undo_and_new():
    chat = FakeChat()
    terminal, _ = talk("a", "b", "/r", "/edit c", "/undo", "/edit", KEEP_DRAFT, chat=chat)
    last = [messages[-1].content for messages, _ in chat.seen]
    assert last == ["a", "b", "b", "c", "a"]
    assert [len(messages) for messages, _ in chat.seen] == [1, 3, 3, 3, 1]
    assert roles(terminal) == ["user", "assistant"]
    assert roles(talk("a", "/new")[0]) == []


def test_a_fixed_seed_is_mentioned_when_asking_again():
    assert "the answer will be the same" in talk("/seed 4", "a", "/r")[1]


def test_stats_tell_the_report():
    _, shown = talk("/budget 2", "a", "/stats")
    for words in ("thinking (decided by: default)", "asked 2, applied 2", "4 more of the closing phrase", "seed 7"):
        assert words in shown, words


def test_history_policy_is_passed_on():
    chat = FakeChat()
    talk("/history keep", "a", chat=chat)
    assert chat.seen[0][1].history == "keep"


class ToolChat(FakeChat):
    """Calls two tools when it is asked, and answers when it has been told."""

    async def _stream(self, options):
        if self.seen[-1][0][-1].role == "tool":
            async for item in super()._stream(options):
                yield item
            return
        calls = (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "add", '{"a": 2}'))
        for i, call in enumerate(calls):
            yield ToolCallDelta(i, call.id, call.name, "")
            yield ToolCallDelta(i, call.id, None, call.arguments)
        result = self._result(options, False, [], False)
        object.__setattr__(result, "message", Message("assistant", "", tool_calls=calls))
        yield result


@pytest.mark.parametrize("colour", [False, True])
def test_calls_are_shown_and_their_results_are_taken(tmp_path, colour):
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    (tmp_path / "tools.json").write_text(json.dumps([tool]))
    chat = ToolChat()
    terminal, shown = talk(f"/tools {tmp_path}/tools.json", "a", "/result 3", "/result 4", chat=chat, colour=colour)
    assert 'call add {"a": 1}' in shown and 'call add {"a": 2}' in shown and "2 of the calls wait" in shown
    assert roles(terminal) == ["user", "assistant", "tool", "tool", "assistant"]
    results = [(m.tool_call_id, m.content) for m in terminal.conversation.messages() if m.role == "tool"]
    assert results == [("c1", "3"), ("c2", "4")] and chat.seen[0][1].tools[0]["function"]["name"] == "add"


# --- typing ----------------------------------------------------------------------------------------------------------


def completed(text):
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from sansi.serve.terminal.prompt import CommandCompleter

    return [found.text for found in CommandCompleter().get_completions(Document(text), CompleteEvent())]


def test_commands_and_what_follows_them_are_completed(tmp_path):
    (tmp_path / "talk.json").write_text("{}")
    assert completed("/bud") == ["/budget"] and completed("/budget 6") == ["64"]
    assert completed("/sampling top_p=1 temp") == ["temperature="] and completed("/history k") == ["keep"]
    assert completed(f"/load {tmp_path}/ta") == ["lk.json"]
    assert completed("bud") == completed("/wings ") == completed("/budget 6\n") == []


def test_the_history_is_private_and_can_do_without_a_disk(tmp_path, monkeypatch):
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from sansi.base.state import state_folder
    from sansi.serve.terminal.prompt import open_history

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert isinstance(open_history(), FileHistory)
    file = tmp_path / "sansi" / "chat_history"
    assert file.stat().st_mode & 0o77 == 0 and file.parent.stat().st_mode & 0o77 == 0
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert isinstance(open_history(), InMemoryHistory)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # the specification says to ignore it
    assert state_folder().is_absolute()


def test_lines_from_a_pipe_can_be_continued(monkeypatch):
    from sansi.serve.terminal.prompt import PlainReader

    monkeypatch.setattr("sys.stdin", io.StringIO("one\\\ntwo\nthree\n"))
    read = PlainReader()
    assert (read(), read()) == ("one\ntwo", "three")
    with pytest.raises(EOFError):
        read()


@pytest.mark.parametrize("field", ["logprobs", "top_logprobs", "return_token_ids", "n", "stream"])
def test_what_a_line_of_a_batch_can_not_tell_is_refused(tmp_path, field):
    from sansi.serve.terminal.inputs import read_batch

    (tmp_path / "lines").write_text(json.dumps({"prompt": "Hi", field: 2 if field in ("n", "top_logprobs") else True}))
    with pytest.raises(SansiError, match=rf'line 1: "{field}"'):
        read_batch(str(tmp_path / "lines"))
    (tmp_path / "lines").write_text(json.dumps({"prompt": "Hi", field: None}))
    assert read_batch(str(tmp_path / "lines"))


# --- answers for pipes -----------------------------------------------------------------------------------------------


def test_a_schema_that_is_no_json_is_to_be_corrected_not_downloaded(tmp_path):
    (tmp_path / "schema.json").write_text('{"type": "object",}')
    with pytest.raises(SansiError, match=r"not valid JSON \(.* at character 19\); correct it there"):
        inputs.read_schema(str(tmp_path / "schema.json"))


def test_a_line_of_a_batch_that_fails_tells_the_code_that_the_api_tells(capsys):
    class Full(FakeChat):
        def stream(self, messages, options):
            raise SansiError("the prompt is too long", param="messages", code="context_length_exceeded")

    body = {"messages": [{"role": "user", "content": "Hi"}]}
    line, request = inputs.BatchLine(1, body), run.read_request(body, "fake", None)
    assert run.run_batch(Full(), [line], [request]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "context_length_exceeded" and error["param"] == "messages"
