"""Sansi's server beside its own engine, llama.cpp's servers and vLLM's: the same requests, the same minutes.

    python bench/serve.py nano --model checkpoints/nano
    python bench/serve.py 0.6b --model MODELS/0.6b --gguf GGUF/0.6b --llama-python PYTHON --llama-server BINARY \
        --vllm-python PYTHON
    python bench/serve.py 0.6b --publish           # the block in docs/RESULTS.md, from the saved figures

1, 8 and 32 clients ask for streamed chat completions; whoever has an answer asks the next question. "engine alone" is
`Engine.stream` in a process without a server: ids in, ids out; "ChatModel alone" has messages in and text out.
nano answers as it likes, by its preset and one seed per request, so every way has the same tokens to make. Random
weights of the 0.6B shape (`bench/checkpoints.py` writes them) answer to an equal length, sampled alike; an answer that
stops earlier counts as an error.

llama-server is built from the sources in llama-cpp-python's source distribution:

    cmake -S vendor/llama.cpp -B build -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_UI=OFF \
        -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF && cmake --build build --target llama-server

Every contender runs in a process of its own and stays loaded while memory lasts; one computes at a time, in another
order each round, on prompts that no cache has seen. The load generator shares the machine with them: the report says
what it takes. Figures are kept in `bench/results/serve-SHAPE.json` after every single one: run the same command again
to go on, `--fresh` to start anew. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from common import ROOT, commit, machine, parser, publish  # beside this script
from contenders import ContenderError, Pool, Process, Spec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sansi.base.files import read_json, write_text
from sansi.model.formats.folders import read_config
from serve_cases import CASES, NANO_CASES, LoadCase, run_of
from serve_load import HOST, ceiling, free_port, run_load
from serve_report import report

from engine import weight_bytes

WARM_UP = -1  # the round whose figures are thrown away
START_SECONDS = 600  # vLLM compiles before it listens
EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class ServerSpec(Spec):
    """A server over HTTP: `command` and `environment`, with "PORT" where its port belongs."""

    command: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    """What its requests say beside messages and max_tokens."""


class Server:
    """A running server. It computes only while `run` waits for it."""

    def __init__(self, spec: ServerSpec, log: Path, threads: int):
        self.spec, self._port = spec, free_port()
        own = {name: value.replace("PORT", str(self._port)) for name, value in spec.environment.items()}
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **own}
        command = [part.replace("PORT", str(self._port)) for part in spec.command]
        with log.open("a") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            self._model = self._wait()
        except BaseException:
            self.close()
            raise
        self.facts: dict[str, Any] = {"model": self._model}

    def run(self, case: Mapping[str, Any]) -> dict[str, Any]:
        bodies = [{"model": self._model, **body, **self.spec.body} for body in case["bodies"]]
        return run_load(self._port, bodies, case["concurrency"], case["length"])

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> str:
        """The name of the model, as soon as the server tells it."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ContenderError(f"{self.spec.name} ended with status {self._process.returncode}; see its log")
            try:
                with urllib.request.urlopen(f"http://{HOST}:{self._port}/v1/models", timeout=5) as reply:
                    return json.load(reply)["data"][0]["id"]
            except (OSError, ValueError, LookupError):
                time.sleep(0.2)
        raise ContenderError(f"{self.spec.name} did not listen within {START_SECONDS} s; see its log")


def begin(spec: Spec, log: Path, threads: int) -> Server | Process:
    return Server(spec, log, threads) if isinstance(spec, ServerSpec) else Process(spec, log, threads)


class Bench:
    """The loop over cases, rounds and contenders; `results` is what is saved."""

    def __init__(self, file: Path, specs: Sequence[Spec], options: argparse.Namespace):
        self.file, self.specs, self.options = file, specs, options
        config = read_config(options.model)
        fresh = options.fresh or not file.exists()
        self.results: dict[str, Any] = {"cells": {}, "facts": {}} if fresh else read_json(file)
        self.results |= {"shape": options.shape, "quick": options.quick, "machine": machine(options.threads)}
        known = self.results.get("weight_bytes", {})  # of an earlier run's contenders too
        known |= {spec.name: weight_bytes(spec, config) for spec in specs}
        self.results |= {"config": config.to_hf(), "weight_bytes": known}
        self.pool = Pool(options.logs, options.threads, start=begin)
        self.commit = commit()
        self.warm: set[tuple[Server | Process, str]] = set()

    def run(self, cases: Sequence[LoadCase]) -> None:
        work = [
            (case, number, spec)
            for case in cases
            for number in range(self.options.rounds)
            for spec in self._turn(number)
            if self._missing(case, spec, number)
        ]
        try:
            if work and self.options.shape != "nano":
                self._rate()
            if "ceiling" not in self.results:
                self.results["ceiling"] = ceiling()
            with _progress() as bar:
                task = bar.add_task("measuring", total=len(work))
                for case, number, spec in work:
                    shown = f"{case.title}, round {number}, {spec.name}: {self._step(case, number, spec)}"
                    bar.console.print(shown, highlight=False, markup=False, soft_wrap=True)
                    bar.advance(task)
                    bar.refresh()
        finally:
            self.pool.close()

    def _turn(self, number: int) -> list[Spec]:
        turn = number % len(self.specs)
        return [*self.specs[turn:], *self.specs[:turn]]

    def _missing(self, case: LoadCase, spec: Spec, number: int) -> bool:
        return "value" not in self._cell(case, spec)["runs"].get(str(number), {})

    def _step(self, case: LoadCase, number: int, spec: Spec) -> str:
        runs = self._cell(case, spec)["runs"]
        if number and "error" in runs.get("0", {}):
            return "left out: it failed in round 0"
        try:
            run = self._measure(case, spec, number)
        except ContenderError as error:
            self.pool.drop(spec.name)
            run = {"error": str(error)}
        runs[str(number)] = run
        self.save()
        if "error" in run:
            return run["error"]
        wrong = f", {len(run['errors'])} errors: {run['errors'][0]}" if run["errors"] else ""
        return f"{run['value']:,.1f} tok/s in {run['seconds']:.1f} s{wrong}"

    def _measure(self, case: LoadCase, spec: Spec, number: int) -> dict[str, Any]:
        contender = self.pool.get(spec)
        self.results["facts"][spec.name] = contender.facts | self._version(spec)
        if (contender, case.name) not in self.warm:  # each process once per case
            contender.run(self._asked(case, spec, case.make(WARM_UP)[: min(case.concurrency, 8)]))
            self.warm.add((contender, case.name))
        reply = contender.run(self._asked(case, spec, case.make(number)))
        return run_of(reply) | {"commit": self.commit}

    def _asked(self, case: LoadCase, spec: Spec, bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        own = {} if isinstance(spec, ServerSpec) else _body(self.options.shape)
        bodies = [{**body, **own} for body in bodies]
        return {"bodies": bodies, "concurrency": case.concurrency, "length": case.new_tokens}

    def _version(self, spec: Spec) -> dict[str, str]:
        package = {"llama-cpp-python": "llama_cpp", "vLLM": "vllm"}.get(spec.name.split()[0])
        known = self.results["facts"].get(spec.name, {})
        if package is None or "version" in known:
            return {"version": known["version"]} if "version" in known else {}
        code = f"import importlib.metadata as m; print(m.version(m.packages_distributions()[{package!r}][0]))"
        done = subprocess.run([spec.python, "-c", code], capture_output=True, text=True)
        return {"version": done.stdout.strip() or "?"}

    def _rate(self) -> None:
        """What the machine gives now, next to the figures that it limits."""
        measured = Process(Spec("machine", sys.executable, "machine_peer.py", ""), self.options.logs / "machine.log")
        try:
            self.results.setdefault("rates", []).append(measured.run({})["rates"])
        finally:
            measured.close()

    def _cell(self, case: LoadCase, spec: Spec) -> dict[str, Any]:
        return self.results["cells"].setdefault(case.name, {}).setdefault(spec.name, {"runs": {}})

    def save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.file, json.dumps(self.results) + "\n")  # thousands of numbers: not one a line


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), auto_refresh=False)  # drawn between measurements, not during


# --- who takes part ---------------------------------------------------------------------------------------------------

USAGE = {"stream_options": {"include_usage": True}}
# As people use it; greedy decoding of random weights would repeat one token, which may be white space.
SAMPLING = {"temperature": 1, "top_p": 0.95, "top_k": 20, "presence_penalty": 0}
PLAIN = {"chat_template_kwargs": {"enable_thinking": False}}  # a thought has limits that the others do not know
HEAD_BITS = 8.5  # of the embedding and the head beside int4; Q4_0 has 6.6 there
ROOM = {"context_length": 2048, "memory": 4 * 2**30}
ROOM_FLAGS = ("--context-length", "2048", "--memory", "4")


def _body(shape: str) -> dict[str, Any]:
    """What requests to Sansi say more, over HTTP and in process."""
    return USAGE | {"stream": True} if shape == "nano" else USAGE | {"stream": True} | SAMPLING | PLAIN


def contenders(options: argparse.Namespace) -> list[Spec]:
    """Everybody for whom the arguments name weights and an interpreter."""
    found = list(_nano(options) if options.shape == "nano" else _random_weights(options))
    if options.contenders:
        unknown = set(options.contenders) - {spec.name for spec in found}
        if unknown:
            raise SystemExit(f"no such contender: {', '.join(unknown)}; there are {', '.join(s.name for s in found)}")
        found = [spec for spec in found if spec.name in options.contenders]
    return found


def _nano(options: argparse.Namespace) -> Iterator[Spec]:
    yield _sansi("sansi", options)
    yield _alone("engine alone", options, way="engine")
    yield _alone("ChatModel alone", options, way="chat")


def _random_weights(options: argparse.Namespace) -> Iterator[Spec]:
    yield _sansi("sansi int4", options, 4.5, "--quantize", "int4", *ROOM_FLAGS)
    yield _alone("engine alone int4", options, 4.5, way="engine", quantize="int4", **ROOM)
    if options.llama_server and options.gguf:
        yield _llama_server(options)
    if options.llama_python and options.gguf:
        yield _llama_cpp_python(options)
    if options.vllm_python:
        yield _sansi("sansi bf16", options, 16, "--dtype", "bfloat16", *ROOM_FLAGS)
        yield _vllm(options)


def _sansi(name: str, options: argparse.Namespace, bits: float = 32, *flags: str) -> Spec:
    command = (sys.executable, "-m", "sansi.cli", "serve", options.model, "--port", "PORT", *flags)
    return ServerSpec(
        name,
        sys.executable,
        "",
        options.model,
        bits=bits,
        outer_bits=HEAD_BITS if bits < HEAD_BITS else bits,
        environment={"PYTHONPATH": str(ROOT)},
        command=command,
        body=_body(options.shape),
    )


def _alone(name: str, options: argparse.Namespace, bits: float = 32, **chosen: Any) -> Spec:
    outer = HEAD_BITS if bits < HEAD_BITS else bits
    return Spec(name, sys.executable, "sansi_chat_peer.py", options.model, chosen, bits, outer_bits=outer)


def _llama_server(options: argparse.Namespace) -> Spec:
    """llama.cpp's own server, continuous batching, a slot for every client."""
    file, threads = str(Path(options.gguf) / "Q4_0.gguf"), str(options.threads)
    flags = ("--parallel", "32", "--ctx-size", str(32 * 512), "--threads", threads, "--threads-batch", threads)
    command = (options.llama_server, "--model", file, "--host", HOST, "--port", "PORT", *flags, "--no-webui")
    body = USAGE | SAMPLING | PLAIN | {"ignore_eos": True}
    return ServerSpec("llama-server Q4_0", "", "", file, command=command, body=body)


def _llama_cpp_python(options: argparse.Namespace) -> Spec:
    """The server of llama-cpp-python: one request after the other."""
    file, threads = str(Path(options.gguf) / "Q4_0.gguf"), options.threads
    model = {"model": file, "n_ctx": 2048, "n_threads": threads, "n_threads_batch": threads, "flash_attn": True}
    model |= {"logits_all": False, "verbose": False, "chat_template_kwargs": PLAIN["chat_template_kwargs"]}
    settings = options.logs / "llama-cpp-python.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    # By default a new request breaks off the one before it.
    settings.write_text(json.dumps({"host": HOST, "interrupt_requests": False, "models": [model]}))
    command = (options.llama_python, "-m", "llama_cpp.server", "--config_file", str(settings))
    body = SAMPLING | {"repeat_penalty": 1.0}
    return ServerSpec(
        "llama-cpp-python Q4_0",
        options.llama_python,
        "",
        file,
        environment={"PORT": "PORT"},
        command=command,
        body=body,
    )


def _vllm(options: argparse.Namespace) -> Spec:
    flags = ("--dtype", "bfloat16", "--max-model-len", "2048", "--max-num-seqs", "64", "--enable-prefix-caching")
    if not options.vllm_compile:
        flags = (*flags, "--enforce-eager")
    program = (options.vllm_python, "-m", "vllm.entrypoints.openai.api_server")  # what `vllm serve` starts
    command = (*program, "--model", options.model, "--host", HOST, "--port", "PORT", *flags)
    environment = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": f"0-{options.threads - 1}"}
    environment["VLLM_NO_USAGE_STATS"] = "1"
    body = USAGE | SAMPLING | PLAIN | {"ignore_eos": True}
    return ServerSpec(
        "vLLM bf16",
        options.vllm_python,
        "",
        options.model,
        bits=16,
        environment=environment,
        command=command,
        body=body,
    )


# --- the command line -------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    options = parser(__doc__, "nano, 0.6b, tiny")
    options.add_argument("--gguf", help="folder with Q4_0.gguf")
    options.add_argument("--llama-python", help="interpreter that has llama_cpp and the extra [server]")
    options.add_argument("--llama-server", help="the program llama-server, built from llama.cpp")
    options.add_argument("--vllm-compile", action="store_true", help="let vLLM compile the model before it serves")
    options.add_argument("--cases", nargs="+", metavar="NAME", help="only these: c1, c8, c32")
    options.add_argument("--rounds", type=int, help="default: 7 for nano, else 3")
    options.add_argument("--quick", action="store_true", help="few short answers, one round: does everything run?")
    return options.parse_args()


def main() -> None:
    options = arguments()
    file = options.results / f"serve-{options.shape}{'-quick' if options.quick else ''}.json"
    if options.publish:
        return publish(f"serve:{options.shape}", report(read_json(file)))
    if not options.model:
        raise SystemExit("--model: which checkpoint folder? bench/checkpoints.py writes one")
    cases: Sequence[LoadCase] = NANO_CASES if options.shape == "nano" else CASES
    cases = [case for case in cases if not options.cases or case.name in options.cases]
    options.rounds = options.rounds or (7 if options.shape == "nano" else 3)
    if options.quick:
        cases, options.rounds = [case.rehearsal() for case in cases], 1
    options.logs.mkdir(parents=True, exist_ok=True)
    bench = Bench(file, contenders(options), options)
    bench.run(cases)
    bench.save()
    print(report(bench.results))


if __name__ == "__main__":
    main()
