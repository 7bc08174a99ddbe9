"""Readers of manuals and messages in many languages, on tiny packages of their shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sansi.data.documents import BadRecord
from sansi.data.packages import wiki_messages
from sansi.data.packages.held_out import EVERY, is_held_out
from sansi.data.packages.mediawiki import HELD_OUT_TOPICS
from sansi.data.packages.translated import translated
from test_package_readers import found, put, read


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("You have '''no''' right to <b>edit</b>&nbsp;this.", "You have no right to edit this."),
        ("{{PLURAL:$1|One page is|$1 pages are}} here.", "{n} pages are here."),
        ("{{PLURAL:$2|0=Nothing|One|Some}} of it.", "Some of it."),
        ("{{GENDER:$1|He|She|They}} left {{GRAMMAR:genitive|{{SITENAME}}}} today.", "He left Wiki today."),
        ("See [[Help:Editing|the help]] and [[Sandbox]], or [$1 try it].", "See the help and Sandbox, or try it."),
        ("The file ($1) was not found: $2", "The file was not found"),
        ('Invalid JSON: "$1"', "Invalid JSON"),
        ("* First.\n* Second.\n== Head ==\n----", "- First.\n- Second.\n## Head"),
        ("The page $1 is there.", None),
        ("Type <code>ls</code> to see.", None),
        ("Return to {{int:mainpage}} now.", None),
        ("/* CSS of all pages */", None),
        ("", None),
    ],
)
def test_messages_become_sentences_or_nothing(message: str, text: str | None):
    said = wiki_messages.message_text(message)
    if text and "{n}" in text:
        assert said in {text.format(n=count) for count in wiki_messages.COUNTS}
    else:
        assert said == text


def put_messages(root: Path, component: str, **languages: dict[str, str]) -> None:
    for tag, messages in languages.items():
        content = {"@metadata": {"authors": ["A"]}, **messages}
        put(root, f"usr/share/mediawiki/{component}/i18n/{tag.replace('_', '-')}.json", json.dumps(content))


def test_mediawiki_joins_sentences_of_a_topic_and_leaves_out_labels_and_english(tmp_path: Path):
    english = {"block-a": "You can not block yourself.", "block-b": "Block", "block-c": "This user is blocked today."}
    serbian = {
        "block-c": "Овај корисник је данас блокиран.",
        "block-a": "Не можете да блокирате себе.",
        "block-b": "Блок",
    }
    thai = {"block-a": "คุณไม่สามารถบล็อกตัวเองได้ในขณะนี้", "block-c": english["block-c"]}
    put_messages(tmp_path, "languages", en=english, sr_ec=serbian, th=thai, qqq={"block-a": "Shown to users."})
    put_messages(tmp_path, "includes/api", en={"x": "A module of the interface for programs."})
    records = {record.id: record for record in read("mediawiki", tmp_path)}
    assert {id: record.data for id, record in records.items()} == {
        "en/languages/000": "You can not block yourself. This user is blocked today.",
        "sr-ec/languages/000": "Не можете да блокирате себе. Овај корисник је данас блокиран.",
        "th/languages/000": "คุณไม่สามารถบล็อกตัวเองได้ในขณะนี้",
    }  # nothing of the folder about programming
    assert records["sr-ec/languages/000"].language == "sr-Cyrl" and records["en/languages/000"].original
    assert not records["th/languages/000"].original


def test_topics_of_mediawiki_are_the_same_in_all_languages_and_some_are_held_out(tmp_path: Path):
    english = {f"topic{n // 10}-{n}": f"Sentence number {n} says something of topic {n // 10}. " * 9 for n in range(80)}
    german = {
        key: text.replace("Sentence number", "Satz mit der Nummer") for key, text in english.items() if "1-" in key
    }
    put_messages(tmp_path, "languages", en=english, de=german)
    held_out = {record.id for record in read("mediawiki", tmp_path) if record.held_out}
    assert {id.partition("/")[2] for id in held_out} <= HELD_OUT_TOPICS
    assert {"en/languages/001", "de/languages/001"} <= held_out


PAGE = """<page xmlns="http://projectmallard.org/1.0/" type="topic" id="x">
  <info><desc>No</desc><credit><name>Nobody</name></credit></info>
  <title>{0}</title><p>{1} <gui>Menu</gui>
    <guiseq><gui>File</gui><gui>Open</gui></guiseq> <keyseq><key>Ctrl</key><key>O</key></keyseq>.</p>
  <steps><title>Way</title><item><p>{2}</p></item><item><p>Two</p><p>More</p></item></steps>
  <list><item><title>Term</title><p>What it is</p></item></list>
  <section><title>Part</title><media type="image" src="a.png"/><note><p>Note</p></note>
  <code>ls -l</code></section></page>"""


def test_mallard_pages_and_their_translations(tmp_path: Path):
    folder = "usr/share/help"
    english = PAGE.format("Title", "Open the file with the", "Click the button now")
    german = PAGE.format("Titel", "Öffnen Sie diese Datei hier mit dem Eintrag aus dem", "Click the button now")
    put(tmp_path, f"{folder}/C/gnome-help/x.page", english)
    put(tmp_path, f"{folder}/de/gnome-help/x.page", german)
    put(tmp_path, f"{folder}/sr@latin/gnome-help/x.page", english.replace("Title", "Naslov"))
    put(tmp_path, f"{folder}/fr/gnome-help/y.page", "<page><title>")
    records = sorted(read("gnome-user-docs", tmp_path), key=lambda record: ("de", "fr", "C/").index(record.id[:2]))
    german_page, broken, english_page = records
    assert english_page.data == (
        "# Title\n\nOpen the file with the Menu File ▸ Open Ctrl+O.\n\nWay\n\n1. Click the button now\n2. Two\n   More"
        "\n\n- Term\n  What it is\n\n## Part\n\nNote\n\n```\nls -l\n```"
    )
    assert "Öffnen Sie diese Datei" in german_page.data and "Click the button" not in german_page.data
    assert german_page.language == "de" and not german_page.original and english_page.language == "en"
    assert isinstance(broken, BadRecord) and broken.reason == "invalid XML"


def test_what_is_not_translated_is_taken_out_or_the_page_is_left_out():
    english = "# The title of it\n\nA long sentence that stands here.\n\n```\nls of all files\n```"
    assert translated("# Der Titel\n\nEin langer Satz, der hier steht.\n\n```\nls of all files\n```", english) == (
        "# Der Titel\n\nEin langer Satz, der hier steht.\n\n```\nls of all files\n```"
    )
    own, other = "Ein sehr langer Satz, der hier steht und noch weiter geht.", "A long sentence that stands here."
    assert translated(f"# Titel\n\n{own}\n\n{other}\n\n{own}", english) == f"# Titel\n\n{own}\n\n{own}"
    assert translated("# Der Titel\n\nA long sentence that stands here.", english) is None


def test_manuals_in_html(tmp_path: Path):
    guide = "usr/share/doc/installation-guide-amd64"
    nav = '<div class="navheader">Prev</div>'
    put(tmp_path, f"{guide}/en/ch01.html", f"<body>{nav}<h2>Welcome to all</h2><p>Some text of it here.</p></body>")
    put(tmp_path, f"{guide}/de/ch01.html", f"<body>{nav}<h2>Willkommen</h2><p>Ein Text, der übersetzt ist.</p></body>")
    put(tmp_path, f"{guide}/fr/ch01.html", f"<body>{nav}<h2>Welcome to all</h2><p>Some text of it here.</p></body>")
    assert found("installation-guide", tmp_path) == {
        "de/ch01": "## Willkommen\n\nEin Text, der übersetzt ist.",
        "en/ch01": "## Welcome to all\n\nSome text of it here.",
    }
    office = "usr/share/libreoffice/help/{}/text/swriter/guide/a.html"
    page = '<header>Help</header><div id="DisplayArea"><h1>{}</h1></div><div id="SearchFrame"></div><footer>x</footer>'
    put(tmp_path, office.format("en-US"), page.format("Text"))
    keys = '<span hidden="true" id="MACa" class="MAC">Cmd</span><span hidden="true" id="defaulta">Ctrl</span> +X'
    put(tmp_path, office.format("et"), page.format(f"Tekst {keys}"))
    put(tmp_path, office.format("et").replace("guide", "01"), "<p>no help</p>")
    assert found("libreoffice-help", tmp_path) == {
        "en-US/swriter/guide/a": "# Text",
        "et/swriter/guide/a": "# Tekst Ctrl +X",
    }


def test_references_and_man_pages_in_many_languages(tmp_path: Path):
    chapter = "usr/share/debian-reference/{}.{}.html"
    put(tmp_path, chapter.format("ch01", "en"), "<h1>Chapter of the manual</h1><p>A long text stands here.</p>")
    put(tmp_path, chapter.format("ch01", "pt-br"), "<h1>Um capítulo do manual</h1><p>Aqui há um texto longo.</p>")
    put(tmp_path, chapter.format("apa", "fr"), "<h1>Annexe</h1>")
    put(tmp_path, chapter.format("index", "fr"), "<p>Contenu</p>")
    records = {record.id: record for record in read("debian-reference", tmp_path)}
    assert list(records) == ["fr/apa", "en/ch01", "pt-br/ch01"] and records["en/ch01"].original
    put(tmp_path, "usr/share/man/pt_BR/man1/ls.1.gz", ".TH LS 1\n.SH NOME\nls \\- lista arquivos")
    put(tmp_path, "usr/share/man/pt_BR/man1/dir.1.gz", ".so man1/ls.1")
    (page,) = read("manpages", tmp_path)
    assert (page.id, page.data, page.language) == ("pt_BR/man1/ls.1", "## NOME\n\nls - lista arquivos", "pt_BR")


def test_manuals_made_by_sphinx_and_mdbook(tmp_path: Path):
    link = '<a class="headerlink" href="#a">¶</a>'
    tree = '<div class="toctree-wrapper c"><ul><li>x</li></ul></div>'
    body = f'<div class="body" role="main"><h1>T{link}</h1><p>Text.</p>{tree}</div>'
    put(
        tmp_path,
        "usr/share/doc/python3.11/html/library/os.html",
        f'<p>nav</p>{body}<div class="sphinxsidebar">no</div>',
    )
    put(tmp_path, "usr/share/doc/python3.11/html/glossary.html", "<p>no body</p>")
    os_page, glossary = sorted(read("python-doc", tmp_path), key=lambda record: record.id, reverse=True)
    assert (os_page.data, os_page.kind, glossary.data) == ("# T\n\nText.", "reference", "")
    article = f'<div itemprop="articleBody"><h1>甲{link}</h1><p>文。</p></div><footer>no</footer>'
    put(tmp_path, "usr/share/doc/linux-doc-6.1/html/translations/zh_CN/a.html", article)
    put(tmp_path, "usr/share/doc/linux-doc-6.1/html/genindex.html", article)
    (chinese,) = read("linux-doc", tmp_path)
    assert (chinese.data, chinese.language, chinese.original) == ("# 甲\n\n文。", "zh_CN", False)
    books = ("book/ch.html", "nomicon/a.html", "reference/a.html", "rust-by-example/a/b.html")
    for name in books:
        put(
            tmp_path,
            f"usr/share/doc/rust-doc/html/{name}",
            '<nav>x</nav><main><div class="buttons">c</div><p>T.</p></main>',
        )
    put(tmp_path, "usr/share/doc/rust-doc/html/book/old.html", "<p>See the second edition.</p>")
    assert found("rust-doc", tmp_path) == {name.removesuffix(".html"): "T." for name in books}


def test_one_section_in_twenty_is_held_out_the_same_in_every_run():
    held_out = [n for n in range(20_000) if is_held_out(f"section/{n}")]
    assert abs(len(held_out) - 20_000 / EVERY) < 120 and held_out[:3] == [
        n for n in held_out[:3] if is_held_out(f"section/{n}")
    ]
