"""The process that runs a foreign chat template: jinja2 in its sandbox, with nothing around it to reach.

Not imported by Sansi: `sansi.text.foreign` starts it as a script. Each request and each reply is a line of JSON.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

# Arguments of these are compared with text, not written.
_COMPARING_METHODS = {
    *("startswith", "endswith", "split", "rsplit", "partition", "rpartition", "find", "rfind", "index", "rindex"),
    *("count", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "get"),
}
_COMPARING_FILTERS = {
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "map",
    "groupby",
    "sort",
    "attr",
    "trim",
    "unique",
}


class TooLong(Exception):
    """The template wrote more than it may."""


class _Generation(Extension):
    """{% generation %} marks the assistant's own words for trainers; the words themselves stay as they are."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Namespace(Namespace):
    def __init__(*args: Any, **kwargs: Any):
        self, *given = args
        Namespace.__init__(self, *given, **kwargs)
        for name in dict(*given, **kwargs):
            _refuse_private(name)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        Namespace.__setitem__(self, name, value)


def _refuse_private(name: str) -> None:
    if name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace may not hold {name!r}")


def environment() -> ImmutableSandboxedEnvironment:
    """What published templates expect to find: the block settings, filters and functions of transformers."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    made.filters["tojson"] = _tojson
    made.globals.pop("lipsum")
    made.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": lambda form: datetime.datetime.now().strftime(form),
        "dict": lambda *args, **kwargs: dict(*args, **kwargs),
        "namespace": _Namespace,
    }
    return made


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    return environment()


@functools.lru_cache(maxsize=16)
def _compiled(source: str, marks: tuple[tuple[str, str], ...]) -> jinja2.Template:
    made = _environment()
    tree = made.parse(source)
    if marks:
        _mark(tree, str.maketrans(dict(marks)), written=True)
    code = made.compile(tree, filename="<template>")
    return jinja2.Template.from_code(made, code, made.globals)


def _mark(node: nodes.Node, table: dict[int, str], written: bool) -> None:
    """Translate the literals that the template writes, and leave those that it compares its input with."""
    if isinstance(node, nodes.TemplateData):
        node.data = node.data.translate(table)
    elif isinstance(node, nodes.Const) and isinstance(node.value, str) and written:
        node.value = node.value.translate(table)
    compared = _compared(node)
    for child in node.iter_child_nodes():
        _mark(child, table, written and not any(child is one for one in compared))


def _compared(node: nodes.Node) -> list[nodes.Node]:
    if isinstance(node, nodes.Compare):
        return list(node.iter_child_nodes())
    if isinstance(node, nodes.Getitem):
        return [node.arg]
    if isinstance(node, nodes.Pair):
        return [node.key]
    if isinstance(node, nodes.Test):
        return [node.node, *node.args]
    if isinstance(node, nodes.Filter | nodes.Call):
        name = node.name if isinstance(node, nodes.Filter) else getattr(node.node, "attr", None)
        known = _COMPARING_FILTERS if isinstance(node, nodes.Filter) else _COMPARING_METHODS
        args: list[nodes.Node] = list(node.args)
        return args[:1] if name == "replace" else args if name in known else []
    return []


def render(request: dict[str, Any]) -> str:
    """The text that the template writes. Raises TooLong past `output_chars`."""
    template = _compiled(request["template"], tuple(map(tuple, request["marks"])))
    parts, length = [], 0
    for part in template.generate(request["variables"]):
        parts.append(part)
        length += len(part)
        if length > request["output_chars"]:
            raise TooLong
    return "".join(parts)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """{"text"} or {"error", "line"}; whatever a template does, it is an answer."""
    try:
        return {"text": render(request)}
    except TooLong:
        return {"error": f"it writes more than {request['output_chars']} characters", "line": None}
    except MemoryError:
        return {"error": "it needs more memory than it may have", "line": None}
    except RecursionError:
        return {"error": "it calls itself, or is nested, too deeply", "line": None}
    except jinja2.TemplateSyntaxError as error:
        return {"error": str(error.message), "line": error.lineno}
    except Exception as error:
        return {"error": f"{error}" or type(error).__name__, "line": _line(error)}


def _line(error: Exception) -> int | None:
    """The line of the template that failed; jinja2 writes it into the traceback."""
    lines = [at for frame, at in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"]
    return lines[-1] if lines else None


def limit(memory: int) -> None:
    """Give up what a template never needs: more memory, files, processes. What a system does not know is skipped."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock and the bound on the output remain
        return
    for name, value in {"AS": memory, "FSIZE": 0, "CORE": 0, "NPROC": 0, "NOFILE": 0}.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def _warm_up() -> None:
    """Load what jinja2 loads on first use: with no files to open, it could not do so later."""
    import pprint  # noqa: F401
    import textwrap  # noqa: F401

    import jinja2.debug  # noqa: F401

    time.localtime()
    for source in ("{{ [1] | pprint }}{{ 'a b' | wordwrap(1) }}{{ strftime_now('%d %b') }}", "{{ a.b.c }}", "{% if %}"):
        answer({"template": source, "variables": {}, "marks": [], "output_chars": 100})


def _requests() -> Iterator[dict[str, Any]]:
    for line in sys.stdin.buffer:
        yield json.loads(line)


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that prints can forge a reply
    _warm_up()
    limit(int(sys.argv[1]))
    replies.write(b"ready\n")
    replies.flush()
    for request in _requests():
        if hasattr(signal, "setitimer"):  # ends this process even if its parent is gone
            signal.setitimer(signal.ITIMER_REAL, request["seconds"] * 2 + 1)
        replies.write(json.dumps(answer(request)).encode() + b"\n")
        replies.flush()
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
