"""No path leaves the folder: not by dots, not by links, not while somebody swaps them."""

import os
import shutil
import threading
from contextlib import suppress

import pytest
from sansi.base import SansiError
from sansi.sandbox.rooted import RootedFolder


@pytest.fixture(params=[False, True], ids=["openat2", "steps"])
def folder(tmp_path, request):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.txt").write_text("a")
    return RootedFolder(root, step_by_step=request.param)


def test_what_is_inside_is_read_written_and_listed(folder):
    assert (
        folder.read("sub/a.txt") == folder.read("./sub/../sub/a.txt") == folder.read(f"{folder.root}/sub/a.txt") == b"a"
    )
    folder.write("new/deep/b.txt", b"b")
    assert (folder.root / "new" / "deep" / "b.txt").read_bytes() == b"b"
    assert [(each.name, each.kind, each.size) for each in folder.entries("sub")] == [("a.txt", "file", 1)]
    assert {name for name, _ in folder.walk()} == {"sub", "sub/a.txt", "new", "new/deep", "new/deep/b.txt"}
    assert folder.exists("sub/a.txt") and not folder.exists("sub") and not folder.exists("c")


@pytest.mark.parametrize(
    "path", ["../out/secret", "/etc/passwd", "sub/../../out/secret", "/", "a\0b", "..", "~/x/../../.."]
)
def test_a_path_that_leads_out_is_refused(folder, path):
    for use in (folder.read, folder.entries, lambda path: folder.write(path, b"x")):
        with pytest.raises(SansiError):
            use(path)
    assert sorted(os.listdir(folder.root.parent / "out")) == ["secret"]


@pytest.mark.parametrize("target", ["../out", "/etc", "../out/secret"])
def test_a_link_that_leads_out_is_refused(folder, target):
    (folder.root / "link").symlink_to(target)
    for path in ("link", "link/secret", "link/passwd"):
        with pytest.raises(SansiError):
            folder.read(path)
    with pytest.raises(SansiError):
        folder.write("link/secret", b"changed")
    with pytest.raises(SansiError):
        folder.entries("link")
    assert (folder.root.parent / "out" / "secret").read_text() == "secret"


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(folder):
    (folder.root / "link").symlink_to("../out/secret")
    folder.write("link", b"mine")
    assert (folder.root.parent / "out" / "secret").read_text() == "secret"
    assert folder.read("link") == b"mine"


def test_links_of_the_system_are_not_followed(folder):
    (folder.root / "link").symlink_to(f"/proc/self/fd/{os.open('/etc', os.O_RDONLY)}")
    with pytest.raises(SansiError):
        folder.read("link/passwd")


def test_a_hard_link_is_not_written_through(folder):
    os.link(folder.root.parent / "out" / "secret", folder.root / "hard")
    folder.write("hard", b"changed")
    assert (folder.root.parent / "out" / "secret").read_text() == "secret"


def test_a_pipe_is_no_file_and_does_not_hold_us_up(folder):
    os.mkfifo(folder.root / "pipe")
    with pytest.raises(SansiError, match="no ordinary file"):
        folder.read("pipe")


def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(folder):
    """Somebody swaps a folder and a link to the outside as fast as they can."""
    stop = threading.Event()
    inner, link = folder.root / "swap", folder.root / "swap-link"

    def swap() -> None:
        while not stop.is_set():
            with suppress(OSError):  # the writer makes a folder of the same name now and then
                shutil.rmtree(folder.root / "aside", ignore_errors=True)
                inner.mkdir(exist_ok=True)
                inner.rename(folder.root / "aside")
                link.symlink_to("../out")
                link.rename(inner)
                inner.unlink()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            for use in (lambda: folder.read("swap/secret"), lambda: folder.write("swap/planted", b"x")):
                with suppress(SansiError):
                    assert use() is None
    finally:
        stop.set()
        thread.join()
    assert sorted(os.listdir(folder.root.parent / "out")) == ["secret"]


def test_a_mode_is_kept(folder):
    (folder.root / "run.sh").write_text("x")
    (folder.root / "run.sh").chmod(0o777)
    folder.write("run.sh", b"y")
    assert (folder.root / "run.sh").stat().st_mode & 0o777 == 0o777


def test_too_much_is_named(folder):
    with (folder.root / "big").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(SansiError, match=r"1,073,741,824 bytes"):
        folder.read("big")
