"""Markup to plain text, on fixtures small enough to read."""

from __future__ import annotations

import pytest
from sansi.data.packages.tagged_text import untag
from sansi.documents.html_text import html_to_text, parse_html
from sansi.documents.lines import display_width, join_lines, unwrap
from sansi.documents.roff import man_to_text


def test_html_keeps_text_and_structure_only():
    page = """<html lang="fr"><head><title>No</title><script>no()</script></head><body>
      <div class="navheader"><table><tr><td>Prev</td></tr></table></div>
      <h2>Les   <em>droits</em></h2><p>Premier<br/>second &amp; <a id="x"/>troisième.</p>
      <ul><li>un</li><li><p>deux</p></li><li>trois</li><li>quatre</li></ul>
      <table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>
      <pre>$ ls
  -l</pre></body></html>"""
    assert parse_html(page).language == "fr"
    assert html_to_text(page) == (
        "## Les droits\n\nPremier\nsecond & troisième.\n\n- un\n- deux\n- trois\n- quatre\n\n"
        "a | b\nc | d\n\n```\n$ ls\n  -l\n```"
    )


def test_html_blocks_know_their_article():
    page = '<header><p>Preamble</p></header><article data-number="3"><h2>Three</h2><p>Life.</p></article><p>End</p>'
    assert [(b.text, b.article) for b in parse_html(page).blocks] == [
        ("Preamble", None),
        ("## Three", "3"),
        ("Life.", "3"),
        ("End", None),
    ]


def test_man_page_macros_and_escapes():
    page = r""".\" a comment
.TH LS 1
.de OP
Option: \\fB\\$1
..
.SH 名称
ls \- 列出
目录内容
.SH "SEE ALSO"
.BR stat (2),
.B "file name"
and \fBbold\fP \(lqquoted\(rq \e
.br
next line
.nf
int x;
  int y;
.fi
.TS
l l.
1 2
.TE
.IP \(bu 2
item"""
    assert man_to_text(page) == (
        "## 名称\n\nls - 列出目录内容\n\n## SEE ALSO\n\nstat(2), file name and bold “quoted” \\\nnext line\n\n"
        "```\nint x;\n  int y;\n```\n\n1 2\n\n- item"
    )


@pytest.mark.parametrize("page", [".so man1/other.1\n", ".Dd January 1\n.Sh\n"])
def test_man_links_and_empty_pages_give_nothing(page: str):
    assert man_to_text(page) == ""


def test_headlines_are_headings():
    tagged = "\tThe/at jury/nn praised/vbd it/ppo ./.\n\n\n\tWards/nns-hl protected/vbn-hl\nThe/at jury/nn said/vbd so/rb ./.\n"
    assert untag(tagged) == "The jury praised it.\n\n## Wards protected\n\nThe jury said so."
    quoted = "``/`` Must/md-hl solve/vb-hl it/ppo ''/''\nDallas/np-hl ,/,-hl May/np-hl 1/cd-hl --/-- (/( AP/np )/)\nIt/pps is/bez ./."
    assert untag(quoted) == '## "Must solve it"\n\n## Dallas, May 1 -- (AP)\n\nIt is.'
    run_in = "Cuba/np-hl ./.-hl It/pps was/bedz '/' a/at day/nn '/' of/in rain/nn ./.\nMore/ap ./."
    assert untag(run_in) == "## Cuba.\n\nIt was 'a day' of rain. More."
    titled = "The/at Fulton/np-tl County/nn-tl Jury/nn-tl said/vbd so/rb ./."
    assert untag(titled) == "The Fulton County Jury said so."


def test_untag_puts_punctuation_back():
    tagged = "\n\tThe/at Jury/nn said/vbd ``/`` no/at ''/'' ,/, (/( twice/rb )/) ./.\n"
    tagged += "Why/wrb ?/. ?/.\n\n\tNext/ap 1/2/cd ./.\n"
    assert untag(tagged) == 'The Jury said "no", (twice). Why?\n\nNext 1/2.'


def test_wrapped_lines_join_by_script():
    assert join_lines(["一行", "二行 and", "three", "한국", "어"]) == "一行二行 and three 한국 어"
    assert display_width("ab中") == 4
    assert unwrap("a long enough line\ngoes on\nshort\n\n* item of a list x\n* another", 12) == (
        "a long enough line goes on\nshort\n\n* item of a list x\n* another"
    )


def test_roff_prints_characters_as_others_where_the_page_says_so():
    preamble = ".tr \\(*W-\n.ie n \\{\\\n.    ds -- \\(*W-\n'br\\}\n.el\\{\\\n.    ds -- \\|\\(em\\|\n'br\\}\n"
    assert man_to_text(preamble + ".TH A 1\n.PP\nThe book\\*(--the Camel.\n") == "The book--the Camel."
