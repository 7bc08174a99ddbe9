"""docs/api.md and the server's tables say the same."""

import re
from pathlib import Path

import pytest
from sansi.serve.api.fields import Field
from sansi.serve.api.requests import CHAT_FIELDS, TEXT_FIELDS
from sansi.text.messages import FIELDS as MESSAGE_FIELDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
KINDS = {"chat": ("POST /v1/chat/completions", CHAT_FIELDS), "text": ("POST /v1/completions", TEXT_FIELDS)}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def refused(fields: dict[str, Field]) -> str:
    """The table of what is not supported, as it has to stand in the page."""
    lines = ["| field | instead |", "|---|---|"]
    for name, field in fields.items():
        if field.about.startswith("Not supported"):
            why, _, accepted = field.about.removeprefix("Not supported: ").removesuffix(" is accepted.").partition(". ")
            values = f" (`{accepted.replace(' or ', '`, `')}`)" if accepted else ""
            lines.append(f"| `{name}`{values} | {why.removesuffix('.')} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_in_the_page_with_a_test_that_exists(kind):
    title, fields = KINDS[kind]
    page = re.sub(r"<!-- inside:(\w+) -->.*?<!-- /inside:\1 -->", "", section(title), flags=re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \|.*\| `(tests/[\w/]+\.py)::(\w+)` \|$", page, re.MULTILINE)
    supported = {name for name, field in fields.items() if not field.about.startswith("Not supported")}
    assert sorted(name for name, _, _ in rows) == sorted(supported)
    for _, file, test in rows:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


@pytest.mark.parametrize("kind", ["messages", "tools"])
def test_what_stands_inside_a_field_is_in_the_page_with_a_test_that_exists(kind):
    found = re.search(rf"<!-- inside:{kind} -->\n(.*?)<!-- /inside:{kind} -->", PAGE, re.DOTALL)
    rows = re.findall(r"^\| `([\w.\[\]]+)` \|.*\| `(tests/[\w/]+\.py)::(\w+)` \|$", found[1], re.MULTILINE)
    for _, file, test in rows:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"
    names = {name for name, _, _ in rows}
    assert len(names) == found[1].count("\n") - 2
    if kind == "messages":
        assert names == {name for fields in MESSAGE_FIELDS.values() for name in fields}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_supported_stands_in_the_page(kind):
    found = re.search(rf"<!-- refused:{kind} -->\n(.*?)<!-- /refused:{kind} -->", PAGE, re.DOTALL)
    assert found and found[1] == refused(KINDS[kind][1])
