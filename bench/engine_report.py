"""The tables of `bench/engine.py`, from its saved figures alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine_cases import CASES, NANO_CASES, Case, limit
from sansi.model import ModelConfig


@dataclass(frozen=True)
class Pair:
    """Ours against the best of theirs; `aims`: what to reach and to aim at, where it is the same in every case."""

    ours: str
    theirs: tuple[str, ...]
    aims: str = ""


# Case -> (reach, aim) against llama.cpp at equal bits.
EQUAL_BITS = {
    "decode_b1": "1.0 / 1.25",
    "decode_b8": "1.5 / 2.5",
    "decode_b16": "1.5 / 2.5",
    "prefill_512": "1.2 / 1.6",
    "shared": "3 / 8",
    "memory": "0.87 / 1.0",
}
PAIRS = (
    Pair("sansi int4", ("llama.cpp Q4_0", "llama.cpp Q4_0-pure")),
    Pair("sansi int4-pure", ("llama.cpp Q4_0-pure",)),
    Pair("sansi int4", ("llama-cpp-python Q4_0",)),
    Pair("sansi int8", ("llama.cpp Q8_0",)),
    Pair("sansi bf16", ("llama.cpp F16",)),
    Pair("sansi int4", ("vLLM fp32",), "4 / 8"),
    Pair("sansi int4", ("transformers fp32",), "4 / 8"),
    Pair("sansi fp32", ("vLLM fp32", "transformers fp32")),
    Pair("sansi bf16", ("vLLM bf16", "transformers bf16")),
)
NANO_GOALS = {"nano_b1": 500, "nano_b32": 6000}


def report(results: Mapping[str, Any]) -> str:
    """Markdown: where and how it was measured, the figures, the ratios."""
    cases = [case.scaled(results["scale"]) for case in (*CASES, *NANO_CASES[1:])]
    cases = [case for case in cases if results["cells"].get(case.name) and case.name != "check"]
    parts = [_heading(results), _figures(results, cases)]
    if ratios := _ratios(results, cases):
        parts.append(ratios)
    return "\n".join([*parts, _agreement(results), ""])


def _heading(results: Mapping[str, Any]) -> str:
    box, rates = results["machine"], _rates(results)
    runs = [r for case in results["cells"].values() for cell in case.values() for r in cell["runs"].values()]
    commits = sorted({run["commit"] for run in runs if "commit" in run})
    return (
        f"`python bench/engine.py {results['shape']}` at {', '.join(f'`{c}`' for c in commits)}; "
        f"{box['cores']} cores of an {box['cpu']} ({', '.join(box['features'])}), {box['threads']} threads. "
        f"Measured in the same run: memory read {rates['read_gbs']:.1f} GB/s, "
        f"products {rates['float32_gflops']:.0f} (float32) and {rates['bfloat16_gflops']:.0f} (bfloat16) GFLOP/s. "
        f"Versions: {_versions(results)}.\n"
    )


def _versions(results: Mapping[str, Any]) -> str:
    found = {name.split()[0]: facts["version"] for name, facts in results["facts"].items() if "version" in facts}
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def _rates(results: Mapping[str, Any]) -> dict[str, float]:
    """The best that was seen: a limit is a limit."""
    measured = results["rates"]
    return {key: max(one[key] for one in measured) for key in measured[0] if key != "case"}


def _figures(results: Mapping[str, Any], cases: Sequence[Case]) -> str:
    names = list(dict.fromkeys(name for case in cases for name in results["cells"][case.name]))
    header = ["", *(f"{case.title}, {case.unit}" for case in cases)]
    rows = [[name, *(_figure(results, case, name) for case in cases)] for name in names]
    goals = [["goal", *(f"≥ {NANO_GOALS[case.name]:,}" for case in cases)]] if cases[0].name in NANO_GOALS else []
    note = "Median ± half the range; in brackets, the share of what this machine's memory and arithmetic allow.\n"
    return _table(header, rows + goals) + "\n" + note


def _figure(results: Mapping[str, Any], case: Case, name: str) -> str:
    cell = results["cells"][case.name].get(name, {"runs": {}})
    values = _values(cell)
    if not values:
        failed = next((run["error"] for run in cell["runs"].values() if "error" in run), None)
        return "–" if failed is None else "fails"
    middle = statistics.median(values)
    spread = f" ± {50 * (max(values) - min(values)) / middle:.0f}%" if len(values) > 1 else ""
    return f"{_number(middle)}{spread}{_share(results, case, name, middle)}"


def _share(results: Mapping[str, Any], case: Case, name: str, value: float) -> str:
    if case.name in NANO_GOALS:  # its weights never leave the cache: neither limit says anything
        return ""
    config = ModelConfig.from_hf(results["config"])
    asked = case.make(0, config.vocab_size)
    best = limit(case.metric, asked, config, results["weight_bytes"][name], _rates(results), case.prefix)
    return f" ({100 * (best / value if case.less_is_better else value / best):.0f}%)"


def _ratios(results: Mapping[str, Any], cases: Sequence[Case]) -> str:
    present = {name for cells in results["cells"].values() for name in cells}
    pairs = [pair for pair in PAIRS if pair.ours in present and present.intersection(pair.theirs)]
    if not pairs:
        return ""
    header = ["ours ÷ theirs", "reach / aim, at equal bits", *(_title(pair) for pair in pairs)]
    rows = [
        [case.title, EQUAL_BITS.get(case.name, ""), *(_ratio(results, case, pair) for pair in pairs)] for case in cases
    ]
    note = "Times faster (memory: smaller) than the best of theirs; median of the rounds' ratios, lowest–highest.\n"
    return _table(header, rows) + "\n" + note


def _title(pair: Pair) -> str:
    return f"{pair.ours} ÷ {' or '.join(pair.theirs)}" + (f" ({pair.aims})" if pair.aims else "")


def _ratio(results: Mapping[str, Any], case: Case, pair: Pair) -> str:
    cells = results["cells"][case.name]
    theirs = [name for name in pair.theirs if _values(cells.get(name, {"runs": {}}))]
    if pair.ours not in cells or not theirs:
        return ""
    choose = min if case.less_is_better else max
    best = choose(theirs, key=lambda name: statistics.median(_values(cells[name])))
    ratios = _paired(cells[pair.ours], cells[best], case.less_is_better)
    if not ratios:
        return ""
    spread = f", {min(ratios):.2f}–{max(ratios):.2f}" if len(ratios) > 1 else ""
    return f"{statistics.median(ratios):.2f}{spread}"


def _paired(ours: Mapping[str, Any], theirs: Mapping[str, Any], less_is_better: bool) -> list[float]:
    rounds = [n for n, run in ours["runs"].items() if "value" in run and "value" in theirs["runs"].get(n, {})]
    pairs = [(ours["runs"][n]["value"], theirs["runs"][n]["value"]) for n in rounds]
    return [b / a if less_is_better else a / b for a, b in pairs]


def _agreement(results: Mapping[str, Any]) -> str:
    """How far greedy answers follow the first full-precision peer."""
    cells = {n: c["runs"]["0"]["ids"] for n, c in results["cells"].get("check", {}).items() if "ids" in c["runs"]["0"]}
    reference = next((n for n in ("transformers fp32", "vLLM fp32", "sansi fp32", *cells) if n in cells), None)
    if reference is None:
        return ""
    same = {name: _common(ids, cells[reference]) for name, ids in cells.items() if name != reference}
    shown = ", ".join(f"{name} {count}" for name, count in same.items())
    return f"Greedy tokens equal to those of {reference}, of {len(cells[reference])}: {shown}."


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), len(a))


def _values(cell: Mapping[str, Any]) -> list[float]:
    return [run["value"] for run in cell["runs"].values() if "value" in run]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
