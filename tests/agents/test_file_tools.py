"""The tools of files: what a model reads, what a user is asked, and that no other folder is reached."""

import json

import pytest
from sansi.agents.showing import visible
from sansi.agents.tools import files
from sansi.agents.tools.files import Files
from sansi.base import SansiError
from sansi.sandbox.rooted import RootedFolder


@pytest.fixture
def call(tmp_path):
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("one\ntwo\nthree\ntwo\n")
    (root / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (root / "data.bin").write_bytes(b"\0\1\2")
    (tmp_path / "secret").write_text("secret")
    by_name = {tool.name: tool for tool in Files(root).tools()}

    def call(name, **arguments):
        return by_name[name].call(json.dumps(arguments))

    call.root, call.tools = root, by_name
    return call


def test_looking_and_changing_are_told_apart(call):
    effects = {name: next(iter(tool.effects)) for name, tool in call.tools.items()}
    assert effects == {
        "list_files": "read",
        "read_file": "read",
        "search_files": "read",
        "write_file": "write",
        "edit_file": "write",
    }


def test_listing(call):
    assert call("list_files").text == "data.bin  3 bytes\nimage.png  10 bytes\nsrc/"
    assert "src/a.py  18 bytes" in call("list_files", deep=True).text
    assert "not there" in call("list_files", path="none").text


def test_reading_by_lines(call):
    assert call("read_file", path="src/a.py").text == "one\ntwo\nthree\ntwo\n"
    assert call("read_file", path="src/a.py", first_line=2, lines=2).text == "[lines 2 to 3 of 4]\ntwo\nthree\n"
    assert "has 4 lines; there is no line 9" in call("read_file", path="src/a.py", first_line=9).text
    assert "count from 1" in call("read_file", path="src/a.py", first_line=0).text
    assert call("read_file", path="image.png").attachments[0].media_type == "image/png"
    assert "is no text" in call("read_file", path="data.bin").text
    assert "is a folder" in call("read_file", path="src").text


def test_searching(call):
    assert call("search_files", text="two").text == "src/a.py:2: two\nsrc/a.py:4: two"
    assert call("search_files", text="TWO").text == "[nothing found]"
    assert "src/a.py:2" in call("search_files", text="TWO", ignore_case=True).text


def test_searching_does_not_enter_what_is_skipped(call, monkeypatch):
    for name in ("node_modules/deep", "src/.git", "open"):
        (call.root / name).mkdir(parents=True)
        (call.root / name / "a.txt").write_text("needle")
    entered = []
    entries = RootedFolder.entries
    monkeypatch.setattr(RootedFolder, "entries", lambda self, path=".": entered.append(path) or entries(self, path))
    assert call("search_files", text="needle").text == "open/a.txt:1: needle"
    assert sorted(entered) == [".", "open", "src"]
    assert call("search_files", text="needle", path="node_modules/deep").text  # asked for by name
    assert "node_modules/deep/a.txt:1" in call("search_files", text="needle", path="node_modules/deep").text


def test_a_folder_that_may_not_be_read_costs_only_itself_and_a_bound_is_told(call, monkeypatch):
    entries = RootedFolder.entries

    def closed(self, path="."):
        if path == "src":
            raise SansiError('"src" may not be read')
        return entries(self, path)

    monkeypatch.setattr(RootedFolder, "entries", closed)
    (call.root / "a.txt").write_text("needle")
    assert call("search_files", text="needle").text == "a.txt:1: needle"
    assert "may not be read" in call("search_files", text="needle", path="src").text
    monkeypatch.setattr(files, "MOST_WALKED", 2)
    assert call("search_files", text="needle").text.endswith(
        "[only the first 2 names were looked at; search a folder of it]"
    )


def test_an_edit_of_several_lines_in_a_file_of_windows_is_counted(call):
    (call.root / "w.txt").write_bytes(b"a\r\nb\r\n")
    assert call("edit_file", path="w.txt", old="a\nb", new="c").text == "changed w.txt: 1 place, 1 line now"
    (call.root / "w.txt").write_bytes(b"a\nb\r\na\nb\r\na\r\nb\r\n")  # of both kinds: those that change are counted
    assert call("edit_file", path="w.txt", old="a\nb", new="c").text == "changed w.txt: 1 place, 5 lines now"


def test_writing_shows_its_difference_first(call):
    arguments = {"path": "src/a.py", "content": "one\n2\nthree\ntwo\n"}
    assert call.tools["write_file"].shown(arguments).splitlines()[2:] == [
        "@@ -1,4 +1,4 @@",
        " one",
        "-two",
        "+2",
        " three",
        " two",
    ]
    assert (call.root / "src" / "a.py").read_text().startswith("one\ntwo")  # asking changes nothing
    assert call("write_file", **arguments).text == "replaced src/a.py: 4 lines"
    assert call("write_file", **arguments).text == "src/a.py is as it was: 4 lines, the same text"
    assert call("write_file", path="new/b.txt", content="x").text == "wrote new/b.txt: 1 line"
    assert (call.root / "new" / "b.txt").read_text() == "x"


def test_editing_takes_one_piece_that_is_there(call):
    assert "+TWO" in call.tools["edit_file"].shown({"path": "src/a.py", "old": "one\ntwo", "new": "one\nTWO"})
    assert "2 times" in call("edit_file", path="src/a.py", old="two", new="2").text
    assert "does not stand" in call("edit_file", path="src/a.py", old="four", new="4").text
    assert "with these spaces" in call("edit_file", path="src/a.py", old="one  two", new="4").text
    assert call("edit_file", path="src/a.py", old="two", new="2", every=True).text.startswith(
        "changed src/a.py: 2 places"
    )
    assert (call.root / "src" / "a.py").read_text() == "one\n2\nthree\n2\n"


def test_editing_keeps_the_line_ends_of_the_file(call):
    (call.root / "dos.txt").write_bytes(b"a\r\nb\r\nc\r\n")
    assert call("edit_file", path="dos.txt", old="a\nb", new="a\nB").status == "ok"
    assert (call.root / "dos.txt").read_bytes() == b"a\r\nB\r\nc\r\n"


def test_a_file_that_is_no_utf_8_is_not_edited(call):
    (call.root / "latin.txt").write_bytes(b"caf\xe9 old")
    assert "is not UTF-8" in call("edit_file", path="latin.txt", old="old", new="new").text
    assert (call.root / "latin.txt").read_bytes() == b"caf\xe9 old"


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "src/../../secret", "link/secret", "\ud800"])
def test_no_path_leaves_the_folder(call, path, tmp_path):
    (call.root / "link").symlink_to("..")
    for name, more in (("read_file", {}), ("write_file", {"content": "x"}), ("edit_file", {"old": "s", "new": "x"})):
        assert call(name, path=path, **more).status in ("error", "invalid_arguments")
    assert call("list_files", path=path).status in ("error", "invalid_arguments")
    assert (tmp_path / "secret").read_text() == "secret"
    assert call.tools["write_file"].shown({"path": path, "content": "x"}).startswith(visible(f"--- a/{path}\n")), (
        "as asked for"
    )


def test_large_differences_are_whole():
    many = [f"line {number}" for number in range(30_000)]
    shown = files.diff("a", "", "\n".join([*many, "rm -rf /"])).splitlines()
    assert shown[:4] == ["--- a/a", "+++ b/a", "@@ -1,0 +1,30001 @@", "+line 0"] and shown[-1] == "+rm -rf /"
    changed = files.diff("a", "\n".join(many), "\n".join([*many[:5], "x", *many[6:]])).splitlines()
    assert changed[2:] == ["@@ -6,1 +6,1 @@", "-line 5", "+x"]
    assert files.diff("a", "\n".join(many), "\r\n".join(many)).splitlines()[2:] == []


def test_without_a_folder_it_says_so():
    class Nothing:
        folder = None

    with pytest.raises(SansiError, match="folder of the user's"):
        files.tools(Nothing())
