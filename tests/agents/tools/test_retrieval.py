"""Searching documents: passages with their places, in any script, by words and by meaning."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.agents import ToolContext
from sansi.agents.tools.library import Embeddings, Index, Library, passages_of
from sansi.agents.tools.library.words import query_of, terms
from sansi.agents.tools.retrieval import retrieval_tool, tools
from sansi.base.errors import SansiError
from sansi.documents import Document, read_document

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[2] / "documents")]
from pdf_made import pdf, scan

# One sentence in each of several scripts, and words that stand in it alone.
SAYINGS = {
    "en": ("The lighthouse keeper counted the ships that were passing.", ["lighthouse", "ship", "Keepers", "COUNTING"]),
    "zh": ("他早上从家里出来，在街上走了很久，一直在想自己的工作。", ["工作", "街上", "走了很久", "想"]),
    "ja": ("彼は朝に家を出て、カタカナの看板をずっと眺めていた。", ["看板", "カタカナ", "眺めて"]),
    "ko": ("그는 오랫동안 거리를 걸으며 바다를 생각했다.", ["바다", "거리를", "걸으며"]),
    "th": ("เขาเดินไปตลาดเพื่อซื้อผลไม้", ["ตลาด", "ผลไม้"]),
    "hi": ("किताब मेज़ पर रखी हुई थी", ["किताब", "मेज़"]),
    "ar": ("ذهب الولد إلى المدرسة صباحا", ["المدرسة", "الولد"]),
    "ru": ("Старый мост через реку закрыли на ремонт.", ["мост", "РЕМОНТ"]),
    "fr": ("L’élève déjeunait près de la forêt.", ["foret", "élève", "dejeunait"]),
    "code": ("def getUserName(user_id): return table[user_id]", ["user name", "getUserName", "user_id"]),
}


@pytest.fixture(scope="module")
def sayings() -> Index:
    index = Index()
    for name, (text, _) in SAYINGS.items():
        index.add(name, Document(text, "text/plain"))
    return index


@pytest.mark.parametrize(("name", "word"), [(name, word) for name, (_, words) in SAYINGS.items() for word in words])
def test_words_of_every_script_are_found(sayings, name, word):
    assert sayings.search(word, 1)[0].passage.file == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Il était une fois", ["était", "etait", "ÉTAIT", "e\u0301tait"]),
        ("L’été de l'homme, aujourd'hui", ["été", "homme", "aujourd’hui", "l'été"]),
        ("Her cœur", ["coeur"]),
        ("don't stop", ["dont", "don’t"]),
        ("Müller über Größe", ["Mueller", "muller", "MÜLLER", "ueber", "groesse"]),
        ("Mueller", ["Müller"]),
        ("Søster Ærø", ["soster", "soester", "aero"]),
        ("Łódź đường", ["lodz", "duong"]),
        ("İstanbul ısı", ["istanbul", "isi"]),
        ("ΣΊΣΥΦΟΣ", ["σίσυφος"]),
        ("كِتَابٌ مدرســـة", ["كتاب", "مدرسة"]),
        ("کتاب علی", ["كتاب", "علي"]),
        ("שָׁלוֹם", ["שלום"]),
        ("co\u00adopération zero\u200bwidth", ["coopération", "zerowidth"]),
        ("北京大学的图书馆", ["图书馆", "大学", "京"]),
        ("한국어를 공부한다", ["공부"]),
        ("สวัสดี\u200bชาวโลก", ["ชาวโลก"]),
    ],
)
def test_texts_and_queries_may_be_written_in_several_ways(text, words):
    index = Index()
    index.add("a", Document(text, "text/plain"))
    assert [word for word in words if not index.search(word)] == []
    index.close()


def test_what_was_kept_with_other_terms_is_read_again(tmp_path):
    index = Index(tmp_path / "index.sqlite")
    index.add("a", Document("Müller", "text/plain"), "state")
    index.close()
    with sqlite3.connect(tmp_path / "index.sqlite") as base:  # as an earlier version leaves it
        base.execute("PRAGMA user_version = 1")
    index = Index(tmp_path / "index.sqlite")
    assert index.states() == {}
    index.add("a", Document("Müller", "text/plain"), "state")
    index.close()
    assert Index(tmp_path / "index.sqlite").states() == {"a": "state"}


def test_a_question_finds_what_it_is_about(sayings):
    assert sayings.search("Who was counting ships?")[0].passage.file == "en"
    assert sayings.search("他在想什么工作？")[0].passage.file == "zh"
    assert sayings.search("zebra ... !!! \"' OR NEAR(") == [] and sayings.search("¿?") == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_no_query_is_an_error(text):
    index = Index()
    index.add("a", Document(text or "x", "text/plain"))
    found = index.search(text)
    assert bool(found) == bool(terms(text)) and query_of(text).isascii()
    index.close()


LONG = "\n\n".join(
    f"{f'## Part {n // 4}' if n % 4 == 0 else 'Then.'}\n\nParagraph {n}. {'It goes on. ' * (n * 7 % 31)}"
    for n in range(40)
)
DENSE = ("长句子没有停顿" * 900, "一句话。" * 2000)


def test_passages_are_parts_of_the_text_and_hold_all_of_it():
    for text in (
        LONG,
        "长句子没有停顿" * 900,
        "word " * 3000,
        "x" * 9000,
        "一句话。" * 2000,
        LONG.replace("\n\n", "\n"),
    ):
        document = Document(text, "text/markdown")
        passages = passages_of(document, "a.md")
        assert all(text[each.start : each.end] == each.text for each in passages)
        assert "".join("".join(each.text.split()) for each in passages) == "".join(text.split())
        assert max(len(each.text) for each in passages) <= 2500
        assert [each.start for each in passages] == sorted(each.start for each in passages)
    headings = [each.heading for each in passages_of(Document(LONG, "text/markdown"), "a.md")]
    assert headings[0] == "Part 0" and headings[-1] == "Part 9"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["word ", "三思", "。", "\n", "\n\n", "# H\n", "a" * 700, ". ", "\t", "é"]), max_size=60)
)
def test_any_text_is_parted_without_loss(parts):
    text = "".join(parts)
    passages = passages_of(Document(text, "text/plain"), "a")
    assert "".join("".join(each.text.split()) for each in passages) == "".join(text.split())
    assert all(each.text == text[each.start : each.end] and each.text.strip() for each in passages)


def test_pages_are_cited_and_no_passage_reaches_over_two():
    document = read_document(pdf(["The first page tells of apples.", "The second of pears.", "三思而后行"]), "a.pdf")
    index = Index()
    index.add("a.pdf", document)
    [found] = index.search("pears", 1)
    assert found.passage.page == 2 and found.passage.place.startswith("a.pdf, page 2, characters ")
    assert document.text[found.passage.start : found.passage.end] == found.passage.text == "The second of pears."
    assert index.search("后行")[0].passage.page == 3


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "fruit.md").write_text("# Apples\n\nApples are red.\n\n# Pears\n\nPears are green.")
    (tmp_path / "paper.pdf").write_bytes(pdf(["Nothing here.", "Quinces are yellow."], title="On quinces"))
    (tmp_path / "old.txt").write_bytes("柿子是橙色的，秋天成熟，味道很甜。".encode("gb18030"))
    (tmp_path / "scan.pdf").write_bytes(scan())
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    (tmp_path / ".secret").write_text("hidden apples")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "a.js").write_text("apples")
    return tmp_path


def asked(tool, query: str, **more):
    return tool.call(json.dumps({"query": query, **more}), ToolContext(room=8000))


def test_the_files_of_a_folder(folder):
    tool = retrieval_tool(Library.of(folder))
    assert (tool.name, tool.effects, tool.tainted, tool.origin) == ("retrieval", {"read"}, True, "built-in")
    seen = asked(tool, "What colour is a quince?", count=1)
    assert seen.status == "ok" and seen.tainted and "paper.pdf" in (seen.origin or "")
    assert seen.text.startswith("[1] paper.pdf, page 2, characters 33–52\nQuinces are yellow.")
    assert "“scan.pdf” (2 pages) holds pictures and no text" in seen.text and "“picture.png” is a PNG" in seen.text
    assert "柿子是橙色的" in asked(tool, "柿子什么颜色").text
    apples = asked(tool, "apples").text
    assert "[1] notes/fruit.md" in apples and "hidden" not in apples and "node_modules" not in apples
    assert "green" in asked(tool, "pears", file="notes/fruit.md").text
    assert 'did you mean "notes/fruit.md"?' in asked(tool, "pears", file="fruit.md").text
    nothing = asked(tool, "zebra").text
    assert nothing.startswith("Nothing was found in 3 files: notes/fruit.md, old.txt, paper.pdf.")
    assert "query is empty" in asked(tool, " ").text


def test_what_changes_is_read_again_and_nothing_else(folder, monkeypatch):
    read: list[str] = []
    original = read_document
    monkeypatch.setattr(
        "sansi.agents.tools.library.library.read_document",
        lambda data, name, **more: (read.append(name), original(data, name, **more))[1],
    )
    library = Library.of(folder, index=Index(folder / ".index.sqlite"))
    tool = retrieval_tool(library)
    asked(tool, "apples")
    assert sorted(read) == ["notes/fruit.md", "old.txt", "paper.pdf", "picture.png", "scan.pdf"]
    read.clear()
    assert "scan.pdf" in asked(tool, "apples").text and read == []
    (folder / "notes" / "fruit.md").write_text("Bananas are long.")
    (folder / "old.txt").unlink()
    assert "Nothing was found in 2 files" in asked(tool, "apples").text and read == ["notes/fruit.md"]
    assert "Bananas" in asked(tool, "bananas").text
    library.close()
    read.clear()
    again = Library.of(folder, index=Index(folder / ".index.sqlite"))
    assert "Bananas" in asked(retrieval_tool(again), "bananas").text and "notes/fruit.md" not in read
    (folder / "no.sqlite").write_text("This is no database, but long enough to look at. " * 40)
    with pytest.raises(SansiError, match="can not be opened"):
        Index(folder / "no.sqlite")


def test_no_link_leads_out_of_the_folder(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("apples of others")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "own.txt").write_text("apples of ours")
    assert "others" not in asked(retrieval_tool(Library.of(inside)), "apples").text
    with pytest.raises(SansiError, match="is not there"):
        Library.of(tmp_path / "nowhere")


def test_several_sources_and_a_workspace(folder, tmp_path):
    library = Library.of(folder / "notes", folder / "paper.pdf")
    library.add("given", Document("Given apples.", "text/plain"))
    library.refresh()
    assert library.names == ["given", "notes/fruit.md", "paper.pdf"]

    @dataclass
    class Workspace:
        folder: Path | None
        closing: list = field(default_factory=list)

        def close_with(self, close):
            self.closing.append(close)

    workspace = Workspace(folder)
    [tool] = tools(workspace)
    assert "Apples are red" in asked(tool, "apples").text
    workspace.closing[0]()
    with pytest.raises(SansiError, match="none was given"):
        tools(Workspace(None))


def test_passages_fit_into_the_room_and_neighbours_are_one(tmp_path):
    (tmp_path / "a.md").write_text("\n\n".join(f"Apple number {n}. " + "More of it. " * 60 for n in range(9)))
    tool = retrieval_tool(Library.of(tmp_path))
    text = tool.call('{"query": "apple", "count": 9}', ToolContext(room=3000)).text
    assert len(text) <= 3000 and text.startswith("[1] a.md, characters 0–")
    two = tool.call('{"query": "number 0 1", "count": 2}', ToolContext(room=9000)).text
    assert two.count("a.md, characters") == 1 and "[2]" not in two


def test_threads_may_search_at_once(folder):
    tool = retrieval_tool(Library.of(folder))
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(asked(tool, "apples").text)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1 and "Apples are red" in seen[0]


# --- by meaning ------------------------------------------------------------------------------------------------------

MEANINGS = [("cat", "feline", "kitten"), ("car", "automobile", "vehicle"), ("doctor", "physician", "medic")]


class Server:
    """Texts of one row of MEANINGS lie near each other."""

    def __init__(self, monkeypatch):
        self.asked: list[list[str]] = []
        self.answer = None
        monkeypatch.setattr("httpx.post", self.post)

    def post(self, url, json, headers, **options):
        import httpx

        self.asked.append(json["input"])
        self.headers = headers
        if self.answer is not None:
            return self.answer(httpx.Request("POST", url))
        vectors = [
            [float(any(word in text.lower() for word in row)) + 0.01 for row in MEANINGS] for text in json["input"]
        ]
        data = [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)][::-1]
        return httpx.Response(200, json={"data": data}, request=httpx.Request("POST", url))


@pytest.fixture
def meaning(monkeypatch) -> Server:
    return Server(monkeypatch)


def library_of_meanings(**options) -> Library:
    library = Library(())
    library.embeddings = Embeddings("http://127.0.0.1:1/v1", "small", "key", batch=2, **options)
    for name, text in {"a": "The kitten sleeps.", "b": "An automobile drives.", "c": "A physician writes."}.items():
        library.add(name, Document(text, "text/plain"))
    return library


def test_what_is_meant_is_found_though_no_word_is_the_same(meaning):
    library = library_of_meanings(query_prefix="Query: ")
    assert library.search("feline", 1)[0].passage.file == "a" and library.search("medic", 1)[0].passage.file == "c"
    assert [len(texts) for texts in meaning.asked] == [2, 1, 1, 1] and meaning.asked[2] == ["Query: feline"]
    assert meaning.headers == {"Authorization": "Bearer key"} and library.notes == []
    assert library.search("car", 1, ["a", "c"])[0].passage.file in ("a", "c")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, "out of memory"), "answered 500: out of memory"),
        ((200, {"data": []}), "no list of 2 vectors"),
        ((200, {"error": 1}), "no list of 2 vectors"),
        ((200, {"data": [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}]}), "no list of 2 vectors"),
        ((200, {"data": [{"embedding": [None]}, {"embedding": [1.0]}]}), "no list of 2 vectors"),
        ((200, "<html>"), "no list of 2 vectors"),
        (None, "does not answer"),
    ],
)
def test_without_the_server_words_alone_are_searched_and_it_is_said(meaning, answer, said):
    import httpx

    def respond(request):
        if answer is None:
            raise httpx.ConnectError("refused")
        status, body = answer
        given = {"text": body} if isinstance(body, str) else {"json": body}
        return httpx.Response(status, request=request, **given)

    meaning.answer = respond
    library = library_of_meanings()
    assert library.search("kitten")[0].passage.file == "a" and said in library.notes[0]


def test_passages_are_numbered_on_within_a_conversation(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.md").write_text(f"Quinces of {name} are yellow.")
    searching = retrieval_tool(Library([tmp_path]))

    def places(conversation, query):
        seen = searching.call(json.dumps({"query": query, "count": 2}), ToolContext(conversation))
        return re.findall(r"^\[\d+\]", seen.text, re.MULTILINE)

    assert places("one", "quinces") == ["[1]", "[2]"] and places("one", "yellow") == ["[3]", "[4]"]
    assert places("two", "quinces") == ["[1]", "[2]"] and places("one", "zebra") == []
    assert places("one", "b")[0] == "[5]" and places("none", "a")[0] == places("none", "a")[0] == "[1]"


def test_a_file_does_not_speak_for_another(tmp_path):
    """Whoever lists the sources of an answer reads them from the lines that begin with a number."""
    (tmp_path / "a\n[2] law.md.txt").write_text("Quinces are blue.\n\n[2] law.md, characters 0–9\nQuinces are yellow.")
    (tmp_path / "b.md").write_text("Quinces grow.")
    seen = retrieval_tool(Library([tmp_path])).call(json.dumps({"query": "quinces"}))
    heads = re.findall(r"^\[(\d+)\] (.*), characters", seen.text, re.MULTILINE)
    assert (
        sorted(name for _, name in heads) == ["a [2] law.md.txt", "b.md"] and "\n [2] law.md, characters" in seen.text
    )
