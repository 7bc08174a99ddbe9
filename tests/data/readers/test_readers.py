"""Files of every format to records: nothing lost, nothing twice, whatever the parts; what is broken is told."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.data.documents import BadRecord, Record
from sansi.data.readers import Fields, json_lines, parts_of, warc
from sansi.data.readers import part as reading

sys.path.append(str(Path(__file__).parent))
from archives_made import PAGE, archive, chunked, deflated, packed, record, response

SEVEN = [{"text": f"Text number {n}." + "é" * n} for n in range(7)]


def read(path, format=None, fields=None, part_bytes=10**6) -> list[Record | BadRecord]:
    return [found for part in parts_of(path, format, fields, part_bytes) for found in part.records()]


def lines(path: Path, rows) -> Path:
    path.write_bytes(b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows))
    return path


def bad(found) -> list[tuple[str, str]]:
    return [(one.id, one.reason) for one in found if isinstance(one, BadRecord)]


# --- JSON lines ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 200), st.integers(1, 64), st.booleans())
def test_lines_are_the_same_whatever_the_parts_and_chunks(tmp_path_factory, sizes, part_bytes, chunk, ends):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    rows = [json.dumps({"text": "x" * size + "."}) if size else "" for size in sizes]
    path.write_text("\n".join(rows) + "\n" * ends)
    whole = read(path) if any(rows) else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "CHUNK", chunk)
        parts = parts_of(path, None, None, part_bytes)
        assert [one for part in parts for one in part.records()] == whole
        assert sum(part.size for part in parts) == path.stat().st_size
    assert [one.id for one in whole] == [f"a.jsonl:{number}" for number, row in enumerate(rows, 1) if row]


def test_fields_are_guessed_and_the_rest_is_metadata(tmp_path):
    row = {
        "content": "A text.",
        "url": "https://a.org/",
        "lang": "fr",
        "date": "2021-03-05",
        "license": "CC-BY-4.0",
        "title": "T",
        "score": 0.5,
        "tags": ["a", "b"],
        "metadata": {"author": "Ann", "deep": {"er": 1}},
        "embedding": list(range(900)),
        "none": None,
    }
    (found,) = read(lines(tmp_path / "a.jsonl", [row]))
    metadata = {
        "score": "0.5",
        "tags": '["a", "b"]',
        "author": "Ann",
        "deep.er": "1",
        "left_out": "embedding",
    }
    assert found == Record(
        "a.jsonl:1", "A text.", "text/plain", language="fr", licence="CC-BY-4.0", url="https://a.org/",
        date="2021-03-05", title="T", metadata=metadata,
    )  # fmt: skip


def test_fields_that_are_named(tmp_path):
    rows = [{"id": "x", "page": {"html": "<p>a"}, "text": "not this", "made": 1614902400}, {"page": {"html": "<p>b"}}]
    fields = Fields(text="page.html", id="id", date="made", media_type="text/html")
    first, second = read(lines(tmp_path / "a.jsonl", rows), fields=fields)
    assert (first.id, first.data, first.media_type, first.date) == (
        "x",
        "<p>a",
        "text/html",
        "2021-03-05T00:00:00+00:00",
    )
    assert first.metadata == {"text": "not this"}
    assert second == BadRecord("a.jsonl:2", "id missing", 'no value in the field "id"')


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2021", "2021"),
        ("2021-03-05 10:00:00", "2021-03-05T10:00:00"),
        ("Fri, 05 Mar 2021 10:00:00 GMT", "2021-03-05T10:00:00+00:00"),
        (1614938400000, "2021-03-05T10:00:00+00:00"),
        (1961, "1961"),
        ("last week", None),
        (True, None),
        (float("inf"), None),
    ],
)
def test_dates(value, date):
    from sansi.data.readers.fields import iso_date

    assert iso_date(value) == date


def test_what_is_no_record_is_told_with_its_line(tmp_path):
    rows = [
        {"text": "One."},
        b"\n",
        b'{"text": "cut\n',
        {"other": 1},
        {"text": None, "a": 1},
        {"text": ["a"]},
        {"text": "  "},
        b'{"text": "\xff\xfe"}\n',
        b"[1, 2]\n",
        b'"A text alone."\n',
        {"messages": [{"role": "user", "content": "Hi"}]},
        b'{"text": NaN}\n',
        b"[" * 10000 + b"\n",
        b'{"text": "the last, without an end of line"}',
    ]
    found = read(lines(tmp_path / "a.jsonl", rows), part_bytes=20)
    assert bad(found) == [
        ("a.jsonl:3", "invalid JSON"),
        ("a.jsonl:4", "text missing"),
        ("a.jsonl:5", "text missing"),
        ("a.jsonl:6", "text missing"),
        ("a.jsonl:7", "empty"),
        ("a.jsonl:8", "wrong encoding"),
        ("a.jsonl:9", "invalid JSON"),
        ("a.jsonl:11", "a conversation"),
        ("a.jsonl:12", "invalid JSON"),
        ("a.jsonl:13", "invalid JSON"),
    ]
    assert [one.id for one in found if isinstance(one, Record)] == ["a.jsonl:1", "a.jsonl:10", "a.jsonl:14"]
    assert 'holds no text but ["a"]' in found[4].detail


def test_a_long_line_is_passed_over_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_RECORD_BYTES", 100)
    monkeypatch.setattr(json_lines, "CHUNK", 64)
    rows = [{"text": "a"}, {"text": "x" * 5000}, {"text": "b"}, {"text": "y" * 200}]
    found = read(lines(tmp_path / "a.jsonl", rows), part_bytes=50)
    assert [one.id for one in found] == [f"a.jsonl:{n}" for n in (1, 2, 3, 4)]
    assert bad(found) == [("a.jsonl:2", "too large"), ("a.jsonl:4", "too large")]


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_compressed_lines(tmp_path, ending):
    raw = lines(tmp_path / "raw", SEVEN).read_bytes()
    if ending == "zst":
        import pyarrow

        raw = pyarrow.compress(raw, codec="zstd", asbytes=True)
    else:
        raw = {"gz": gzip, "bz2": bz2, "xz": lzma}[ending].compress(raw)
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(raw + raw)  # several streams in one file, as `cat` makes it
    found = read(path, part_bytes=10)
    assert [one.data for one in found] == [row["text"] for row in SEVEN * 2]
    path.write_bytes(raw[:-9])
    found = read(path)
    assert isinstance(found[-1], BadRecord) and found[-1].reason == "broken file"
    assert len(bad(found)) == 1
    path.write_bytes(b"no such thing")
    assert [one.reason for one in read(path)] == ["broken file"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"messages": []}\n' * 3, "samples for fine-tuning, not documents; make samples of them instead"),
        (b'{"a": 1, "b": 2}\n' * 3, "there are a, b; say which field holds the text"),
        ('{"text": "a"}\n'.encode("utf-16"), "it is in UTF-16"),
    ],
)
def test_a_file_in_which_no_record_can_have_a_text_is_refused(tmp_path, content, said):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(SansiError, match=r"a\.jsonl") as caught:
        parts_of(path)
    assert said in str(caught.value)


# --- Parquet ---------------------------------------------------------------------------------------------------------


def parquet(path: Path, rows, **more) -> Path:
    import pyarrow
    from pyarrow import parquet as columns

    columns.write_table(pyarrow.Table.from_pylist(rows), path, **more)
    return path


def test_row_groups_of_parquet(tmp_path):
    rows = [{"text": f"Row {n}.", "url": f"https://a.org/{n}", "meta": {"n": n}} for n in range(10)]
    rows[4]["text"] = None
    path = parquet(tmp_path / "a.parquet", rows, row_group_size=3)
    whole = read(path)
    assert [one.id for one in whole] == [f"a.parquet:{n}" for n in range(10)]
    assert bad(whole) == [("a.parquet:4", "text missing")]
    assert (whole[9].data, whole[9].url, whole[9].metadata) == ("Row 9.", "https://a.org/9", {"n": "9"})
    parts = parts_of(path, part_bytes=1)
    assert len(parts) == 4 and [one for part in parts for one in part.records()] == whole
    assert parts[1].name == "a.parquet (row groups 1 to 2)"


def test_broken_parquet_is_told(tmp_path):
    path = parquet(tmp_path / "a.parquet", [{"text": "x" * 1000 + str(n)} for n in range(50)], compression="none")
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 50 + data[54:])
    assert bad(read(path))[0][1] == "broken file"
    path.write_bytes(data[: len(data) // 2])
    assert bad(read(path)) == [("a.parquet:0", "broken file")]
    with pytest.raises(SansiError, match=r'no column "text".*it has a, b; say which column'):
        parts_of(parquet(tmp_path / "b.parquet", [{"a": 1, "b": 2}]))


# --- WARC ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [True, False])
def test_pages_of_an_archive_whatever_its_parts(tmp_path, compressed):
    path = tmp_path / ("a.warc.gz" if compressed else "a.warc")
    path.write_bytes(packed(archive(12)) if compressed else b"".join(archive(12)))
    whole = read(path)
    assert [one.data.decode() for one in whole] == [PAGE.format(n) for n in range(12)]
    assert (whole[3].url, whole[3].date) == ("https://example.org/3", "2026-03-01T12:00:00Z")
    assert whole[3].media_type == "text/html; charset=utf-8"
    for part_bytes in (1, 300, 1000, 5000):
        parts = parts_of(path, part_bytes=part_bytes)
        assert [one for part in parts for one in part.records()] == whole
        assert sum(part.size for part in parts) == path.stat().st_size
    assert len(parts_of(path, part_bytes=1)) == 25


def test_an_archive_that_quotes_an_archive_is_cut_where_its_own_records_begin(tmp_path):
    quoted = response("https://a.org/", b"<p>inner")
    records = [response("https://b.org/", b"<pre>\r\n\r\n" + quoted), response("https://c.org/", packed([quoted]))] * 3
    for name, data in (("a.warc", b"".join(records)), ("a.warc.gz", packed(records))):
        (tmp_path / name).write_bytes(data)
        assert [one.url for one in read(tmp_path / name, part_bytes=1)] == ["https://b.org/", "https://c.org/"] * 3


@pytest.mark.parametrize("ending", ["gz", "zst", "xz"])
def test_an_archive_in_one_stream(tmp_path, ending):
    raw = b"".join(archive(5))
    if ending == "zst":
        import pyarrow

        raw = pyarrow.compress(raw, codec="zstd", asbytes=True)
    else:
        raw = gzip.compress(raw) if ending == "gz" else lzma.compress(raw)
    (tmp_path / f"a.warc.{ending}").write_bytes(raw)
    (part,) = parts_of(tmp_path / f"a.warc.{ending}", part_bytes=1)
    assert [one.data.decode() for one in part.records()] == [PAGE.format(n) for n in range(5)]


BODY = b"<html><p>Some text."


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Type: text/html\r\nTransfer-Encoding: chunked", chunked(BODY)),
        ("Content-Type: text/html\r\nContent-Encoding: gzip", gzip.compress(BODY, mtime=0)),
        ("Content-Type: text/html\r\nContent-Encoding: deflate", deflated(BODY)),
        (
            "Content-Type: text/html\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked",
            chunked(gzip.compress(BODY, mtime=0)),
        ),
        ("Content-Type: text/html\r\nContent-Encoding: gzip", BODY),  # stored without, its headers as they were
        ("Content-Type: text/html\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked", BODY),
        ("Server: x", BODY),
    ],
    ids=["chunks", "gzip", "deflate", "both", "not gzip", "not brotli", "nothing said"],
)
def test_content_as_it_was_sent(tmp_path, headers, body):
    (tmp_path / "a.warc").write_bytes(response("https://a.org/", body, headers))
    (found,) = read(tmp_path / "a.warc")
    assert found.data == BODY and found.media_type == "text/html"


def test_what_is_no_page_is_no_record(tmp_path):
    records = [
        response("https://a.org/1", b"moved", status="301 Moved"),
        response("https://a.org/2", b"\x89PNG", "Content-Type: image/png"),
        response("https://a.org/3", b"body {}", "Content-Type: text/css"),
        record("metadata", b"a: b", "Content-Type: text/plain\r\n"),
        record("revisit", b"HTTP/1.1 200 OK\r\n\r\n", "Content-Type: application/http; msgtype=response\r\n"),
        response("https://a.org/4", b"\0\1\2", "Server: x"),
        record(
            "conversion", b"The text of a page.", "WARC-Target-URI: <https://a.org/5>\r\nContent-Type: text/plain\r\n"
        ),
        response("https://a.org/6", b"<p>yes", "content-type: application/xhtml+xml"),
    ]
    (tmp_path / "a.warc.gz").write_bytes(packed(records))
    assert [(one.url, one.data) for one in read(tmp_path / "a.warc.gz")] == [
        ("https://a.org/5", b"The text of a page."),
        ("https://a.org/6", b"<p>yes"),
    ]


def test_broken_members_are_told_and_the_next_are_read(tmp_path):
    members = [gzip.compress(response(f"https://a.org/{n}", BODY * 9), mtime=0) for n in range(6)]
    members[1] = members[1][:40] + b"\xff" * 9 + members[1][49:]  # inside
    members[2] = b"\0\0\0" + members[2][3:]  # its beginning
    members[4] = gzip.compress(record("response", b"HTTP/1.1 200 OK\r\n\r\n", length=500), mtime=0)
    data = b"".join(members)[:-5]
    (tmp_path / "a.warc.gz").write_bytes(data)
    found = read(tmp_path / "a.warc.gz")
    assert [one.url for one in found if isinstance(one, Record)] == ["https://a.org/0", "https://a.org/3"]
    assert [reason for _, reason in bad(found)] == [
        "broken gzip member",
        "broken gzip member",
        "cut record",
        "cut record",
    ][-len(bad(found)) :]
    assert [one for part in parts_of(tmp_path / "a.warc.gz", part_bytes=1) for one in part.records()] == found


def test_records_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(warc, "MAX_RECORD_BYTES", 2000)
    bomb = response("https://a.org/b", gzip.compress(b"x" * 10**6), "Content-Type: text/html\r\nContent-Encoding: gzip")
    records = [response("https://a.org/0", BODY), response("https://a.org/1", b"x" * 5000), bomb]
    for name, data in (("a.warc", b"".join(records)), ("a.warc.gz", packed(records))):
        (tmp_path / name).write_bytes(data)
        assert [reason for _, reason in bad(read(tmp_path / name))] == ["too large", "too large"]


def test_a_plain_archive_with_rubbish_between_its_records(tmp_path):
    good = [response(f"https://a.org/{n}", BODY) for n in range(3)]
    (tmp_path / "a.warc").write_bytes(
        good[0] + b"rubbish\r\nmore\r\n\r\n" + good[1] + b"WARC/1.0\r\nX: y\r\n\r\n" + good[2]
    )
    for part_bytes in (1, 10**6):
        found = read(tmp_path / "a.warc", part_bytes=part_bytes)
        assert [one.url for one in found if isinstance(one, Record)] == [f"https://a.org/{n}" for n in range(3)]
        assert [reason for _, reason in bad(found)] == ["no WARC record", "no WARC record"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_folder_of_mixed_files(tmp_path):
    for name, data in {
        "b/page.html": b"<p>a",
        "a.txt": b"A text.",
        "b/z.py": b"x = 1",
        "ls.1.gz": gzip.compress(b".TH LS 1"),
        "c/.git/config": b"no",
        ".hidden": b"no",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    lines(tmp_path / "b/rows.jsonl", SEVEN)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found = read(tmp_path)
    assert [one.id for one in found] == ["a.txt", "b/page.html", *(f"b/rows.jsonl:{n}" for n in range(1, 8)), "b/z.py",
                                         "link", "ls.1.gz", "pipe"]  # fmt: skip
    assert bad(found) == [("link", "not a file"), ("pipe", "not a file")]
    by_id = {one.id: one for one in found}
    assert (by_id["ls.1.gz"].data, by_id["ls.1.gz"].name) == (b".TH LS 1", "ls.1")
    assert [one.id for one in read(tmp_path, "code")] == ["b/z.py"]
    assert read(tmp_path, "html")[0].media_type == "text/html"
    assert [one.id for one in read(f"{tmp_path}/*/*.py")] == ["b/z.py"]
    assert [one.id for one in read([tmp_path / "b/z.py", tmp_path / "a.txt"])] == ["a.txt", "b/z.py"]
    assert [one.id for one in read(tmp_path / "b/z.py")] == ["z.py"]


def test_small_files_are_grouped(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text("0123456789")
    parts = parts_of(tmp_path, part_bytes=35)
    assert [len(part.paths) for part in parts] == [4, 4, 2]
    assert parts[0].name == "0.txt to 3.txt" and parts[0].size == 40


def test_a_file_that_is_too_large_or_broken(tmp_path, monkeypatch):
    from sansi.data.readers import plain_files

    monkeypatch.setattr(plain_files, "MAX_RECORD_BYTES", 20)
    (tmp_path / "a.txt").write_bytes(b"x" * 21)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"x" * 10**6))
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"x" * 10)[:-3])
    assert [reason for _, reason in bad(read(tmp_path))] == ["too large", "too large", "broken file"]


@pytest.mark.parametrize(
    ("path", "format", "said"),
    [
        ("nowhere", None, "no such file or folder"),
        ("*.nothing", None, "no file matches this pattern"),
        (".", None, "no files are in this folder"),
        (".", "josnl", 'no format "josnl"; did you mean "jsonl"'),
    ],
)
def test_what_is_not_there(tmp_path, path, format, said):
    with pytest.raises(SansiError, match=said):
        parts_of(tmp_path / path, format)


def test_a_folder_without_files_of_the_format(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SansiError, match=r"no file in it ends in .jsonl.*name the files by a pattern"):
        parts_of(tmp_path, "jsonl")
    assert reading.MAX_RECORD_BYTES == 32 * 2**20
