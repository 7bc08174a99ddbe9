"""Lists of the flags that stated versions of other servers accept, read from their source; the lists lie beside this.

`python tests/deploy/flags/collect.py SOURCE` with an unpacked wheel or source tree of vllm, sglang, mlx-lm or llama.cpp
prints the list for a file such as `vllm-0.32.0.txt`.
"""

import ast
import re
import sys
from pathlib import Path

FLAG = re.compile(r'"(--[a-z][a-zA-Z0-9-]*)"')


def flags_in(source: Path) -> list[str]:
    """Of all files that declare arguments: `add_argument("--x")`, llama.cpp's arg.cpp, and fields of dataclasses."""
    found: set[str] = set()
    for name in ("arg_utils.py", "cli_args.py", "server_args.py", "server.py", "arg.cpp"):
        for file in source.rglob(name):
            found.update(FLAG.findall(file.read_text(encoding="utf-8")))
    for file in [*source.rglob("arg_groups/fields/*.py"), *source.rglob("cli_args.py")]:
        found.update(f"--{name.replace('_', '-')}" for name in _fields(file))
    return sorted(found)


def _fields(file: Path) -> list[str]:
    """Annotated names of its classes: sglang and vLLM make a flag of each."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    inside = [item for node in classes for item in node.body if isinstance(item, ast.AnnAssign)]
    return [item.target.id for item in inside if isinstance(item.target, ast.Name)]


if __name__ == "__main__":
    print("\n".join(flags_in(Path(sys.argv[1]))))
