"""One codec: what a chat looks like is known in sansi/text and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sansi.text import NO_THINK_FLAG, THINK_FLAG
from sansi.text.tokenizer import CONTROL_TEXT

ROOT = Path(__file__).resolve().parents[1]
FLAGS = rf"{THINK_FLAG}(?!\w)|{NO_THINK_FLAG}(?!\w)"
TAGS = re.compile("|".join([*map(re.escape, CONTROL_TEXT.values()), FLAGS]))
# Scanning the page for "<think>" by hand, or the names without brackets, is knowing them too.
LOOSE = re.compile(r"<\|?/?(?:im_|endoftext|tool_call|tool_response|think)|</think|no_think")
RENDERERS = {"apply_chat_template", "ForeignTemplate", "tiktoken", "AutoTokenizer"}
USERS_OF_THE_CODEC = {
    "SFT": "sansi/post/samples.py",
    "GRPO": "sansi/post/grpo.py",
    "engine and server": "sansi/chat/model.py",
    "evaluation": "sansi/eval/budget_curve.py",
    "recipes": "sansi/recipes/kinds/text.py",
}
PEERS = {"bench/codec.py", "bench/peers/openvino_runs.py"}  # what others use, to measure beside it


def sources() -> Iterator[Path]:
    """Every module outside sansi/text."""
    for folder in ("sansi", "runs", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT)
            if name.parts[:2] != ("sansi", "text") and "checkpoints" not in name.parts and str(name) not in PEERS:
                yield path


def strings(source: str) -> Iterator[tuple[int, str]]:
    """String constants of a module, parts of f-strings included, and no docstrings: those are for readers."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def knows_tags(source: str) -> list[str]:
    return [f"{line}: {text!r}" for line, text in strings(source) if TAGS.search(text) or LOOSE.search(text)]


def renders(source: str) -> list[str]:
    """Places that render, or open a tokenizer, without the codec."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = getattr(node, "attr", getattr(node, "id", getattr(node, "module", None)))
        names = {name, *(alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias))}
        if names & RENDERERS or (isinstance(node, ast.Import | ast.ImportFrom) and names & {"tokenizers", "jinja2"}):
            found.append(f"{node.lineno}: {name}")
    return found


def test_no_other_code_knows_a_tag():
    found = [f"{path.relative_to(ROOT)}:{hit}" for path in sources() for hit in knows_tags(path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", sorted((ROOT / "sansi" / "serve" / "static").iterdir()), ids=lambda path: path.name)
def test_the_chat_page_knows_no_tag(path):
    if path.suffix in {".js", ".html", ".css"}:
        assert not TAGS.search(path.read_text()) and not LOOSE.search(path.read_text())


def test_nobody_else_renders():
    found = [f"{path.relative_to(ROOT)}:{hit}" for path in sources() for hit in renders(path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", USERS_OF_THE_CODEC.values(), ids=USERS_OF_THE_CODEC)
def test_who_uses_the_codec(file):
    source = (ROOT / file).read_text()
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    names = {a.name for node in imported if node.module == "sansi.text" for a in node.names}
    assert names & {"Codec", "ChatCodec"}


def test_server_and_command_line_reach_the_codec_through_the_chat_model_only():
    for path in [*(ROOT / "sansi" / "serve").rglob("*.py"), *(ROOT / "sansi" / "cli").glob("*.py")]:
        source = path.read_text()
        assert not re.search(r"\.tokenizer\.|StreamParser|\bCodec\(", source), path.name


@pytest.mark.parametrize(
    "source",
    ['x = "<think>"', 'x = f"{y}</tool_call>"', "def f():\n    return g('a /no_think')", 'x = "<|im_" + "end|>"'],
)
def test_a_tag_is_found(source):
    assert knows_tags(source)


@pytest.mark.parametrize("source", ['"""Thoughts stand in <think>."""', 'x = "src/thinking"', "x = 1  # <think>"])
def test_prose_and_paths_pass(source):
    assert not knows_tags(source)


@pytest.mark.parametrize(
    "source", ["t.apply_chat_template(c)", "from transformers import AutoTokenizer", "import tokenizers"]
)
def test_another_renderer_is_found(source):
    assert renders(source)
