"""The import rule: which room may import which, which libraries each may use, and who must do without torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sansi"

ROOMS: dict[str, set[str]] = {
    "base": set(),
    "text": {"base"},
    "model": {"base"},
    "data": {"base", "text"},
    "engine": {"base", "model"},
    "chat": {"base", "text", "engine"},
    "eval": {"base", "text", "data", "engine", "chat"},  # problems with verifiers are data; see docs/LOG.md
    "train": {"base", "model", "data"},
    "post": {"base", "text", "model", "data", "engine", "chat", "eval", "train"},
    "serve": {"base", "text", "chat"},
    "agents": {"base", "text"},
}
ROOMS["cli"] = set(ROOMS)  # the command line may import every room; no room may import it

LIBRARIES: dict[str, set[str]] = {
    "base": {"numpy", "rich", "torch"},  # torch only inside functions: see test_no_torch
    "text": {"huggingface_hub", "jinja2", "jsonschema_rs", "numpy", "tokenizers"},
    "model": {"huggingface_hub", "numpy", "safetensors", "torch", "triton"},
    "data": {"datasketch", "numpy", "pycld2", "reasoning_gym", "rich"},
    "engine": {"llguidance", "numpy", "safetensors", "torch"},
    "chat": {"torch"},
    "eval": {"matplotlib", "numpy", "reasoning_gym", "rich"},
    "train": {"matplotlib", "numpy", "safetensors", "torch"},
    "post": {"matplotlib", "numpy", "reasoning_gym", "safetensors", "torch"},
    "serve": {
        "anyio",
        "fastapi",
        "markdown_it",
        "prometheus_client",
        "prompt_toolkit",
        "pydantic",
        "rich",
        "starlette",
        "uvicorn",
    },
    "agents": {"httpx"},
    "cli": {"rich", "typer"},
}
TORCH_FREE = ("text", "agents", "cli")


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, and the line that imports it."""

    module: str
    line: int


def imports_of(source: str, module: str, is_package: bool) -> Iterator[Import]:
    """Every import of a module's source: at the top, inside functions, for type checkers, or by `import_module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _absolute(node, module, is_package)
            # `from sansi import text` names a room only in the alias
            yield from (Import(f"{origin}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield Import(node.args[0].value, node.lineno)


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.split(".")
    package = parts if is_package else parts[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """What breaks the rule in the source of `module`, for example "sansi.text.codec"."""
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else None
    if room is not None and room not in ROOMS:
        return [f"{module}: {room} is no room of the table"]
    found = []
    for item in imports_of(source, module, is_package):
        top, *rest = item.module.split(".")
        where = f"{module}:{item.line}"
        if top == "sansi":
            target = rest[0] if rest else None
            if target in ROOMS and target != room and (room is None or target not in ROOMS[room]):
                found.append(f"{where}: {room or 'sansi'} may not import {target}")
            elif target == "cli" and room != "cli":
                found.append(f"{where}: nobody imports cli")
        elif top not in sys.stdlib_module_names and (room is None or top not in LIBRARIES[room]):
            found.append(f"{where}: {room or 'sansi'} may not use {top}")
    return list(dict.fromkeys(found))


def modules() -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield path, name.removesuffix(".__init__")


def test_every_arrow_and_library_is_in_the_table():
    found = [v for path, name in modules() for v in violations(path.read_text(), name, path.name == "__init__.py")]
    assert not found, "\n".join(found)


def test_every_room_of_the_table_is_there():
    present = {name.split(".")[1] for _, name in modules() if "." in name}
    assert present == set(ROOMS)


def test_the_table_has_no_cycle():
    order: list[str] = []
    while len(order) < len(ROOMS):
        ready = [room for room in ROOMS if room not in order and ROOMS[room] - {room} <= set(order)]
        assert ready, f"cycle among {set(ROOMS) - set(order)}"
        order += ready


@pytest.mark.parametrize("module", [f"sansi.{room}" for room in TORCH_FREE])
def test_no_torch(module):
    """Importing the module loads torch neither directly nor through another room or library."""
    code = f"import sys, {module}; sys.exit('torch is loaded' if 'torch' in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_torch_free_rooms_list_no_torch():
    assert not [room for room in TORCH_FREE if "torch" in LIBRARIES[room]]


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("sansi.text.codec", "import sansi.model", "text may not import model"),
        ("sansi.text.codec", "from sansi import engine", "text may not import engine"),
        ("sansi.text.codec", "def f():\n    from sansi.chat.model import ChatModel", "text may not import chat"),
        ("sansi.text.codec", "from ..model import load", "text may not import model"),
        ("sansi.text.codec", "import importlib\nimportlib.import_module('sansi.model')", "text may not import model"),
        ("sansi.text.codec", "if TYPE_CHECKING:\n    import torch", "text may not use torch"),
        ("sansi.engine.engine", "from sansi.text import Codec", "engine may not import text"),
        ("sansi.serve.app", "import sansi.engine", "serve may not import engine"),
        ("sansi.serve.app", "from sansi import cli", "serve may not import cli"),
        ("sansi.agents.client", "import requests", "agents may not use requests"),
        ("sansi.cli", "import torch", "cli may not use torch"),
        ("sansi", "from sansi.base import SansiError", "sansi may not import base"),
        ("sansi.novel.room", "", "novel is no room of the table"),
    ],
)
def test_a_violation_is_found(module, source, complaint):
    assert [v for v in violations(source, module) if complaint in v]


@pytest.mark.parametrize(
    ("module", "source", "is_package"),
    [
        ("sansi.text", "from .codec import Codec\nfrom ..base import SansiError", True),
        ("sansi.text.codec", "from . import tokenizer\nimport json, tokenizers\nfrom sansi import __version__", False),
        ("sansi.model.formats.hf", "from ..config import ModelConfig\nimport torch.nn", False),
        ("sansi.cli", "def serve():\n    from sansi.serve import app", False),
    ],
)
def test_what_is_allowed_passes(module, source, is_package):
    assert violations(source, module, is_package) == []
