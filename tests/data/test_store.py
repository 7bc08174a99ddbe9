"""Documents and ledgers in Parquet files: what goes in comes out, and the same content gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.data import store
from sansi.data.documents import Document, text_sha256
from sansi.data.ledger import Balance, Dropped, Entry, Quarantined

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def made(text: str, **changes: object) -> Document:
    return Document("s/1", "s", "CC0-1.0", "prose", "en", None, 0.5, text_sha256(text), text, **changes)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(
    st.lists(st.builds(made, TEXTS, metadata=st.dictionaries(TEXTS, TEXTS, max_size=3), signals=st.just({"a": 1.5})))
)
def test_documents_come_back(tmp_path_factory: pytest.TempPathFactory, documents: list[Document]):
    path = tmp_path_factory.mktemp("store") / "a.parquet"
    assert store.write_documents(path, documents) == len(documents) == store.rows_of(path)
    assert list(store.read_documents(path)) == documents
    first = path.read_bytes()
    store.write_documents(path, documents)
    assert path.read_bytes() == first


def test_rows_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "GROUP_ROWS", 3)
    path = tmp_path / "a.parquet"
    store.write_documents(path, [made(str(n)) for n in range(8)])
    assert [document.text for document in store.read_rows(path, [7, 0, 3, 2])] == ["7", "0", "3", "2"]
    assert store.columns_of(path, ["text", "size"])["text"] == list("01234567")
    with pytest.raises(SansiError, match="no row 8; it has 8"):
        list(store.read_rows(path, [8]))


def test_what_fails_leaves_no_file(tmp_path: Path):
    def documents():
        yield made("one")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        store.write_documents(tmp_path / "a.parquet", documents())
    assert not list(tmp_path.glob("*.parquet"))


def test_damaged_and_missing_files_are_told(tmp_path: Path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(SansiError, match=r"a\.parquet: not what Sansi wrote"):
        list(store.read_documents(tmp_path / "a.parquet"))
    with pytest.raises(SansiError, match="no such file"):
        store.rows_of(tmp_path / "b.parquet")


def test_a_ledger_comes_back_and_balances(tmp_path: Path):
    entries = [
        Entry.of("s/1", "read", None, sha256="00", size=3, language="en"),
        Entry.of("s/2", "read", Dropped("too short", 12.0)),
        Entry.of("s/3", "read", Quarantined("crash", "signal 11")),
    ]
    store.write_entries(tmp_path / "a.parquet", entries)
    assert list(store.read_entries(tmp_path / "a.parquet")) == entries
    balance = Balance.of(entries, read=3)
    balance.check("s")
    assert (balance.kept, balance.dropped["too short"], balance.quarantined["crash"]) == (1, 1, 1)
    with pytest.raises(SansiError, match=r"4 records were read, and 3 are accounted for \(1 kept, 1 dropped"):
        Balance.of(entries, read=4).check("s")
