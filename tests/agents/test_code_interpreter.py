"""The interpreter and the shell as a model and a user meet them."""

import json
import os
import threading

import pytest
from sansi.agents import ToolContext
from sansi.agents.tools import code_interpreter, files, shell
from sansi.agents.tools.code_interpreter import CodeInterpreter
from sansi.agents.tools.shell import Shell
from sansi.agents.tools.workers import Workers
from sansi.base import SansiError
from sansi.sandbox import Limits, ladder, survey

pytestmark = pytest.mark.skipif(all(survey().values()), reason=f"no sandbox can be had here: {survey()}")


class Workspace:
    def __init__(self, folder):
        self.folder, self.ends = folder, []

    def close_with(self, end):
        self.ends.append(end)


@pytest.fixture
def interpreter(tmp_path):
    interpreter = CodeInterpreter()
    tool = interpreter.tool()

    def call(code, conversation="one", **more):
        context = ToolContext(conversation, folder=tmp_path / conversation)
        return tool.call(json.dumps({"code": code, **more}), context)

    yield call
    interpreter.close()


def test_the_tool_says_what_is_installed_and_shows_its_code():
    tool = CodeInterpreter().tool()
    assert "no network" in tool.description and "numpy 2" in tool.description
    assert list(tool.parameters["properties"]) == ["code", "reset"]
    assert tool.shown({"code": "print(1)\nprint(2)"}) == "print(1)\nprint(2)"
    assert (tool.effects, tool.origin) == ({"execute"}, "built-in")


def test_variables_stay_within_a_conversation_and_do_not_leave_it(interpreter):
    assert interpreter("x = 41").status == "ok"
    seen = interpreter("x + 1")
    assert seen.text.startswith("42\n[sandbox: ") and seen.attachments == ()
    other = interpreter("x", "two")
    assert other.status == "error" and "NameError" in other.text
    assert "NameError" in interpreter("x", reset=True).text


def test_files_that_are_not_handed_out_are_named_with_the_reason(interpreter):
    code = (
        "import os\nos.makedirs('sub/deep')\nopen('sub/deep/a.txt', 'w').write('a')\n"
        "for i in range(20): open(f'f{i:02}.txt', 'w').write('x')\nopen('big.csv', 'wb').write(bytes(5 * 2**20))"
    )
    result = interpreter(code)
    names = [each.name for each in result.attachments]
    assert names == [f"f{i:02}.txt" for i in range(16)]
    assert "big.csv: 5 MiB, and 4 MiB can be handed out" in result.text
    assert "5 further files (f16.txt, f17.txt, f18.txt …): a call hands out 16" in result.text
    assert [each.name for each in interpreter("open('sub/deep/b.txt', 'w').write('b')").attachments] == [
        "sub/deep/b.txt"
    ]


def test_files_that_the_code_makes_are_handed_out_and_stay(interpreter):
    made = interpreter("open('table.csv', 'w').write('a,b')\nopen('page.html', 'w').write('<p>')\nNone")
    assert {(each.name, each.media_type, each.data) for each in made.attachments} == {
        ("table.csv", "text/csv", b"a,b"),
        ("page.html", "text/html", b"<p>"),
    }
    assert "table.csv (3 bytes)" in made.text
    assert interpreter("open('table.csv').read()").text.startswith("'a,b'\n")


def test_a_link_in_a_file_s_place_hands_out_nothing(interpreter):
    made = interpreter("import os\nos.symlink('/etc/passwd', 'a.txt')\nos.mkfifo('b.txt')\nNone")
    assert made.status == "ok" and made.attachments == ()


def test_a_lost_process_is_told_in_the_next_call(interpreter):
    assert "variables are gone, files are kept" in interpreter("import os\nos._exit(1)").text
    assert "[the process of earlier calls was lost" in interpreter("1").text


def test_cancelling_reaches_the_code(tmp_path):
    interpreter = CodeInterpreter()
    context = ToolContext("one", folder=tmp_path)
    threading.Timer(0.3, context.cancelled.set).start()
    assert "it was cancelled" in interpreter.run("while True: pass", context).text
    interpreter.close()


def test_without_a_sandbox_the_model_is_told_one_sentence(interpreter, monkeypatch):
    monkeypatch.setattr(ladder, "_failed", dict.fromkeys(ladder.KINDS, "not here"))
    seen = interpreter("1")
    assert seen.status == "error" and "no sandbox holds here, so no code is run" in seen.text


def test_the_user_s_folder_can_be_read_and_not_changed(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "data.txt").write_text("7")
    workspace = Workspace(shared)
    (tool,) = code_interpreter.tools(workspace)
    assert str(shared) in tool.description
    context = ToolContext("one", folder=tmp_path / "own")
    code = f"import os\nos.chdir({str(shared)!r})\nprint(open('data.txt').read())\nopen('new.txt', 'w')"
    seen = tool.call(json.dumps({"code": code}), context)
    assert "7\nTraceback" in seen.text and "Error" in seen.text.splitlines()[0] and os.listdir(shared) == ["data.txt"]
    for end in workspace.ends:
        end()


def folders(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    return {name: lambda name=name: tmp_path / name for name in names}


def test_workers_used_longest_ago_end(tmp_path):
    workers, places, at = Workers(Limits(), most=2), {}, folders(tmp_path, "abc")
    for name in "abc":
        with workers.of(name, at[name]) as places[name]:
            places[name].run("x = 1")
    with workers.of("c", at["c"]) as again:
        assert again is places["c"]
    with workers.of("a", at["a"]) as other:
        assert other is not places["a"] and other.run("print(1)").fresh  # and that variables are gone is said
    workers.close()


def test_a_worker_that_is_at_work_is_never_ended_for_another(tmp_path):
    workers, at = Workers(Limits(), most=1, patience=0.1), folders(tmp_path, "ab")
    with workers.of("a", at["a"]) as busy:
        busy.run("x = 1")
        with pytest.raises(SansiError, match="in use by 1 other conversation,"), workers.of("b", at["b"]):
            pass
        assert busy.run("print(x)").text == "1\n"
    with workers.of("b", at["b"]) as free:
        assert free.run("print(2)").text == "2\n"
    workers.close()


def test_a_conversation_waits_for_room_and_gets_it(tmp_path):
    workers, at = Workers(Limits(), most=1, patience=30.0), folders(tmp_path, "ab")
    begun, end = threading.Event(), threading.Event()

    def hold():
        with workers.of("a", at["a"]):
            begun.set()
            end.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(20)
    threading.Timer(0.2, end.set).start()
    with workers.of("b", at["b"]) as late:
        assert late.folder == tmp_path / "b"
    holder.join()
    workers.close()


def test_the_shell_works_in_the_user_s_folder(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    workspace = Workspace(tmp_path)
    (tool,) = shell.tools(workspace)
    assert tool.shown({"command": "rm -r x; cat y"}) == f"$ rm -r x; cat y\n(in {tmp_path})"
    assert tool.effects == {"execute", "write"}
    seen = tool.call(json.dumps({"command": "cat a.txt > b.txt; cat b.txt; exit 3"}))
    assert seen.text.startswith("hello\n[exit status 3]\n[sandbox: ") and seen.status == "ok"
    assert (tmp_path / "b.txt").read_text() == "hello"
    assert "cat" in tool.call(json.dumps({"command": "cat /etc/shadow"})).text
    for end in workspace.ends:
        end()


def test_a_shell_out_of_time_keeps_what_it_printed(tmp_path):
    shell = Shell(tmp_path, Limits(seconds=0.5))
    seen = shell.tool().call(json.dumps({"command": "echo begun; sleep 100 & sleep 100"}))
    assert seen.text.startswith("error: stopped after 0.5 seconds\nbegun\n") and seen.status == "error"
    shell.close()


@pytest.mark.parametrize("make", [shell.tools])
def test_tools_that_need_a_folder_say_so(make):
    with pytest.raises(SansiError, match="folder of the user's"):
        make(Workspace(None))


def test_a_home_is_not_shared(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me" / "project").mkdir(parents=True)
    for folder in (tmp_path / "me", tmp_path):
        for make in (shell.tools, files.tools):
            with pytest.raises(SansiError, match="keys included; name a folder in it"):
                make(Workspace(folder))
        (tool,) = code_interpreter.tools(Workspace(folder))
        assert "It may read" not in tool.description
    (tool,) = code_interpreter.tools(Workspace(tmp_path / "me" / "project"))
    assert "project" in tool.description


def test_the_word_on_a_font_cache_is_no_part_of_what_a_plot_prints(interpreter):
    pytest.importorskip("matplotlib")
    code = """
import importlib.util, logging
importlib.util.find_spec("matplotlib.font_manager")
logging.getLogger("matplotlib.font_manager").warning("Matplotlib is building the font cache")
"""
    seen = interpreter(code)
    assert "font cache" not in seen.text and seen.text.startswith("[no output]")
