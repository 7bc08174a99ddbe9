"""PDFs made with known text: what is read is that text, in its order, without what belongs to the page."""

import random
import zlib
from pathlib import Path

import pytest
from pdf_made import pdf, scan
from sansi.documents import Limits
from sansi.documents.document import DocumentError
from sansi.documents.pdf import judge_all, lay_out, read_pages, render_pages
from sansi.documents.pdf.characters import plain
from sansi.documents.pdf.pages import Line, Page
from sansi.documents.pdf.paragraphs import Words, joined

fpdf = pytest.importorskip("fpdf", reason="needs fpdf2, of the extra test")

PROSE = """The river rises in the hills behind the town and runs for forty miles through meadows before it reaches the
sea. In wet years it floods the lower fields, which is why nobody has built there. The mills stood further up, where
the banks are steep and the water is quick; three of them can still be seen, without their wheels. A path follows the
river on its northern side. It is dry in summer, and in winter it is closed after heavy rain.""".replace("\n", " ")
OTHER = """Trade came later. When the bridge was finished, wagons that had gone round by the ford began to stop at the
inn, and a market was held twice a week. The toll paid for the bridge in eleven years. Nobody expected that the
railway, which took the wagons away again, would bring more people than it had cost, but so it was, and the inn was
made larger twice within a generation.""".replace("\n", " ")


def blank(**fields):
    made = fpdf.FPDF(**fields)
    made.set_margin(40)
    made.set_auto_page_break(False)
    made.set_font("Times", size=11)
    return made


def lines_of(made, text, width):
    return made.multi_cell(width, 6, text, dry_run=True, output="LINES")


def read(made, **limits):
    data = made if isinstance(made, bytes) else bytes(made.output())
    return lay_out(read_pages(data, None, Limits(**limits), lines=True).pages)


def test_lines_of_a_paragraph_are_one_line_again():
    made = blank()
    made.add_page()
    for text in (PROSE, OTHER):
        made.multi_cell(120, 6, text)
        made.ln(6)
    assert read(made).pages[0] == (PROSE, OTHER)


def test_headings_and_items_stay_apart():
    made = blank()
    made.add_page()
    made.set_font("Times", "B", 16)
    made.multi_cell(120, 9, "2 The river and its mills", new_x="LMARGIN", new_y="NEXT")
    made.set_font("Times", size=11)
    made.multi_cell(120, 6, PROSE, new_x="LMARGIN", new_y="NEXT")
    items = ["1. A mill of stone that was built in the year of the great flood and given up long ago",
             "2. A mill of wood", "3. A mill of which nothing is left but its foundations beside the path"]  # fmt: skip
    for item in items:
        made.multi_cell(120, 6, item, new_x="LMARGIN", new_y="NEXT")
    assert read(made).pages[0] == ("2 The river and its mills", PROSE, *items)


@pytest.mark.parametrize("by_row", [True, False], ids=["drawn row by row", "drawn column by column"])
def test_columns_are_read_one_after_the_other(by_row):
    made = blank()
    made.set_margin(20)
    made.add_page()
    columns = [lines_of(made, text, 75) for text in (PROSE, OTHER)]
    rows = max(map(len, columns))
    places = [(row, side) for row in range(rows) for side in (0, 1)]
    for row, side in places if by_row else sorted(places, key=lambda place: place[::-1]):
        if row < len(columns[side]):
            made.set_xy(20 + 90 * side, 30 + 6 * row)
            made.cell(75, 6, columns[side][row])
    laid = read(made)
    assert laid.text == f"{PROSE}\n\n{OTHER}"
    assert laid.reordered_pages == by_row


def test_a_heading_over_two_columns_comes_before_both():
    made = blank()
    made.set_margin(20)
    made.add_page()
    made.set_xy(20, 15)
    made.cell(170, 6, "A history of the valley, of its river and of those who lived beside it, in two short parts")
    columns = [lines_of(made, text, 75) for text in (PROSE, OTHER)]
    for row in range(max(map(len, columns))):
        for side in (0, 1):
            if row < len(columns[side]):
                made.set_xy(20 + 90 * side, 30 + 6 * row)
                made.cell(75, 6, columns[side][row])
    assert read(made).text.split("\n\n")[1:] == [PROSE, OTHER]


def test_the_rows_of_a_table_are_no_columns():
    made = blank()
    made.add_page()
    rows = [("Year", "Mills", "Toll"), *((str(1800 + i), str(i % 7), f"{i}.50") for i in range(20))]
    for row in rows:
        for cell in row:
            made.cell(40, 6, cell)
        made.ln(6)
    laid = read(made)
    assert laid.reordered_pages == 0
    words = laid.text.split()
    assert words == [word for row in rows for word in row]


def test_lines_that_are_drawn_in_any_order_are_read_downwards():
    made = blank()
    made.add_page()
    lines = [f"Line {n} of the page says what it says." for n in range(1, 19)]
    places = list(enumerate(lines))
    random.Random(3).shuffle(places)
    for n, line in places:
        made.set_xy(40, 30 + 10 * n)
        made.cell(100, 6, line)
    laid = read(made)
    assert laid.text.replace("\n\n", " ") == " ".join(lines)
    assert laid.reordered_pages == 1


def test_words_that_were_parted_are_whole_and_compounds_keep_their_hyphen():
    made = blank()
    made.add_page()
    for line in ("The settlement had a well-known inn. When the settle-", "ment grew, the inn was no longer so well-",
                 "known as before, but its name, Miller-", "Smith House, was kept by all its owners.", ):  # fmt: skip
        made.cell(100, 6, line, new_x="LMARGIN", new_y="NEXT")
    text = read(made).text.replace("\n\n", " ")
    assert "the settlement grew" in text and "so well-known as before" in text and "Miller-Smith" in text


def some_text(number):
    """Words that no other page has in this order."""
    return " ".join(random.Random(number).sample(f"{PROSE} {OTHER}".split(), 90))


def book(pages=7, running=True):
    made = blank()
    for number in range(1, pages + 1):
        made.add_page()
        if running:
            made.set_xy(40, 15)
            made.cell(100, 6, "A History of the Valley" if number % 2 else f"Chapter {number // 3 + 1}")
            made.set_xy(100, 280)
            made.cell(20, 6, str(number + 10))
        made.set_xy(40, 30)
        made.multi_cell(120, 6, f"{some_text(number)} and so on.")
    return made


def test_running_heads_and_page_numbers_are_left_out():
    laid = read(book())
    assert laid.text == read(book(running=False)).text
    assert laid.running_lines == 14
    assert "History of the Valley" not in laid.text


def test_what_stands_once_stays():
    assert read(book(pages=2)).running_lines == 0
    made = blank()
    for number in range(6):
        made.add_page()
        made.multi_cell(120, 6, f"Part {number} begins here, as each does. {PROSE}")
    assert read(made).text.count("begins here") == 6


def test_a_paragraph_goes_on_over_the_page():
    made = blank()
    first, rest = PROSE.split(" through ", 1)
    for text in (f"{first} through", rest):
        made.add_page()
        made.multi_cell(120, 6, text)
    laid = read(made)
    assert laid.text == PROSE
    assert laid.pages == ((PROSE,), ())


def test_code_keeps_its_lines_and_their_indentation():
    code = "def mean(values):\n    if not values:\n        return None\n    return sum(values) / len(values)"
    made = blank()
    made.add_page()
    made.multi_cell(120, 6, PROSE, new_x="LMARGIN", new_y="NEXT")
    made.set_font("Courier", size=10)
    for line in code.split("\n"):
        made.cell(120, 6, line, new_x="LMARGIN", new_y="NEXT")
    assert read(made).pages[0] == (PROSE, code)


def test_pages_without_lines_and_pages_from_elsewhere():
    pages = [Page("one\r\ntwo", 100, 100), Page("lost", 100, 100), Page(None)]
    laid = lay_out(pages, {1: "found\n\nelsewhere"})
    assert laid.pages == (("one", "two"), ("found", "elsewhere"), ())


def test_hidden_lines_are_left_out_unless_they_are_the_text_of_a_scan():
    lines = (Line("Seen by all.", 10, 90, 80, 10), Line("Seen by nobody.", 10, 90, 60, 10, hidden=True))
    assert lay_out([Page("", 100, 100, lines)]).text == "Seen by all."
    assert lay_out([Page("", 100, 100, lines)]).hidden_lines == 1
    assert "nobody" in lay_out([Page("", 100, 100, lines, pictures=1)]).text


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        ("e\ufb03cient \ufb01eld \ufb02ow o\ufb00", "efficient field flow off"),
        ("a\xa0b\u2003c\u200b\xadd", "a b cd"),
        ("\ufedf\ufee0", "لل"),
        ("½ x² ①", "½ x² ①"),
    ],
)
def test_drawn_forms_become_letters(drawn, text):
    assert plain(drawn) == text


@pytest.mark.parametrize(
    ("before", "after", "parted", "text"),
    [
        ("春天来", "了", False, "春天来了"),
        ("우리는", "간다", False, "우리는 간다"),
        ("CJK 文", "and", False, "CJK 文 and"),
        ("recog", "nise", True, "recognise"),
        ("in 1914-", "1918", False, "in 1914- 1918"),
        ("the end-", "point", False, "the endpoint"),
    ],
)
def test_what_belongs_between_two_lines(before, after, parted, text):
    assert joined(before, after, parted, Words([])) == text


def test_chinese_lines_are_joined_without_spaces():
    lines = ["春天，委员会开了两次会，大多数成员都读过", "报告，有几位还写下了自己的看法：数字正确，", "理由不足。"]
    assert read(pdf(["\n".join(lines)])).text.replace("\n\n", "") == "".join(lines)


def test_arabic_is_read_in_its_order():
    font = Path(pytest.importorskip("matplotlib").__file__).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    made = blank()
    made.add_font("DejaVu", fname=font)
    made.set_font("DejaVu", size=12)
    made.add_page()
    text = "اجتمعت اللجنة مرتين في الربيع"
    made.multi_cell(120, 8, text[::-1], align="R")  # as it is drawn, from left to right
    assert read(made).text.split() == text.split()


# ---- pictures


def test_pages_are_drawn_as_pictures():
    data = bytes(book(3).output())
    pictures = render_pages(data, [2, 0, 9], 400, Limits())
    assert [picture[:4] for picture in pictures] == [b"\x89PNG", b"\x89PNG", b""]
    width, height = (int.from_bytes(pictures[0][at : at + 4], "big") for at in (16, 20))
    assert max(width, height) == 400
    assert len(set(zlib.decompress(pictures[0][41:-16]))) > 10  # greys: something is drawn


# ---- hostile files


def file_of(*objects, trailer="/Root 1 0 R"):
    out = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer << /Size %d %s >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer.encode(), len(out))
    return out + head + table + end


CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def bomb(megabytes):
    """A stream that is small in the file, and zeros of so many megabytes when it is unpacked."""
    packer = zlib.compressobj(9)
    piece = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    other = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece + other * (megabytes - 1) + packer.flush()


def with_contents(stream, filters="/FlateDecode"):
    contents = b"<< /Length %d /Filter %s >>\nstream\n" % (len(stream), filters.encode()) + stream + b"\nendstream"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Contents 4 0 R >>"
    return file_of(CATALOG, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, contents)


HOSTILE = {
    "a tree of pages that is its own child": file_of(CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"),
    "two billion pages": file_of(CATALOG, b"<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>", b"<< /Type /Page >>"),
    "fewer than no pages": file_of(CATALOG, b"<< /Type /Pages /Kids [] /Count -5 >>"),
    "deep arrays": file_of(CATALOG, b"<< /Type /Pages /Kids " + b"[" * 100_000 + b"]" * 100_000 + b" /Count 1 >>"),
    "deep dictionaries": file_of(b"<< /Type /Catalog /Pages " + b"<< /A " * 50_000 + b">> " * 50_000 + b">>"),
    "a table that is its own predecessor": file_of(CATALOG, b"<< /Kids [] /Count 0 >>", trailer="/Root 1 0 R /Prev 9"),
    "a huge page": file_of(
        CATALOG,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 1e9 1e9] >>",
    ),
    "a stream of half a gigabyte": with_contents(bomb(512)),
    "filters in filters": with_contents(zlib.compress(b"x"), "[" + "/FlateDecode " * 2000 + "]"),
    "deep graphics states": with_contents(zlib.compress(b"q " * 500_000 + b"BT ET" + b" Q" * 500_000)),
}


@pytest.mark.slow
def test_a_stream_of_two_gigabytes():
    file = read_pages(with_contents(bomb(2048)), None, Limits(memory=2**30), lines=True)
    assert [verdict.state for verdict in judge_all(file)] != ["ok"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_a_sentence_or_in_verdicts(name):
    limits = Limits(seconds=1, max_pages=20, memory=2**28)
    try:
        file = read_pages(HOSTILE[name], "hostile.pdf", limits, lines=True)
    except DocumentError as error:
        assert "\n" not in str(error) and "hostile.pdf" in str(error)
        return
    assert len(file.pages) <= 20
    assert all(verdict.state in ("empty", "failed") for verdict in judge_all(file)[:20])
    assert lay_out(file.pages).text == ""
    assert len(render_pages(HOSTILE[name], [0], 200, limits)) == 1


def test_a_file_that_is_cut_keeps_what_can_be_read():
    data = bytes(book(6).output())
    for share in (0.3, 0.6, 0.9):
        try:
            file = read_pages(data[: int(share * len(data))], "cut.pdf", Limits(), lines=True)
        except DocumentError as error:
            assert "cut.pdf" in str(error)
        else:
            assert len(judge_all(file)) == file.count


def test_a_page_that_kills_the_reader_costs_no_other(monkeypatch, tmp_path):
    from sansi.documents.pdf import pages

    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, os, sys\n"
        "task = json.loads(sys.argv[1])\n"
        "print(json.dumps({'pages': 5, 'title': ''}))\n"
        "for number in range(task['first'], 5):\n"
        "    if number in (1, 3):\n"
        "        sys.stdout.flush(); os.abort()\n"
        "    print(json.dumps({'text': f'page {number}'}))\n"
        "print(json.dumps({'end': 'all'}))\n"
    )
    monkeypatch.setattr(pages, "_WORKER", worker)
    file = read_pages(b"", None, Limits(), lines=True)
    assert [page.text for page in file.pages] == ["page 0", None, "page 2", None, "page 4"]
    assert [verdict.state for verdict in judge_all(file)] == ["ok", "failed", "ok", "failed", "ok"]


def test_scans_are_pictures_to_be_looked_at():
    verdicts = judge_all(read_pages(scan(3), None, Limits(), lines=True))
    assert [(verdict.state, verdict.reason, verdict.drawn) for verdict in verdicts] == [("empty", "picture", True)] * 3


def test_glyphs_that_no_font_tells_leave_no_control_characters():
    assert plain("majorization |\x0fn| < \x12 1 \x13\tx\x7f\ufffd") == "majorization |n| <  1  x"
