"""Sansi's engine beside llama.cpp, vLLM and transformers: the same weights, the same prompts, the same minutes.

    python bench/checkpoints.py write 0.6b MODELS/0.6b            # and gguf, see there
    python bench/engine.py 0.6b --model MODELS/0.6b --gguf GGUF/0.6b --llama-python PYTHON --vllm-python PYTHON
    python bench/engine.py nano --model checkpoints/nano
    python bench/engine.py 0.6b --publish                         # the table in docs/RESULTS.md, from the saved figures

Every contender runs in a process (and, for peers, an environment) of its own and stays loaded while memory lasts; one
computes at a time, two threads each. Cases go round by round, contender by contender, in another order each round, with
prompts that no cache has seen; ratios are taken within a round. A contender with variants (flash attention on or off;
cache dynamic or static) first runs them all and keeps the fastest for the case. Figures are kept in
`bench/results/engine-SHAPE.json` after every single one: run the same command again to go on, `--fresh` to start anew.
Leave the machine alone meanwhile: it has two cores, and all contenders spin.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common import commit, machine, parser, publish  # beside this script
from contenders import ContenderError, Pool, Spec
from engine_cases import CASES, NANO_CASES, Case, figure
from engine_report import report
from sansi.base.files import read_json, write_json
from sansi.model import ModelConfig
from sansi.model.formats.folders import read_config

WARM_UP = -1  # the round whose figures are thrown away
SLOW_ROUNDS = 2  # of a contender that takes over a minute for the case


class Bench:
    """The loop over cases, rounds and contenders; `results` is what is saved."""

    def __init__(self, file: Path, specs: Sequence[Spec], config: ModelConfig, options: argparse.Namespace):
        self.file, self.specs, self.config, self.options = file, specs, config, options
        fresh = options.fresh or not file.exists()
        self.results: dict[str, Any] = {"cells": {}, "facts": {}} if fresh else read_json(file)
        self.results |= {"shape": options.shape, "scale": options.scale, "machine": machine(options.threads)}
        self.results.setdefault("weight_bytes", {})  # of an earlier run's contenders too
        for spec in specs:
            self.results["weight_bytes"][spec.name] = weight_bytes(spec, config)
        self.pool = Pool(options.logs, options.threads)
        self.machine = Spec("machine", sys.executable, "machine_peer.py", "")
        self.commit = commit()

    def run(self, cases: Sequence[Case]) -> None:
        try:
            for case in cases:
                for number in range(1 if case.name == "check" else self.options.rounds):
                    self._round(case, number)
        finally:
            self.pool.close()

    def _round(self, case: Case, number: int) -> None:
        turn = number % len(self.specs)
        missing = [s for s in [*self.specs[turn:], *self.specs[:turn]] if self._missing(case, s, number)]
        if missing:
            self._rate(case)
        for spec in missing:
            try:
                run = self._measure(case, spec, number)
            except ContenderError as error:
                self.pool.drop(spec.name)
                run = {"error": str(error)}
            self._cell(case, spec)["runs"][str(number)] = run
            self.save()
            shown = run.get("error") or f"{run['value']:.4g} {case.unit} in {run['seconds']:.1f} s"
            print(f"{case.name} {number} {spec.name}: {shown}", flush=True)

    def _missing(self, case: Case, spec: Spec, number: int) -> bool:
        if spec.only and case.name not in spec.only:
            return False
        runs = self._cell(case, spec)["runs"]
        if "error" in runs.get("0", {}) and number:
            return False
        slow = number >= SLOW_ROUNDS and max((r.get("seconds", 0) for r in runs.values()), default=0) > 60
        return not slow and "value" not in runs.get(str(number), {})

    def _measure(self, case: Case, spec: Spec, number: int) -> dict[str, Any]:
        variant = self._variant(case, spec)
        asked = {**case.make(number, self.config.vocab_size), "variant": variant}
        started = time.perf_counter()
        if case.metric == "megabytes":
            value, reply = self._memory(spec, asked), {"ids": []}
        else:
            reply = self.pool.get(spec).run(asked)
            if [len(ids) for ids in reply["ids"]] != asked["new_tokens"]:
                raise ContenderError(f"{spec.name}: not as many tokens as asked")
            value = figure(case, asked, reply["times"])
        run = {"value": value, "seconds": time.perf_counter() - started, "commit": self.commit}
        return run | ({"ids": reply["ids"][0]} if case.name == "check" else {})

    def _variant(self, case: Case, spec: Spec) -> str | None:
        """The fastest variant; finding it is the warm-up too."""
        process = self.pool.get(spec)
        self.results["facts"][spec.name] = process.facts
        cell = self._cell(case, spec)
        if case.tune_as is not None:
            return self.results["cells"].get(case.tune_as, {}).get(spec.name, {}).get("variant")
        variants = process.facts["variants"] or [None]
        if "variant" not in cell:
            asked = case.make(WARM_UP, self.config.vocab_size)
            tried = {}
            for variant in variants:
                times = process.run({**asked, "variant": variant})["times"]
                tried[variant] = max(tokens[-1] for tokens in times)
            cell["variant"] = min(tried, key=tried.__getitem__)
            cell["tried"] = {str(variant): seconds for variant, seconds in tried.items()}
        return cell["variant"]

    def _memory(self, spec: Spec, asked: dict[str, Any]) -> float:
        self.pool.drop(spec.name)
        process = self.pool.fresh(spec)
        try:
            process.run({**asked, "context": 4096})
            return process.peak_megabytes()
        finally:
            process.close()

    def _rate(self, case: Case) -> None:
        """What the machine gives now, next to the figures that it limits."""
        if case.name != "check":
            rates = self.pool.get(self.machine).run({})["rates"]
            self.pool.drop("machine")
            self.results.setdefault("rates", []).append({"case": case.name, **rates})

    def _cell(self, case: Case, spec: Spec) -> dict[str, Any]:
        return self.results["cells"].setdefault(case.name, {}).setdefault(spec.name, {"runs": {}})

    def save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, self.results)


# --- who takes part -----------------------------------------------------------------------------------------------


def contenders(options: argparse.Namespace) -> list[Spec]:
    """Everybody for whom the arguments name weights and an interpreter."""
    found = list(_sansi(options))
    if options.llama_python and options.gguf:
        found += _llama(options)
    if options.vllm_python:
        found += _vllm(options)
    if not options.no_transformers:
        found += _transformers(options)
    if options.contenders:
        unknown = set(options.contenders) - {spec.name for spec in found}
        if unknown:
            raise SystemExit(f"no such contender: {', '.join(unknown)}; there are {', '.join(s.name for s in found)}")
        found = [spec for spec in found if spec.name in options.contenders]
    return found


def _sansi(options: argparse.Namespace) -> Iterator[Spec]:
    room = {"context_length": 8192, "num_blocks": 8192 // 16}
    small = {"context_length": 4096, "num_blocks": 4096 // 16}
    if options.shape == "nano":
        yield Spec("sansi fp32", sys.executable, "sansi_peer.py", options.model, {"dtype": "float32"})
        return
    for name, bits, outer, precision in (
        ("int4", 4.5, 8.5, {"quantize": "int4"}),
        ("int4-pure", 4.5, 4.5, {"quantize": "int4", "outer": "int4"}),
        ("int8", 8.5, 8.5, {"quantize": "int8"}),
        ("bf16", 16, 16, {"dtype": "bfloat16"}),
        ("fp32", 32, 32, {"dtype": "float32"}),
    ):
        yield Spec(
            f"sansi {name}",
            sys.executable,
            "sansi_peer.py",
            options.model,
            {**room, **precision},
            bits,
            outer_bits=outer,
            memory_options=small,
        )


def _llama(options: argparse.Namespace) -> Iterator[Spec]:
    for kind in ("Q4_0", "Q4_0-pure", "Q8_0", "F16"):
        file = Path(options.gguf) / f"{kind}.gguf"
        if file.exists():
            yield Spec(f"llama.cpp {kind}", options.llama_python, "llama_cpp_peer.py", str(file))
    file = Path(options.gguf) / "Q4_0.gguf"
    way = {"way": "sequential"}
    only = ("shared", "common")
    yield Spec("llama-cpp-python Q4_0", options.llama_python, "llama_cpp_peer.py", str(file), way, only=only)


def _vllm(options: argparse.Namespace) -> Iterator[Spec]:
    for name, bits, gib in (("float32", 32, 2), ("bfloat16", 16, 1)):
        chosen = {"dtype": name, "cache_gib": gib, "max_model_len": 8192 if options.shape != "nano" else 1024}
        small = {"max_model_len": 4096, "cache_gib": 1} if options.shape != "nano" else {}
        label = "vLLM " + {"float32": "fp32", "bfloat16": "bf16"}[name]
        yield Spec(label, options.vllm_python, "vllm_peer.py", options.model, chosen, bits, memory_options=small)


def _transformers(options: argparse.Namespace) -> Iterator[Spec]:
    for name, bits in (("float32", 32), ("bfloat16", 16)):
        label = "transformers " + {"float32": "fp32", "bfloat16": "bf16"}[name]
        yield Spec(label, sys.executable, "transformers_peer.py", options.model, {"dtype": name}, bits)


def weight_bytes(spec: Spec, config: ModelConfig) -> int:
    path = Path(spec.model)
    if path.is_file():
        return path.stat().st_size
    inner, total = config.num_parameters(embedding=False), config.num_parameters()
    outer_bits = spec.bits if spec.outer_bits is None else spec.outer_bits
    return int((inner * spec.bits + (total - inner) * outer_bits) / 8)


# --- the command line ---------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    options = parser(__doc__, "0.6b, moe, nano, tiny")
    options.add_argument("--gguf", help="folder with Q4_0.gguf and so on")
    options.add_argument("--llama-python", help="interpreter that has llama_cpp")
    options.add_argument("--no-transformers", action="store_true")
    options.add_argument("--cases", nargs="+", metavar="NAME", help="only these")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="small cases, one round: does everything run?")
    return options.parse_args()


def main() -> None:
    options = arguments()
    file = options.results / f"engine-{options.shape}{'-quick' if options.quick else ''}.json"
    if options.publish:
        return publish(f"engine:{options.shape}", report(read_json(file)))
    if not options.model:
        raise SystemExit("--model: which checkpoint folder? bench/checkpoints.py writes one")
    cases: Sequence[Case] = NANO_CASES if options.shape == "nano" else CASES
    cases = [case for case in cases if not options.cases or case.name in options.cases]
    options.scale = 1 / 8 if options.quick else 1
    if options.quick:
        cases, options.rounds = [case.scaled(options.scale) for case in cases], 1
    options.logs.mkdir(parents=True, exist_ok=True)
    config = read_config(options.model)
    bench = Bench(file, contenders(options), config, options)
    bench.results["config"] = config.to_hf()
    bench.run(cases)
    bench.save()
    print(report(bench.results))


if __name__ == "__main__":
    main()
