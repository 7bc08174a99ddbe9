"""`/attach` and --attach: a copy of the user's file where the model's code can open it, and nowhere else."""

import json

import pytest
from agent_setup import setup_of, talk
from sansi.agents.toolset import Toolset
from sansi.base.errors import SansiError
from sansi.sandbox import best_rung
from sansi.serve.terminal.agent.attach import attach
from scripted_client import calls, says


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "my data.csv"
    file.write_text("a,b\n1,2\n")
    return file


def test_a_copy_gets_a_name_that_is_free(data, tmp_path):
    folder = tmp_path / "session"
    told = [attach(data, folder, ["code_interpreter"]) for _ in range(2)]
    assert told[0] == "[Attached: my_data.csv (8 B), in the working folder of code_interpreter]"
    assert "my_data-2.csv" in told[1]
    assert (folder / "code_interpreter" / "my_data.csv").read_text() == data.read_text()


def test_a_link_that_code_has_left_is_not_followed(data, tmp_path):
    place, mine = tmp_path / "session" / "code_interpreter", tmp_path / "mine.txt"
    place.mkdir(parents=True)
    mine.write_text("mine")
    (place / "my_data.csv").symlink_to(mine)
    (place / "my_data-2.csv").symlink_to(tmp_path / "absent")
    assert "my_data-3.csv" in attach(data, tmp_path / "session", ["code_interpreter"])
    assert mine.read_text() == "mine" and not (tmp_path / "absent").exists()


def test_what_can_not_be_attached_is_one_sentence(data, tmp_path, monkeypatch):
    for file, tools, words in (
        (data, ["calculator"], "--tools code_interpreter"),
        (tmp_path / "absent.csv", ["code_interpreter"], "no such file"),
        (tmp_path, ["code_interpreter"], "no such file"),
    ):
        with pytest.raises(SansiError, match=words):
            attach(file, tmp_path / "session", tools)
    monkeypatch.setattr("sansi.serve.terminal.agent.attach.MOST_BYTES", 4)
    with pytest.raises(SansiError, match="--folder"):
        attach(data, tmp_path / "session", ["code_interpreter"])
    assert not (tmp_path / "session").exists()


def test_code_opens_what_was_attached(data, tmp_path):
    try:
        best_rung()
    except SansiError as error:
        pytest.skip(str(error))
    with Toolset(["code_interpreter"]) as toolset:
        code = json.dumps({"code": "print(open('my_data.csv').read().split()[1])"})
        replies = calls(code, name="code_interpreter"), says("Done.")
        setup = setup_of(tmp_path / "sessions", *replies, mode="yolo", tools=toolset.all())
        shown = talk(setup, f"/attach {data}", "What is in it?")[1]
    [asked] = [message.content for message in setup.client.seen[0][0] if message.role == "user"]
    assert asked.startswith("What is in it?\n\n[Attached: my_data.csv (8 B), in")
    assert "1,2" in shown and "Attached: my_data.csv" in shown
