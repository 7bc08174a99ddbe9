"""Man pages: escapes, conditions, strings, tables and links of roff as a terminal would show them."""

from __future__ import annotations

import pytest
from sansi.documents.roff import man_to_text

BULLET = ".sp\n.RS 4\n.ie n \\{\\\n\\h'-04'\\(bu\\h'+03'\\c\n.\\}\n.el \\{\\\n.sp -1\n.IP \\(bu 2.3\n.\\}\n%s\n.RE\n"
CASES = {
    "bullets of DocBook": (BULLET % "First item" + BULLET % "Second", "- First item\n\n- Second"),
    "numbers of DocBook": (BULLET.replace("\\(bu", " 1.") % "First", "1. First"),
    "colours": ("a \\m[blue]link\\m[] b\\M[red]c\\M[]", "a link bc"),
    "fonts": ("\\fBa\\fP \\f(CWb\\fR \\f[CB]c\\f[] \\F[H]d\\s-1e\\s0 \\s+2f\\s'14'g\\s[8]h\\s(12i", "a b c de fghi"),
    "listings of pod2man": (".Vb 2\n\\&    use strict;\n\\&    my $x = 1;\n.Ve\n", "```\n    use strict;\n    my $x = 1;\n```"),
    "pod2man's own macros": (
        '.de Vb \\" Begin verbatim text\n.ft CW\n.nf\n.ne \\\\$1\n..\n.de Ve \\" End\n.ft R\n.fi\n..\na\n.Vb 1\n  b c\n.Ve\nd',
        "a\n\n```\n  b c\n```\n\nd",
    ),
    "accents": ("caf\\['e] na\\[:i]ve \\('E \\[oa]ngstr\\(:om \\(,c \\[e aa] \\[vS]", "café naïve É ångström ç é Š"),
    "Unicode": ("\\[u2192] \\[u00E9] \\[u0065_0301] \\N'65' \\[char233] \\C'em'", "→ é é A é —"),
    "overstruck": ("\\o'e\\(aa' \\o\"ab\"", "é a"),
    "Greek and mathematics": ("\\(*a \\(*W \\(<= \\(mu \\(+- \\[if]", "α Ω ≤ × ± ∞"),
    "unknown escapes": ("a\\&b\\|c\\^d\\%e\\/f\\,g\\:h\\kxi\\v'1'j\\X'x'k\\Z'l'", "abcdefghijkl"),
    "spaces": ("a\\ b\\~c\\0d\\h'2n'e", "a b c d e"),
    "a long name": ("\\[rs]n \\(lqx\\(rq \\(aqy\\(aq \\(em", "\\n “x” 'y' —"),
    "links": (".UR http://example.org\nsite\n.UE .\n", "site <http://example.org>."),
    "a bare link": ("See\n.UR http://example.org\n.UE ,\nplease.", "See http://example.org, please."),
    "mail": ("by\n.MT a@example.org\nAnn\n.ME .", "by Ann <a@example.org>."),
    "www.tmac": (".URL http://example.org site .", "site <http://example.org>."),
    "references": (".MR ls 1 ,\nand\n.BR stat (2)", "ls(1), and stat(2)"),
    "synopsis": (".SY ls\n.OP \\-a\n.OP \\-w cols\nfile\n.YS", "ls [-a] [-w cols] file"),
    "examples": (".EX\na  b\n\nc\n.EE\nd", "```\na  b\n\nc\n```\n\nd"),
    "strings": (".ds X one \\\" note\n.ds Y \" two\n.as X  more\n\\*X\\*(--\\*Y \\*[Tm] \\*R", "onemore-- two ™ ®"),
    "registers": (".nr x 3\n.nr x +2\n.if \\nx=5 yes\n.if \\n(.g new\n.nr y 2+3*2\n\\ny", "yes new 10"),
    "conditions": (".if n a\n.if t b\n.if !t c\n.ie 'x'x' d\n.el e\n.ie \\n(zz>0 f\n.el g\n.if d SH h\n.if !d none i", "a c d g h i"),
    "blocks": (".if n \\{\\\na\n.if t \\{\nb\n.\\}\nc\n.\\}\n.el d\n.ie t \\{\ne\n.\\}\n.el \\{\nf\n.\\}\ng", "a c f g"),
    "ignored": (".ig\na\n..\n.ig zz\nb\n.zz\n.EQ\nx over y\n.EN\n.PS\nbox\n.PE\nc\\\" comment\n.\\\" comment\n'\\\" t\n\\# x", "c"),
    "macros": ('.de Xx\n.B "\\\\$1"\nand \\\\$2 of \\\\$*\n..\n.Xx "a b" c', "a b and c of a b c"),
    "a macro that calls itself": (".de Xx\na\n.Xx\n..\nb", "b"),
    "continued": ("a \\\nb\n.B c\\c\nd e\\c\n f", "a b cd ef"),
    "tags": (".TP\n.B \\-a\nAll.\n.TP 4\n\\(bu\nitem\n.TP\n1.\none\n.IP x 3\nmore\n.TP\n.B b\n.TQ\n.B c\nboth", "-a\nAll.\n\n- item\n\n1. one\n\nx\nmore\n\nb\nc\nboth"),
    "headings": (".SH\nname it\n.SS \"Two Words\"\ntext\n.SH \"\"\n", "## name it\n\n### Two Words\n\ntext"),
    "quotes": ('.B a "b c" "d ""e"" f"\n.BR "g h" i', 'a b c d "e" f g hi'),
    "tables": (".TS\nallbox tab(;);\nl l.\nKey;Meaning\n_\n\\fBa\\fP;T{\nfirst\nletter\nT}\n;none\n.TE", "Key | Meaning\na | first letter\n| none"),
    "tables with tabs": (".TS\nl l l\nl s s.\na\tb\tc\n=\nd\n.T&\nl l.\ne\tT{\nf\nT}\n.TE", "a | b | c\nd\ne | f"),
    "lines": ("one\n.br\ntwo\n three", "one\ntwo\nthree"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_man_pages(name: str):
    source, text = CASES[name]
    assert man_to_text(".SH X\n" + source).removeprefix("## X\n\n") == text


def test_a_page_that_calls_itself_without_end_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sansi.documents.roff.MAX_LINES", 1000)
    assert man_to_text(".de Xx\n.Xx\n..\na\n.Xx\nb").startswith("a")


MDOC = r""".Dd January 1, 2020
.Dt GREP 1
.Os
.Sh NAME
.Nm grep
.Nd find lines
.Sh SYNOPSIS
.Nm
.Op Fl abc
.Op Fl Fl color Ns = Ns Ar when
.Op Fl e Ar pattern
.Ar
.Sh DESCRIPTION
The
.Nm
utility reads
.Pq see Xr ed 1 , Dq quickly .
.Oo
.Ar x
.Oc
.Pp
.Bl -tag -width Ds
.It Fl a , Fl Fl all
Every line of
.Pa /etc/passwd .
.It Ev TERM
A name.
.El
.Bl -enum
.It
One.
.It
Two.
.El
.Bd -literal
a  b
.Ed
.Fn strlen "const char *s"
.Lk https://example.org "the site" .
"""
PLAIN = """## NAME

grep — find lines

## SYNOPSIS

grep [-abc] [--color=when] [-e pattern] file ...

## DESCRIPTION

The grep utility reads (see ed(1), “quickly”). [x]

-a, --all
Every line of /etc/passwd.

TERM
A name.

1. One.

2. Two.

```
a  b
```

strlen(const char *s) the site <https://example.org>."""


def test_pages_of_bsd_are_read_too():
    assert man_to_text(MDOC) == PLAIN


@pytest.mark.parametrize("page", [".so man1/other.1\n", ".Dd January 1\n.Sh\n", ""])
def test_links_and_empty_pages_give_nothing(page: str):
    assert man_to_text(page) == ""
