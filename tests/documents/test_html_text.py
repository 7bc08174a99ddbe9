"""HTML as a browser reads it: nothing glued, nothing lost, nothing that is hidden."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.documents.html_text import html_to_text, parse_html

CASES = {
    # end tags that may be left out, and broken markup
    "no </head>": ("<!doctype html><html><head><title>T</title><body><h1>A</h1><p>text", "# A\n\ntext"),
    "no <body>": ("<title>T</title><h1>A</h1>text", "# A\n\ntext"),
    "no </p>, </li>": ("<p>one<p>two<ul><li>a<li>b</ul>", "one\n\ntwo\n\n- a\n- b"),
    "no </dt>": ("<dl><dt>word<dd>meaning<dt>other<dd>sense</dl>", "word\n\nmeaning\n\nother\n\nsense"),
    "crossed tags": ("<p><b>one <i>two</b> three</i> four", "one two three four"),
    "stray end tags": ("<p>one</b></div></span> two", "one two"),
    "unclosed quote": ('<p>one<a href="x>two</p><p>three"></a> four', "one four"),
    "text in a table": ("<table>lost<tr><td>a<td>b</table>", "lost\n\na | b"),
    "unclosed comment": ("<p>one</p><!-- two <p>three</p>", "one"),
    # raised and lowered text
    "power": ("<p>about 10<sup>6</sup> people, 10<sup>-3</sup>", "about 10^6 people, 10^-3"),
    "formula": ("<p>x<sup>2</sup> + e<sup>x+1</sup>, (a+b)<sup>n</sup>", "x^2 + e^{x+1}, (a+b)^n"),
    "lowered": ("<p>H<sub>2</sub>O, log<sub>2</sub>8, x<sub>n</sub>, x<sub>ij</sub>", "H₂O, log₂8, x_n, x_{ij}"),
    "ordinals": ("<p>the 1<sup>st</sup>, 3<sup>e</sup>, M<sup>me</sup> X<sup>®</sup>", "the 1st, 3e, Mme X®"),
    "notes": ('<p>fact<sup><a href="#1">[1]</a></sup> other<sup>*</sup>', "fact[1] other*"),
    "raised words": ("<p>one <sup>two</sup> three", "one two three"),
    # borders of words
    "unknown elements": ("<p><x-a>one</x-a><x-b>two</x-b>!", "one two!"),
    "details": ("<details><summary>Title</summary>Body</details>", "Title\n\nBody"),
    "rules": ("<p>one<hr>two", "one\n\ntwo"),
    "forms": ("<form><label>Name</label><button>Go</button></form>end", "Name\n\nGo\n\nend"),
    "options": ("<select><option>One<option>Two</select>", "One\n\nTwo"),
    "inline": ("<p>w<b>or</b>d <span>o</span><span>k</span><wbr>ay", "word okay"),
    "links side by side": ("<div><a>Home</a><a>About</a></div>", "Home About"),
    "struck out": ("<p>was <s>$10</s><b>$5</b>, <del>6</del><ins>7</ins>", "was $10 $5, 7"),
    "block style": ('<p><span style="display:block">one</span><span style="display: block">two</span>', "one\n\ntwo"),
    "line breaks": ("<p>one<br>two<br><br>three", "one\ntwo\n\nthree"),
    "white space": ("<p> one\n\t two&nbsp;&nbsp;three  <b> four</b>", "one two three four"),
    "soft hyphens": ("<p>hy&shy;phen", "hyphen"),
    # what is hidden or no text
    "hidden": ("<p hidden>no</p><p style='display:none'>no</p><p style='visibility: hidden'>no</p><p>yes", "yes"),
    "hidden to some": ("<p>yes<span aria-hidden=true>no</span>", "yes"),
    "scripts": ("<script>no()</script><style>no{}</style><template>no</template><noscript>no</noscript><p>yes", "yes"),
    "comments": ("<p>o<!-- no -->ne<![CDATA[no]]>", "one"),
    "media": ("<video>no</video><iframe>no</iframe><svg><text>no</text></svg><p>yes", "yes"),
    "other classes": ("<p class='tocsin'>yes</p><div class='toc'>no</div>", "yes"),
    # entities
    "entities": ("<p>&lt;b&gt; &amp;amp; &eacute;&#233;&#xe9; &copy 5 &euro;", "<b> &amp; ééé © 5 €"),
    # lists
    "nested lists": ("<ul><li>a<ol><li>b<li>c</ol><li>d</ul>", "- a\n  1. b\n  2. c\n- d"),
    "numbers": ("<ol start=3><li>c<li value=7>g<li>h</ol>", "3. c\n7. g\n8. h"),
    "paragraphs in an item": ("<ul><li><p>one</p><p>two</p><li>three</ul>", "- one\n\n  two\n\n- three"),
    "a listing as an item": ("<ul><li><pre>x\n y</pre><li>b</ul>", "- ```\n  x\n   y\n  ```\n- b"),
    "two lists": ("<ul><li>a</ul><ul><li>b</ul>", "- a\n\n- b"),
    # tables
    "empty cells": ("<p>T</p><table><tr><th>A<th>B<th>C<tr><td><td>2<td><tr><td>3</table>", "T\n\nA | B | C\n| 2 |\n3"),
    "spans": ("<table><tr><td rowspan=2>a<td colspan=2>b<tr><td>c<td>d</table>", "a | b |\n| c | d"),
    "caption": ("<table><caption>Sales</caption><tr><td>a<td>b</table>", "Sales\n\na | b"),
    "blocks in a cell": ("<table><tr><td><p>a</p><p>b</p><td>c</table>", "a b | c"),
    "layout": ("<table><tr><td><table><tr><td>a<td>b</table><td><p>c</table>", "a | b\n\nc"),
    "one column": ("<table><tr><td>one<tr><td>two</table>", "one\n\ntwo"),
    "hidden rows and cells": ("<table><tbody hidden><tr><td>no<td>no<tbody><tr><td>a<td hidden>no<td>c</table>", "a | c"),
    "forms with text": ("<form><textarea>one\ntwo</textarea><p>three</form>", "one two\n\nthree"),
    "two tables": ("<table><tr><td>a<td>b</table><table><tr><td>c<td>d</table>", "a | b\n\nc | d"),
    # listings
    "listing": ("<pre>\n  a\n\n    b  \n</pre>", "```\n  a\n\n    b\n```"),
    "language": ('<pre><code class="language-c++">x;</code></pre>', "```c++\nx;\n```"),
    "fences in a listing": ("<pre>```\nx\n```</pre>", "````\n```\nx\n```\n````"),
    "lines as blocks": ("<pre><div>a</div><div>b</div><span>c</span><br>d</pre>", "```\na\nb\nc\nd\n```"),
    "code in a line": ("<p>the <code>ls  -l</code> of it", "the ls -l of it"),
    # more
    "quotation": ("<p>a <q>b</q> c", "a “b” c"),
    "ruby": ("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字", "漢(kan)字"),
    "formulas": (
        "<p>with<math><semantics><mi>x</mi><annotation encoding='application/x-tex'>x^2</annotation></semantics></math>.",
        "with x^2.",
    ),
    "fractions": ("<p>1<sup>1</sup>/<sub>2</sub> cups, <sup>3</sup>&frasl;<sub>4</sub>", "1 1/2 cups, 3/4"),
    "controls": ("<p>Name<input>Age<input type=submit>.", "Name Age."),
    "shown formulas": (
        "<p><math><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup><mo>=</mo><mfrac><mn>1</mn><mrow><mi>a</mi><mo>+</mo>"
        "<mn>10</mn></mrow></mfrac><msubsup><mi>x</mi><mi>i</mi><mn>12</mn></msubsup><msqrt><mn>2</mn></msqrt></math>",
        "m c^2 = 1/(a + 10) x_i^12 √(2)",
    ),
    "formulas for MathJax": ("<p>so<script type='math/tex'>x^2</script> <script type='math/tex; mode=display'>a &lt; b</script>", "so$x^2$ $$a &lt; b$$"),
    "formulas as pictures": (
        "<p>with <span style='display:none'><math><mi>x</mi></math></span><img class='mwe-math-fallback-image-inline' "
        "alt='{\\displaystyle x_{1}^{2}}' src='a.svg'><img src='cat.png' alt='a_cat'>.",
        "with x_{1}^{2}.",
    ),
    "formulas drawn with spans": (
        "<p>is <span class='katex'><span class='katex-mathml'><math><semantics><mi>y</mi><annotation encoding="
        "'application/x-tex'>y_i</annotation></semantics></math></span><span class='katex-html' aria-hidden='true'>yi</span></span>.",
        "is y_i.",
    ),
    "numbers of lines": (
        "<table class='highlighttable'><tr><td class='linenos'><pre>1\n2</pre></td><td class='code'><pre>a\n  b</pre></td></tr></table>"
        "<pre><span class='lineno'>1 </span>c<button>Copy</button></pre>",
        "```\na\n  b\n```\n\n```\nc\n```",
    ),
    "marks beside a heading": ("<h2>Head<a class='headerlink'>¶</a><span class='mw-editsection'>[edit]</span></h2>", "## Head"),
    "the language of a listing": ("<div class='highlight-python notranslate'><div class='highlight'><pre>x</pre></div></div>", "```python\nx\n```"),
    "a heading in one line": ("<h2>one<br>two</h2>", "## one two"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_html(name: str):
    source, text = CASES[name]
    assert html_to_text(source) == text


def test_xhtml_elements_close_themselves_and_cdata_is_text():
    head = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xml:lang="de"><head><script src="a"/><title/></head>'
    page = parse_html(f'{head}<body><div class="x"/><p>one<a id="b"/></p><p><![CDATA[a < b & c]]></p></body></html>')
    assert [block.text for block in page.blocks] == ["one", "a < b & c"] and page.language == "de"


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<div>",
                "<b>",
                "</b>",
                "<table>",
                "<tr>",
                "<td>",
                "</table>",
                "<li>",
                "<ul>",
                "<sup>",
                "</sup>",
                "<sub>",
                "<pre>",
                "</pre>",
                "<br>",
                "<!--x-->",
                "<h2>",
                "</div>",
            ]
        ),
        max_size=30,
    ),
    st.integers(0, 9),
)
def test_no_word_is_lost_or_glued_whatever_the_tags(tags: list[str], seed: int):
    words = [f"word{number}q" for number in range(len(tags) + 1)]
    source = words[0] + "".join(f"{tag} {word} " for tag, word in zip(tags, words[1:], strict=True))
    text = html_to_text(f"<body>{source}</body>")
    for word in words:
        assert text.count(word) == 1


def test_deep_pages_are_read():
    assert html_to_text("<div>" * 3000 + "deep" + "</div>" * 3000) == "deep"
