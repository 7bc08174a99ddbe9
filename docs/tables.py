"""The tables in the documents that are made from the code: `python docs/tables.py` writes them anew.

A block lies between <!-- made:NAME --> and <!-- /made:NAME -->. tests/test_documents.py fails when one is not what
is made here.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # also where Sansi is not installed
sys.path.append(str(ROOT / "tests" / "model"))

import round_trips  # noqa: E402
import torch  # noqa: E402
from sansi.base import load_config  # noqa: E402
from sansi.base.bundled import bundled_models  # noqa: E402
from sansi.base.files import read_json  # noqa: E402
from sansi.data.problems import list_tasks  # noqa: E402
from sansi.data.problems.gym_levels import LEFT_OUT  # noqa: E402
from sansi.data.problems.verifiers import VERIFIERS  # noqa: E402
from sansi.engine.memory import CPU_SHARE, sizes_of  # noqa: E402
from sansi.eval.budget_curve import BudgetCurve, markdown_table, table_rows  # noqa: E402
from sansi.model import PRESETS, ModelConfig  # noqa: E402
from sansi.model.formats.folders import read_config  # noqa: E402

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"(<!-- made:([\w.]+) -->\n?).*?(<!-- /made:\2 -->)", re.DOTALL)
GIB = 2**30
CONTEXT, STEP, ROWS = 8192, 512, 64  # tokens that the cache holds; tokens and answers of the largest step, by default
KINDS = {"bf16": None, "int8": "int8", "int4": "int4"}
SIZES = "model | parameters | memory, bf16 | int8 | int4 | cache, 1,024 tokens | machine for int4"
SPEED = "0.6B shape, 2 cores | tokens/s, one answer | 16 answers together | reading a prompt of 512"
OWN_VERIFIER = "`(problem, message)` returns `True` or 1; marks between 0 and 1 are kept, and are not right"
CURVE = "{0} without a thought, {16} with 16 tokens of it, {64} with 64, and {None} without a limit"
MACHINES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)  # GiB that are sold


@dataclass(frozen=True)
class Need:
    """What a model takes, in GiB."""

    total: float
    cache_per_1024: float

    @property
    def machine(self) -> int:
        """Memory of the smallest machine that has it within the share that is taken by default."""
        return next(size for size in MACHINES if self.total <= CPU_SHARE * size)


def need(preset: str, quantize: str | None) -> Need:
    config = ModelConfig.preset(preset)
    sizes = sizes_of(config, torch.bfloat16, quantize, STEP, ROWS)
    cache = sizes.block_bytes / 16  # a token's keys and values
    return Need((sizes.weights + sizes.activations + CONTEXT * cache) / GIB, 1024 * cache / GIB)


def official() -> list[str]:
    return [name for name in PRESETS if name.startswith("Qwen3-")]


def sizes(header: str = SIZES) -> str:
    """Which model runs on which machine. A table row: weights in each form with a cache of CONTEXT tokens."""
    lines = [f"| {header} |", "| --- | --: | --: | --: | --: | --: | --: |"]
    for name in official():
        config, needs = ModelConfig.preset(name), [need(name, kind) for kind in KINDS.values()]
        active = f", {_billions(config.num_active_parameters())} active" if config.is_moe else ""
        row = [
            f"Qwen/{name}",
            f"{_billions(config.num_parameters())}{active}",
            *(f"{n.total:.1f}" if n.total < 100 else f"{n.total:.0f}" for n in needs),
            f"{needs[-1].cache_per_1024:.2f}",
            f"{needs[-1].machine} GB",
        ]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def sizes_zh() -> str:
    return sizes("模型 | 参数量 | 内存：bf16 | int8 | int4 | 每 1,024 词元的缓存 | int4 所需机器")


def _billions(count: int) -> str:
    return f"{count / 1e9:.1f}B"


def speed(header: str = SPEED) -> str:
    """From the engine's table in RESULTS.md, whose command and commit stand there."""
    text = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
    block = text.partition("<!-- engine:0.6b -->")[2].partition("<!-- /engine:0.6b -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines() if line[:1] == "|"]
    columns = [rows[0].index(f"{name}, tok/s") for name in ("decode, batch 1", "decode, batch 16", "prefill 512")]
    lines = [f"| {header} |", "| --- | --: | --: | --: |"]
    for row in rows:
        if row[0] in ("sansi int4", "sansi fp32"):
            figures = [row[i].partition(" ")[0] for i in columns]
            lines.append(f"| {row[0].replace('sansi ', '').replace('fp32', 'bf16')} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def speed_zh() -> str:
    return speed("0.6B，2 核 | 词元/秒，单个回答 | 16 个回答同时 | 读 512 词元的提示词")


def parameters() -> str:
    """Of the bundled model, in words."""
    return f"{read_config(bundled_models()['nano']).num_parameters() / 1e6:.3g} million"


def parameters_zh() -> str:
    return f"{read_config(bundled_models()['nano']).num_parameters() / 1e4:.0f} 万"


def curve() -> str:
    """The bundled model's accuracy over budgets, from what it ships."""
    measured = read_json(bundled_models()["nano"] / "evaluation.json")
    return markdown_table(table_rows(load_config(BudgetCurve, measured)))


def curve_words(form: str = CURVE) -> str:
    """The same in a sentence's words, for some budgets."""
    points = read_json(bundled_models()["nano"] / "evaluation.json")["points"]
    shares = {str(point["budget"]): f"{100 * point['score']['accuracy']:.0f}%" for point in points}
    return re.sub(r"{(\w+)}", lambda found: shares[found[1]], form)


def curve_words_zh() -> str:
    return curve_words("不思考 {0}，16 个词元 {16}，64 个词元 {64}，不限 {None}")


def rooms() -> str:
    """Every room, and what it says of itself."""
    lines = ["| room | purpose |", "| --- | --- |"]
    for package in sorted((ROOT / "sansi").glob("*/__init__.py")):
        about = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""
        lines.append(f"| `sansi/{package.parent.name}` | {' '.join(about.split(chr(10) * 2)[0].split())} |")
    return "\n".join(lines) + "\n"


def verifiers() -> str:
    """The built-in verifiers: name, rule and options with their defaults."""
    lines = ["| verifier | an answer is right if | options |", "| --- | --- | --- |"]
    for name, verifier in VERIFIERS.items():
        options = ", ".join(f"`{option}` ({json.dumps(default)})" for option, default in verifier.options.items())
        lines.append(f"| `{name}` | {verifier.about} | {options} |")
    lines.append(f"| `module:function`, `file.py:function` | {OWN_VERIFIER} | |")
    return "\n".join(lines) + "\n"


def gym_tasks() -> str:
    """reasoning-gym's tasks with their highest level, and those that are special or left out."""
    found = [info for info in list_tasks() if info.source == "reasoning-gym"]
    names = ", ".join(f"{info.name} {info.levels - 1}" for info in found)
    special = [f"- {info.name}: {info.note}." for info in found if info.note]
    left_out = [f"- {name} is left out: {reason}." for name, reason in sorted(LEFT_OUT.items())]
    return f"{len(found)} tasks, each with its highest level: {names}.\n\n" + "\n".join(special + left_out) + "\n"


MADE: dict[str, Callable[[], str]] = {
    "sizes": sizes,
    "sizes.zh": sizes_zh,
    "speed": speed,
    "speed.zh": speed_zh,
    "parameters": parameters,
    "parameters.zh": parameters_zh,
    "curve": curve,
    "curve.words": curve_words,
    "curve.words.zh": curve_words_zh,
    "rooms": rooms,
    "verifiers": verifiers,
    "gym_tasks": gym_tasks,
    "round_trips": round_trips.table,
}


def filled(text: str) -> str:
    """The text with every block as it is made now."""
    return BLOCK.sub(lambda found: found[1] + MADE[found[2]]() + found[3], text)


def main() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = filled(text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
