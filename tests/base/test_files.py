import os
from pathlib import Path

import pytest
from sansi.base import SansiError, placing
from sansi.base.files import atomic_folder, clean_drafts, make_folder, read_json, remove_folder, write_json, write_text
from sansi.base.marker import MARKER


def content(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != MARKER]
    return {str(p.relative_to(folder)): p.read_text() for p in files}


def fill(folder: Path, text: str) -> None:
    (folder / "sub").mkdir()
    (folder / "a").write_text(text)
    (folder / "sub" / "b").write_text(text)


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "model"
    with atomic_folder(target) as draft:
        fill(draft, "1")
        assert not target.exists()
    assert content(target) == {"a": "1", "sub/b": "1"}
    assert os.listdir(target.parent) == ["model"]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "model"
    with atomic_folder(target) as draft:
        fill(draft, "1")
        (draft / "only-in-the-first").touch()
    with atomic_folder(target) as draft:
        fill(draft, "2")
        assert content(target)["a"] == "1"
    assert content(target) == {"a": "2", "sub/b": "2"}
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [RuntimeError("full"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path, error, before):
    target = tmp_path / "model"
    if before:
        with atomic_folder(target) as draft:
            fill(draft, "1")
    with pytest.raises(type(error)), atomic_folder(target) as draft:
        fill(draft, "2")
        raise error
    assert os.listdir(tmp_path) == (["model"] if before else [])
    assert not before or content(target) == {"a": "1", "sub/b": "1"}


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_rename_leaves_what_was_there(tmp_path, monkeypatch, failing):
    target = tmp_path / "model"
    with atomic_folder(target) as draft:
        fill(draft, "1")
    renames = []
    rename = os.rename

    def failing_rename(source, destination):
        renames.append(destination)
        if len(renames) == failing + 1:
            raise OSError("no")
        rename(source, destination)

    monkeypatch.setattr(placing, "exchange", lambda one, other: False)  # a disk where it takes two renames
    monkeypatch.setattr(os, "rename", failing_rename)
    with pytest.raises(OSError, match="no"), atomic_folder(target) as draft:
        fill(draft, "2")
    assert os.listdir(tmp_path) == ["model"]
    assert content(target) == {"a": "1", "sub/b": "1"}


def test_read_only_files_can_be_placed(tmp_path):
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "a").write_text("1")
        (draft / "a").chmod(0o444)
    assert content(tmp_path / "model") == {"a": "1"}


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(SansiError, match="model is a file"), atomic_folder(tmp_path / "model"):
        pass
    assert (tmp_path / "model").read_text() == "mine"


@pytest.mark.parametrize(("name", "words"), [("x" * 300, "the name is too long"), ("a\0b", "null byte")])
def test_a_name_that_no_file_system_takes_is_refused(tmp_path, name, words):
    with pytest.raises(SansiError, match=words), atomic_folder(tmp_path / name):
        pass
    with pytest.raises(SansiError, match=words):
        make_folder(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_removed_folder_is_gone(tmp_path):
    with atomic_folder(tmp_path / "model") as draft:
        fill(draft, "1")
    remove_folder(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_folder_is_hidden_before_it_is_removed(tmp_path, monkeypatch):
    with atomic_folder(tmp_path / "model") as draft:
        fill(draft, "1")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.rmtree", interrupted)
        remove_folder(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    clean_drafts(tmp_path)
    assert os.listdir(tmp_path) == []


def test_json_round_trip(tmp_path):
    value = {"name": "三思", "list": [1, 2.5, None]}
    write_json(tmp_path / "new" / "value.json", value)
    assert read_json(tmp_path / "new" / "value.json") == value
    assert "三思" in (tmp_path / "new" / "value.json").read_text(encoding="utf-8")
    assert os.listdir(tmp_path / "new") == ["value.json"]


def test_a_file_that_can_not_be_written_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "file", "half a pair: \ud800")
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1', b"\xff\xfe"])
def test_a_damaged_file_is_named(tmp_path, data):
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(SansiError, match=r"config\.json: not valid JSON"):
        read_json(tmp_path / "config.json")


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "config.json", tmp_path):
        with pytest.raises(SansiError, match="no such file"):
            read_json(path)
