"""The tables of `bench/serve.py`, from its saved figures alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine_report import _number, _table
from sansi.model import ModelConfig
from serve_cases import CASES, NANO_CASES, LoadCase, limits, percentile

SHARE, LATER_MS = 0.95, 10  # of the engine's throughput; its first token may come so much later


@dataclass(frozen=True)
class Pair:
    """Ours against theirs. alone: theirs is our own engine without a server, and the goal is to cost nothing."""

    ours: str
    theirs: str
    alone: bool = False


PAIRS = (
    Pair("sansi", "engine alone", alone=True),
    Pair("sansi", "ChatModel alone", alone=True),
    Pair("ChatModel alone", "engine alone", alone=True),
    Pair("sansi int4", "engine alone int4", alone=True),
    Pair("sansi int4", "llama-server Q4_0"),
    Pair("sansi int4", "llama-cpp-python Q4_0"),
    Pair("sansi bf16", "vLLM bf16"),
)


def report(results: Mapping[str, Any]) -> str:
    """Markdown: where and how it was measured, the figures beside their limits, the ratios."""
    cases = [case.rehearsal() if results["quick"] else case for case in (NANO_CASES, CASES)[results["shape"] != "nano"]]
    cases = [case for case in cases if results["cells"].get(case.name)]
    parts = [_heading(results), _figures(results, cases), _ratios(results, cases), _generator(results), ""]
    return "\n".join(part for part in parts if part) + "\n"


def _heading(results: Mapping[str, Any]) -> str:
    box, rates = results["machine"], _rates(results)
    commits = sorted({run["commit"] for run in _runs(results) if "commit" in run})
    measured = (
        f" Measured in the same run: memory read {rates['read_gbs']:.1f} GB/s, products {rates['float32_gflops']:.0f} "
        f"(float32) and {rates['bfloat16_gflops']:.0f} (bfloat16) GFLOP/s."
        if rates
        else ""
    )
    versions = {name.split()[0]: fact["version"] for name, fact in results["facts"].items() if "version" in fact}
    told = f" Versions: {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}."
    told *= bool(versions)
    return (
        f"`python bench/serve.py {results['shape']}` at {', '.join(f'`{c}`' for c in commits)}; {box['cores']} cores "
        f"of an {box['cpu']} ({', '.join(box['features'])}), {box['threads']} threads.{measured}{told}\n"
    )


def _runs(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [run for cells in results["cells"].values() for cell in cells.values() for run in cell["runs"].values()]


def _rates(results: Mapping[str, Any]) -> dict[str, float]:
    """The best that was seen: a limit is a limit."""
    measured = results.get("rates", [])
    return {key: max(one[key] for one in measured) for key in measured[0] if key != "case"} if measured else {}


# --- figures ----------------------------------------------------------------------------------------------------------

HEADER = ("clients", "server", "tok/s", "first token, ms: p50 / p99", "time per token, ms: p50 / p99", "errors")


def _figures(results: Mapping[str, Any], cases: Sequence[LoadCase]) -> str:
    rows = []
    for case in cases:
        cells = results["cells"][case.name]
        rows += [[case.title, name, *_figures_of(results, case, name)] for name in cells]
        rows += _limit_rows(results, case)
    return _table(HEADER, rows)


def _figures_of(results: Mapping[str, Any], case: LoadCase, name: str) -> list[str]:
    runs = _good(results, case, name)
    wrong = sum(len(run["errors"]) for run in runs)
    if not any(run["first_ms"] for run in runs):
        return ["fails", "", "", str(wrong) if runs else "all"]
    values = [run["value"] for run in runs]
    middle = statistics.median(values)
    spread = f" ± {50 * (max(values) - min(values)) / middle:.0f}%" if len(values) > 1 else ""
    best = _limits(results, case, name)
    share = f" ({100 * middle / best.tokens_per_second:.0f}%)" if best else ""
    times = [_percentiles([ms for run in runs for ms in run[key]]) for key in ("first_ms", "step_ms")]
    return [f"{_number(middle)}{spread}{share}", *times, str(wrong)]


def _percentiles(values: Sequence[float]) -> str:
    return f"{_number(percentile(values, 0.5))} / {_number(percentile(values, 0.99))}"


def _good(results: Mapping[str, Any], case: LoadCase, name: str) -> list[Mapping[str, Any]]:
    runs = results["cells"][case.name].get(name, {"runs": {}})["runs"]
    return [run for run in runs.values() if "value" in run]


def _limits(results: Mapping[str, Any], case: LoadCase, name: str) -> Any:
    """None for weights that never leave the cache: neither memory nor arithmetic says anything about them."""
    if case.new_tokens is None or not _rates(results):
        return None
    prompts = [r["prompt_tokens"] for n in results["cells"][case.name] for r in _good(results, case, n)]
    prompt = next(filter(None, prompts), case.words)
    config = ModelConfig.from_hf(results["config"])
    return limits(case, prompt, config, results["weight_bytes"][name], _rates(results))


def _limit_rows(results: Mapping[str, Any], case: LoadCase) -> list[list[str]]:
    rows = {}
    for name in results["cells"][case.name]:
        if best := _limits(results, case, name):
            told = [best.tokens_per_second, best.first_ms, best.step_ms]
            rows[results["weight_bytes"][name]] = [case.title, f"*limit of {name}*", *map(_number, told), ""]
    return list(rows.values())


# --- ratios -----------------------------------------------------------------------------------------------------------


def _ratios(results: Mapping[str, Any], cases: Sequence[LoadCase]) -> str:
    rows = [
        [case.title, f"{pair.ours} ÷ {pair.theirs}", *told]
        for pair in PAIRS
        for case in cases
        if (told := _ratio(results, case, pair))
    ]
    header = ["clients", "ours ÷ theirs", "throughput", "first token: p50, p99", "time per token: p50, p99"]
    note = (
        "Throughput: median of the rounds' ratios, lowest–highest. Against the engine alone (goal: at least 0.95, "
        "first token at most 10 ms later) times are differences; against others, how many times sooner.\n"
    )
    return _table(header, rows) + "\n" + note if rows else ""


def _ratio(results: Mapping[str, Any], case: LoadCase, pair: Pair) -> list[str] | None:
    cells = results["cells"][case.name]
    if pair.ours not in cells or pair.theirs not in cells:
        return None
    ratios = paired(cells[pair.ours]["runs"], cells[pair.theirs]["runs"])
    if not ratios:
        return None
    middle = statistics.median(ratios)
    spread = f", {min(ratios):.2f}–{max(ratios):.2f}" if len(ratios) > 1 else ""
    goal = _verdict(middle >= SHARE) if pair.alone else ""
    ours, theirs = _good(results, case, pair.ours), _good(results, case, pair.theirs)
    return [f"{middle:.2f}{spread}{goal}", *(_times(ours, theirs, pair, key) for key in ("first_ms", "step_ms"))]


def paired(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[float]:
    """Throughput of ours over theirs in each round that both have answered."""
    rounds = [n for n, run in ours.items() if run.get("value") and theirs.get(n, {}).get("value")]
    return [ours[n]["value"] / theirs[n]["value"] for n in rounds]


def _times(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], pair: Pair, key: str) -> str:
    mine, others = ([ms for run in runs for ms in run[key]] for runs in (ours, theirs))
    pairs = [(percentile(mine, share), percentile(others, share)) for share in (0.5, 0.99)]
    if not pair.alone:
        return ", ".join(f"{b / a:.1f}×" if a else "–" for a, b in pairs)
    later = [a - b for a, b in pairs]
    goal = _verdict(max(later) <= LATER_MS) if key == "first_ms" else ""
    return ", ".join(f"{ms:+.2f} ms" for ms in later) + goal


def _verdict(met: bool) -> str:
    return " (met)" if met else " (**not met**)"


def _generator(results: Mapping[str, Any]) -> str:
    """What the load generator takes from whoever is measured beside it."""
    found = results.get("ceiling")
    if not found:
        return ""
    share = max((run["generator_cpu"] / run["seconds"] for run in _runs(results) if "value" in run), default=0)
    return (
        f"The load generator takes {found['events_per_second']:,.0f} events a second from a server that sends canned "
        f"ones (at {found['cpu_us']:.1f} µs of its own time each); in the runs above it used {100 * share:.0f}% of one "
        "core at most."
    )
