"""docs/api.md and the server's tables say the same."""

import re
from pathlib import Path

import pytest
from sansi.serve.api.fields import Field
from sansi.serve.api.openai_chat import FIELDS as CHAT_FIELDS
from sansi.serve.api.openai_completions import FIELDS as TEXT_FIELDS
from sansi.serve.api.openai_messages import READ
from sansi.text.messages import FIELDS as MESSAGE_FIELDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
KINDS = {"chat": ("POST /v1/chat/completions", CHAT_FIELDS), "text": ("POST /v1/completions", TEXT_FIELDS)}


BEGINS = {"refused": "Not supported: ", "ignored": "Ignored: ", "silent": "Changes nothing: "}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def named_rows(page: str) -> list[tuple[str, str, str]]:
    """(name, file, test) of the rows of tables; a row may have several names."""
    row = re.compile(r"^\| (`[\w.\[\]]+`(?:, `[\w.\[\]]+`)*) \|.*\| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)
    return [(name, file, test) for names, file, test in row.findall(page) for name in re.findall(r"[\w.\[\]]+", names)]


def others(fields: dict[str, Field], use: str) -> str:
    """The table of what is refused, or changes nothing, as it has to stand in the page."""
    rows: dict[str, list[str]] = {}
    for name, field in fields.items():
        if field.use == use and field.about.startswith(BEGINS[use]):
            why, _, rest = field.about.removeprefix(BEGINS[use]).partition(". ")
            values = rest.removesuffix(".").removesuffix(" is accepted").removesuffix(" is what happens")
            shown = f" (`{values.replace(' or ', '`, `')}`)" if values else ""
            rows.setdefault(why.removesuffix("."), []).append(f"`{name}`{shown}")
    head = {"refused": "instead", "ignored": "why", "silent": "why"}[use]
    lines = [f"| {', '.join(names)} | {why} |" for why, names in rows.items()]
    return "\n".join([f"| field | {head} |", "|---|---|", *lines, ""])


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_in_the_page_with_a_test_that_exists(kind):
    title, fields = KINDS[kind]
    page = re.sub(r"<!-- inside:(\w+) -->.*?<!-- /inside:\1 -->", "", section(title), flags=re.DOTALL)
    rows = named_rows(page)
    supported = {name for name, field in fields.items() if not field.about.startswith(tuple(BEGINS.values()))}
    assert sorted(name for name, _, _ in rows) == sorted(supported)
    for _, file, test in rows:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


@pytest.mark.parametrize("kind", ["messages", "tools"])
def test_what_stands_inside_a_field_is_in_the_page_with_a_test_that_exists(kind):
    found = re.search(rf"<!-- inside:{kind} -->\n(.*?)<!-- /inside:{kind} -->", PAGE, re.DOTALL)
    rows = named_rows(found[1])
    for _, file, test in rows:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"
    names = {name for name, _, _ in rows}
    assert len(set(re.findall(r"^\| (`.*?`) \|", found[1], re.MULTILINE))) == found[1].count("\n") - 2
    if kind == "messages":
        assert names == {*READ, *(name for fields in MESSAGE_FIELDS.values() for name in fields)}


@pytest.mark.parametrize("use", BEGINS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_and_what_changes_nothing_stand_in_the_page(kind, use):
    found = re.search(rf"<!-- {use}:{kind} -->\n(.*?)<!-- /{use}:{kind} -->", PAGE, re.DOTALL)
    assert found and found[1] == others(KINDS[kind][1], use)
