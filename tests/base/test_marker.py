"""What somebody else put into a folder is neither deleted nor replaced."""

import os
import stat
from pathlib import Path

import pytest
from sansi.base import SansiError, files
from sansi.base.files import atomic_folder, make_folder, remove_folder, updated_folder, write_text
from sansi.base.marker import DIGESTED_BYTES, MARKER
from sansi.base.runs import RunFolder


def write(target: Path, text: str = "1") -> None:
    with atomic_folder(target) as draft:
        (draft / "a").write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "model")
    return tmp_path / "model"


def refused(folder: Path, words: str) -> None:
    """Neither replacing nor removing happens; the sentence comes before any work."""
    worked = []
    with pytest.raises(SansiError, match=words), atomic_folder(folder):
        worked.append(1)
    assert not worked
    with pytest.raises(SansiError, match=words):
        remove_folder(folder)
    assert [name for name in os.listdir(folder.parent) if name.startswith(".")] == []


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    for name in ("b", "thesis.txt", "a", "notes.md"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text("dear")
    refused(tmp_path / "mine", r"Sansi did not write \(a, b, notes\.md and 1 more\).*choose another folder.*earlier")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"


@pytest.mark.parametrize("marker", ["", "{", "[]", "{}", '{"files": 3}'])
def test_a_damaged_marker_marks_nothing(folder, marker):
    (folder / MARKER).write_text(marker)
    refused(folder, "Sansi did not write")


@pytest.mark.parametrize("name", ["thesis.txt", "sub/deep/thesis.txt", ".hidden"])
def test_a_file_that_somebody_put_there_is_named(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("dear")
    refused(folder, rf"put there.*\({name}\)")
    assert (folder / name).read_text() == "dear" and (folder / "a").read_text() == "1"


def test_links_and_changed_files_are_somebodys_too(folder, tmp_path):
    (tmp_path / "far").mkdir()
    (folder / "link").symlink_to(tmp_path / "far")
    refused(folder, r"\(link\)")
    (folder / "link").unlink()
    (folder / "a").write_text("2")
    refused(folder, r"or changed.*\(a\)")
    (folder / "a").unlink()
    (folder / "a").symlink_to(tmp_path / "far")
    refused(folder, r"\(a\)")


def test_large_files_are_known_by_their_size(tmp_path):
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "weights").write_bytes(bytes(DIGESTED_BYTES + 1))
    os.truncate(tmp_path / "model" / "weights", DIGESTED_BYTES + 2)
    refused(tmp_path / "model", r"\(weights\)")


def test_what_file_managers_leave_is_nobodys(folder):
    (folder / ".DS_Store").write_text("x")
    (folder / "empty").mkdir()
    write(folder, "2")
    assert sorted(os.listdir(folder)) == [MARKER, "a"]


def test_an_empty_folder_is_filled_and_a_copy_can_be_replaced(folder, tmp_path):
    import shutil

    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "2")
    shutil.copytree(folder, tmp_path / "copy")
    write(tmp_path / "copy", "2")
    assert (tmp_path / "empty" / "a").read_text() == (tmp_path / "copy" / "a").read_text() == "2"


@pytest.mark.parametrize("name", ["thesis.txt", "sub/thesis.txt"])
def test_a_file_that_comes_while_the_work_goes_on_joins_the_new_folder(folder, name):
    with atomic_folder(folder) as draft:
        (draft / "a").write_text("2")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("dear")
    assert (folder / name).read_text() == "dear" and (folder / "a").read_text() == "2"
    refused(folder, name)


def test_a_file_that_comes_while_the_folder_is_closed_joins_the_new_folder(folder, monkeypatch):
    close = files._write_marker

    def late(draft: Path, entries: dict[str, object]) -> None:
        (folder / "thesis.txt").write_text("dear")
        close(draft, entries)

    monkeypatch.setattr(files, "_write_marker", late)
    write(folder, "2")
    assert (folder / "thesis.txt").read_text() == "dear" and (folder / "a").read_text() == "2"


def test_a_file_that_comes_while_the_work_goes_on_is_not_replaced(tmp_path):
    with pytest.raises(SansiError, match="a came there"), atomic_folder(tmp_path / "new") as draft:
        (draft / "a").write_text("ours")
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "a").write_text("dear")
    assert (tmp_path / "new" / "a").read_text() == "dear" and os.listdir(tmp_path) == ["new"]


def test_a_file_that_comes_at_the_last_moment_joins_the_new_folder(folder, monkeypatch):
    put = files.place

    def late(workspace: Path, target: Path, deletable: list[str]) -> None:
        (target / "sub").mkdir(exist_ok=True)
        (target / "sub" / "thesis.txt").write_text("dear")
        put(workspace, target, deletable)

    monkeypatch.setattr(files, "place", late)
    write(folder, "2")
    assert (folder / "sub" / "thesis.txt").read_text() == "dear" and (folder / "a").read_text() == "2"


def test_a_link_to_a_folder_stays_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    write(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink() and (folder / "a").read_text() == "2"
    (tmp_path / "dangling").symlink_to(tmp_path / "disk" / "new")
    write(tmp_path / "dangling", "3")
    assert (tmp_path / "dangling").is_symlink() and (tmp_path / "disk" / "new" / "a").read_text() == "3"
    (folder / "thesis.txt").write_text("dear")
    refused(tmp_path / "link", r"thesis\.txt")


def test_links_in_a_draft_lead_nowhere_else(tmp_path):
    (tmp_path / "mine").write_text("dear")
    (tmp_path / "mine").chmod(0o600)
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "link").symlink_to(tmp_path / "mine")
    write(tmp_path / "model")
    assert (tmp_path / "mine").read_text() == "dear" and stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o600


def test_places_that_can_not_be_replaced_are_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    for target, words in ((tmp_path / "file", "is a file where"), (tmp_path / "file" / "sub", "file is a file, so")):
        with pytest.raises(SansiError, match=words), atomic_folder(target):
            pytest.fail("worked")
    with pytest.raises(SansiError, match=r"mount point.*folder inside it"), updated_folder(Path("/proc")):
        pytest.fail("worked")
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "volume")
    with pytest.raises(SansiError, match=r"mount point.*folder inside it"), atomic_folder(tmp_path / "volume"):
        pytest.fail("worked")
    with pytest.raises(SansiError, match="is a folder where a file"):
        write_text(tmp_path / "volume", "text")


def test_a_name_as_long_as_the_disk_allows(tmp_path):
    for name in ("三" * 80, "x" * 250):
        write(tmp_path / name)
        write(tmp_path / name, "2")
        write_text(tmp_path / name / "b" / name, "text")
    assert len(os.listdir(tmp_path)) == 2


def test_a_process_that_stands_in_the_folder_stands_in_the_new_one(folder, monkeypatch):
    (folder / "sub").mkdir()
    (folder / "sub" / "thesis.txt").write_text("dear")
    for here in (folder, folder / "sub"):
        monkeypatch.chdir(here)
        with updated_folder(Path(".." if here != folder else ".")) as draft:
            (draft / "b").write_text("2")
        assert os.getcwd() == str(here) and (folder / "b").read_text() == "2"
    monkeypatch.chdir(folder)
    (folder / "sub" / "thesis.txt").unlink()
    write(Path("."), "3")
    assert os.listdir(".") and Path("a").read_text() == "3"


def test_nothing_is_made_below_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    for act in (write_text, lambda path, _: RunFolder(path), lambda path, _: make_folder(path)):
        with pytest.raises(SansiError, match=r"file is a file, so there can be no folder in it"):
            act(tmp_path / "file" / "a" / "b", "text")
    for wrong in (None, 3, b"x"):
        with pytest.raises(SansiError, match="is given by its path"):
            RunFolder(wrong)
    with pytest.raises(SansiError, match="is a file where a folder"):
        make_folder(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SansiError, match="is a device or a pipe"):
        write_text(tmp_path / "pipe", "text")


def test_a_private_folder_stays_private(folder):
    folder.chmod(0o700)
    write(folder, "2")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_update_replaces_its_own_files_and_keeps_the_others(folder, tmp_path):
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "sub" / "thesis.txt").write_text("dear")
    (folder / "link").symlink_to("sub/thesis.txt")
    (folder / "old-1").write_text("1")
    inode = (folder / "sub" / "thesis.txt").stat().st_ino
    with updated_folder(folder, supersedes=lambda name: name.startswith("old-")) as draft:
        assert list(draft.iterdir()) == []
        (draft / "b").write_text("2")
    assert (folder / "sub" / "thesis.txt").stat().st_ino == inode and (folder / "sub" / "empty").is_dir()
    assert (folder / "link").read_text() == "dear" and not (folder / "old-1").exists()
    assert (folder / "a").read_text() == "1" and (folder / "b").read_text() == "2"
    with pytest.raises(SansiError, match=r"\(link, sub/thesis\.txt\)"):
        write(folder)
    (folder / "link").unlink()
    (folder / "sub" / "thesis.txt").unlink()
    write(folder, "3")  # all that is left in it was written by Sansi
    assert sorted(os.listdir(folder)) == [MARKER, "a"]


def test_an_update_copies_where_the_disk_can_not_link(folder, monkeypatch):
    def no_links(*_: object, **__: object) -> None:
        raise OSError("not supported")

    (folder / "thesis.txt").write_text("dear")
    (folder / "link").symlink_to("thesis.txt")
    monkeypatch.setattr(os, "link", no_links)
    with updated_folder(folder) as draft:
        (draft / "b").write_text("2")
    assert (folder / "thesis.txt").read_text() == "dear" and os.readlink(folder / "link") == "thesis.txt"


@pytest.mark.parametrize("theirs_is_folder", [False, True])
def test_an_update_does_not_put_a_file_in_the_place_of_a_folder(folder, theirs_is_folder):
    theirs = folder / "x" / "thesis.txt" if theirs_is_folder else folder / "x"
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("dear")
    with pytest.raises(SansiError, match="move it away"), updated_folder(folder) as draft:
        ours = draft / "x" if theirs_is_folder else draft / "x" / "a"
        ours.parent.mkdir(exist_ok=True)
        ours.write_text("ours")
    assert theirs.read_text() == "dear"
