"""The import rule: which room may import which, which libraries each may use, and who must do without torch.

An import counts wherever it stands: at the top, inside a function, by `import_module`, or for type checkers alone. So
no file may name another for its types that, step by step, imports it: what both need goes to a third. A package counts
as a file of its own, its `__init__.py`; that an import of `sansi.a.b` runs the one of `sansi.a` first does not count.
"""

import ast
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sansi"

# The table of the design; a room that is not built yet has no folder.
ROOMS: dict[str, set[str]] = {
    "base": set(),
    "text": {"base"},
    "client": {"base", "text"},
    "sandbox": {"base"},
    "documents": {"base", "text"},
    "model": {"base"},
    "data": {"base", "text", "client", "sandbox", "documents"},
    "engine": {"base", "model"},
    "chat": {"base", "text", "engine"},
    "agents": {"base", "text", "client", "sandbox", "documents"},
    "eval": {"base", "text", "client", "sandbox", "data", "engine", "chat", "agents"},
    "train": {"base", "model", "data"},
    "post": {"base", "text", "client", "sandbox", "model", "data", "engine", "chat", "agents", "eval", "train"},
    "deploy": {"base", "text", "client", "model", "engine", "chat", "eval"},
    "serve": {"base", "text", "client", "documents", "chat", "agents"},
}
ROOMS["recipes"] = set(ROOMS) - {"serve"}  # runs what the other rooms make
ROOMS["cli"] = set(ROOMS)  # the command line may import every room; no room may import it

LIBRARIES: dict[str, set[str]] = {
    "base": {"numpy", "rich", "torch"},  # torch only inside functions: see test_no_torch
    "documents": {"ftfy", "lxml", "pypdfium2", "resiliparse", "selectolax", "trafilatura"},
    "text": {"huggingface_hub", "jinja2", "jsonschema_rs", "numpy", "tokenizers"},
    "model": {"filelock", "huggingface_hub", "modelscope_hub", "numpy", "safetensors", "torch", "triton"},
    # torch for batches alone
    "data": {
        "datasketch",
        "fastwarc",
        "filelock",
        "ftfy",
        "jsonschema_rs",
        "langcodes",
        "math_verify",
        "matplotlib",
        "numpy",
        "pyarrow",
        "ray",
        "reasoning_gym",
        "regex",
        "rich",
        "torch",
    },
    "engine": {"llguidance", "numpy", "safetensors", "torch"},
    "chat": {"torch"},
    "eval": {"matplotlib", "numpy", "reasoning_gym", "rich"},
    "train": {"matplotlib", "numpy", "safetensors", "torch"},
    "post": {"matplotlib", "numpy", "reasoning_gym", "safetensors", "torch"},
    "serve": {
        "anyio",
        "fastapi",
        "h11",
        "markdown_it",
        "prometheus_client",
        "prompt_toolkit",
        "pydantic",
        "rich",
        "starlette",
        "uvicorn",
    },
    "client": {"httpx"},
    # much of it for MCP, when it starts
    "agents": {"anyio", "filelock", "httpcore", "httpx", "httpx2", "idna", "mcp", "mcp_types", "numpy", "pydantic"},
    "sandbox": {"matplotlib"},  # for code in there, where it is installed
    # the clients of hubs where something goes up
    "deploy": {
        "httpx",
        "huggingface_hub",
        "jsonschema_rs",
        "kagglehub",
        "kagglesdk",
        "modelscope_hub",
        "numpy",
        "requests",
        "torch",
        "yaml",
    },
    "recipes": {"filelock", "numpy", "torch"},
    "cli": {"rich", "typer"},
}
TORCH_FREE = ("text", "client", "sandbox", "documents", "agents", "cli")


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
        elif top not in sys.stdlib_module_names and (room is None or top not in LIBRARIES.get(room, ())):
            found.append(f"{where}: {room or 'sansi'} may not use {top}")
    return list(dict.fromkeys(found))


def modules() -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield path, name.removesuffix(".__init__")


def built_rooms() -> set[str]:
    return {name.split(".")[1] for _, name in modules() if "." in name}


def arrows(sources: Mapping[str, tuple[str, bool]]) -> dict[str, set[str]]:
    """Which of the modules each imports. sources: by module, what it holds, and whether it is a package's own file."""
    return {
        module: {found for item in imports_of(source, module, is_package) if (found := _file_of(item.module, sources))}
        - {module}
        for module, (source, is_package) in sources.items()
    }


def _file_of(name: str, known: Container[str]) -> str:
    """The module that holds `name`, which may be that of a class or a function in it; "" if it is none of ours."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def circle(graph: Mapping[str, Set[str]]) -> list[str]:
    """Nodes that lead to each other, if some do: what is left once all that lead nowhere else are taken away."""
    left = {node: set(targets) & set(graph) for node, targets in graph.items()}
    while free := {node for node, targets in left.items() if not targets & set(left)}:
        left = {node: targets for node, targets in left.items() if node not in free}
    while unused := set(left) - set().union(*left.values()):  # these lead to the circle and are not in it
        left = {node: targets for node, targets in left.items() if node not in unused}
    return sorted(left)


def test_every_arrow_and_library_is_in_the_table():
    found = [v for path, name in modules() for v in violations(path.read_text(), name, path.name == "__init__.py")]
    assert not found, "\n".join(found)


def test_every_room_is_in_the_tables():
    assert built_rooms() <= set(ROOMS)
    assert built_rooms() == set(LIBRARIES)


def test_the_table_has_no_circle():
    assert circle(ROOMS) == []


def test_no_files_import_each_other_in_a_circle():
    sources = {name: (path.read_text(), path.name == "__init__.py") for path, name in modules()}
    assert circle(arrows(sources)) == []


@pytest.mark.parametrize("module", [f"sansi.{room}" for room in TORCH_FREE if room in built_rooms()])
def test_no_torch(module):
    """Importing the module loads torch neither directly nor through another room or library."""
    code = f"import sys, {module}; sys.exit('torch is loaded' if 'torch' in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_torch_free_rooms_list_no_torch():
    assert not [room for room in TORCH_FREE if "torch" in LIBRARIES.get(room, ())]


@pytest.mark.parametrize(
    "sources",
    [
        {"sansi.text.a": "from sansi.text.b import B", "sansi.text.b": "from sansi.text import a"},
        {"sansi.text.a": "from . import b", "sansi.text.b": "def f():\n    from .a import A"},
        {"sansi.text.a": "if TYPE_CHECKING:\n    from sansi.text.b import B", "sansi.text.b": "import sansi.text.a"},
        {
            "sansi.text.a": "import sansi.text.b",
            "sansi.text.b": "import sansi.text.c",
            "sansi.text.c": "import importlib\nimportlib.import_module('sansi.text.a')",
        },
        {"sansi.text": "from .a import A", "sansi.text.a": "from sansi.text import B"},
    ],
)
def test_a_circle_is_found(sources):
    packages = {name: (source, name == "sansi.text") for name, source in sources.items()}
    assert set(circle(arrows(packages))) == set(sources)


def test_what_is_no_circle_passes():
    sources = {
        "sansi.text": "from .a import A\nfrom .b import B",
        "sansi.text.a": "from sansi.text.b import B",
        "sansi.text.b": "",
    }
    assert circle(arrows({name: (source, name == "sansi.text") for name, source in sources.items()})) == []


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
        ("sansi.recipes.run", "import sansi.serve", "recipes may not import serve"),
        ("sansi.client.costs", "import requests", "client may not use requests"),
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
        ("sansi.serve.app", "import sansi.agents, sansi.client, sansi.documents", False),
        ("sansi.cli", "def serve():\n    from sansi.serve import app", False),
    ],
)
def test_what_is_allowed_passes(module, source, is_package):
    assert violations(source, module, is_package) == []


def test_each_file_of_the_tests_has_a_name_of_its_own():
    """pytest imports them by their names alone, so that of two of one name only the first is found."""
    tests = Path(__file__).parent
    names = [path.name for path in tests.rglob("*.py") if path.name not in ("conftest.py", "__init__.py")]
    assert len(names) > 100 and not {name for name in names if names.count(name) > 1}
