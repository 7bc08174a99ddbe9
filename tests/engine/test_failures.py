"""Steps that fail, memory that runs out, listeners and limits that throw: who is to blame fails, and nobody else."""

from __future__ import annotations

import asyncio
import dataclasses
import queue
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from engine_models import RandomModel, TinyModel
from sansi.base.errors import SansiError
from sansi.engine import Engine, GrammarCompiler, SamplingParams
from sansi.engine.backends import TorchBackend
from sansi.engine.request import Request
from sansi.model.kernels.cpu.build import supported_isas
from schedules import CheckedEngine, run_all

PARAMS = SamplingParams(temperature=0, max_tokens=6)


class Fragile(TorchBackend):
    """Fails as told: for steps with too many tokens, or with a certain token in them."""

    most, poison, calls = 10**9, -1, 0

    def forward(self, batch):
        self.calls += 1
        if len(batch.ids) > self.most:
            raise torch.OutOfMemoryError(f"{len(batch.ids)} tokens")
        if self.poison in batch.ids.tolist():
            raise RuntimeError("poisoned")
        return super().forward(batch)


def engine_of(model, **options) -> tuple[CheckedEngine, Fragile]:
    backend = Fragile(model)
    return CheckedEngine(model, backend=backend, **options), backend


def expected(model, prompts, params=PARAMS):
    with Engine(model) as plain:
        return [c.ids for c in plain.generate(prompts, params)]


def test_a_step_too_large_for_the_memory_is_done_in_pieces():
    model = TinyModel()
    prompts = [[n, *range(8, 28)] for n in range(8, 14)]
    engine, backend = engine_of(model, max_prefill_tokens=128)
    backend.most = 9
    with engine:
        assert [c.ids for c in engine.generate(prompts, PARAMS)] == expected(model, prompts)
        metrics = engine.metrics()
        assert metrics.retries > 0 and metrics.failed == 0
        assert engine._scheduler.max_step_tokens < 128, "later steps are smaller"


def test_steps_grow_again_once_there_is_memory(monkeypatch):
    monkeypatch.setattr("sansi.engine.engine.GROW_AFTER", 8)
    engine, backend = engine_of(TinyModel(), max_prefill_tokens=128)
    with engine:
        backend.most = 60
        engine.generate([[n, *range(8, 28)] for n in range(8, 14)], PARAMS)
        assert engine._scheduler.max_step_tokens == 64
        engine.generate([[8]], dataclasses.replace(PARAMS, max_tokens=30))
        assert engine._scheduler.max_step_tokens == 128, "and no more than was asked for"


def test_who_has_no_memory_even_alone_makes_nobody_slower():
    class Poisoned(TorchBackend):
        def forward(self, batch):
            if 23 in batch.ids.tolist():
                raise MemoryError("no memory for it")
            return super().forward(batch)

    model = RandomModel()
    model.table.data[..., 23] = -1e9
    with CheckedEngine(model, backend=Poisoned(model), max_prefill_tokens=128) as engine:
        results = run_all(engine, [[n, 9] for n in range(8, 15)] + [[23] * 40], [PARAMS] * 8)
        assert isinstance(results[7], MemoryError) and engine._scheduler.max_step_tokens == 128
    assert [r.ids for r in results[:7]] == expected(model, [[n, 9] for n in range(8, 15)])


def test_one_in_the_queue_that_breaks_the_scheduler_is_answered():
    class Breaks(Request):
        def hashes_of(self, full_blocks):
            raise ZeroDivisionError

    with CheckedEngine(TinyModel()) as engine:
        before = engine.generate([[8] * 40] * 2, PARAMS)
        totals = engine.metrics()
        answers: queue.Queue = queue.Queue()
        engine._submit([Breaks([9] * 40, PARAMS, 6, 0, None, answers.put)])
        assert isinstance(answers.get(timeout=30), ZeroDivisionError)
        assert [c.ids for c in engine.generate([[8] * 40] * 2, PARAMS)] == [c.ids for c in before]
        metrics = engine.metrics()
    assert totals.prompt_tokens == 80 and metrics.prompt_tokens > 80, "counters do not begin anew"


def test_a_thread_that_dies_answers_everybody_and_another_takes_its_place():
    with CheckedEngine(TinyModel()) as engine:
        step, fail = engine._step, engine._fail
        engine._step = engine._fail = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            engine.generate([[8], [9]], PARAMS)
        engine._step, engine._fail = step, fail
        assert [c.ids for c in engine.generate([[8]], PARAMS)] == expected(TinyModel(), [[8]])


def test_an_abort_that_comes_while_requests_are_taken_in_is_not_lost():
    def abort_now(request: Request) -> None:
        threading.Thread(target=engine._abort, args=([request],)).start()
        time.sleep(0.1)  # long enough for it, unless it waits for its turn

    class Intruder(Request):
        @property
        def aborted(self) -> bool:
            if victim in engine._scheduler.running and not victim.aborted:
                abort_now(victim)
            return False

        @aborted.setter
        def aborted(self, value: bool) -> None:
            pass

    answers: queue.Queue = queue.Queue()
    with CheckedEngine(RandomModel(context=30_000, vocab_size=8)) as engine:
        victim = engine._request([1], SamplingParams(max_tokens=20_000), None, answers.put)
        engine._submit([victim])
        while not engine.running:
            time.sleep(0.001)
        engine._submit([Intruder([2], PARAMS, 6, 0, None, lambda _: None)])
        assert answers.get(timeout=30).finish_reason == "abort"


FORKS = """
import os, signal, torch
torch.set_num_threads(1)
from sansi.engine import Engine, SamplingParams
from sansi.model import ModelConfig, Transformer
model = Transformer(ModelConfig.preset("nano", num_hidden_layers=1, vocab_size=64))
engine = Engine(model, backend="torch", num_blocks=9)
ids = engine.generate([[1, 2]], SamplingParams(temperature=0, max_tokens=5))[0].ids
child = os.fork()
if child == 0:
    signal.alarm(30)
    same = engine.generate([[1, 2]], SamplingParams(temperature=0, max_tokens=5))[0].ids == ids
    os._exit(0 if same else 1)
print(os.waitpid(child, 0)[1])
"""


def test_a_fork_has_an_engine_that_works():
    ended = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "0\n", ended.stderr


FORKS_WHILE_IT_RUNS = """
import os, signal, threading, time, torch
torch.set_num_threads(1)
from sansi.engine import Engine, SamplingParams
from sansi.model import ModelConfig, Transformer
model = Transformer(ModelConfig.preset("nano", num_hidden_layers=4, vocab_size=64))
engine = Engine(model, backend="native", num_blocks=400)
def ask():
    return engine.generate([[1, 2]], SamplingParams(temperature=0, max_tokens=5))[0].ids
ids = ask()
long = [[1, 2, 3] * 40] * 8, SamplingParams(max_tokens=10**9)
threading.Thread(target=engine.generate, args=long, daemon=True).start()
while not engine.running:
    time.sleep(0.001)
ends = set()
for _ in range(4):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if ask() == ids else 1)
    ends.add(os.waitpid(child, 0)[1])
print(ends)
os._exit(0)
"""


@pytest.mark.skipif(not supported_isas(), reason="the CPU kernels are for Linux on x86-64")
def test_a_fork_in_the_middle_of_a_step_has_an_engine_that_works():
    """The lock of the kernels is held then, by a thread that the child does not have."""
    ended = subprocess.run([sys.executable, "-c", FORKS_WHILE_IT_RUNS], capture_output=True, text=True, timeout=240)
    assert ended.stdout == "{0}\n", ended.stderr


def test_without_memory_for_a_single_token_the_request_fails_and_says_so():
    engine, backend = engine_of(TinyModel())
    backend.most = 0
    with engine:
        with pytest.raises(torch.OutOfMemoryError, match="1 tokens"):
            engine.generate([[1] * 10], PARAMS)
        backend.most = 100
        assert len(engine.generate([[1]], PARAMS)[0].ids) == 6


def test_only_who_breaks_a_step_fails():
    model = RandomModel()
    model.table.data[..., 23] = -1e9  # nobody samples the poison
    prompts = [[n, 9] for n in range(8, 15)] + [[8, 23]] + [[n, 9] for n in range(15, 20)]
    engine, backend = engine_of(model)
    backend.poison = 23
    with engine:
        results = run_all(engine, prompts, [PARAMS] * len(prompts))
        assert isinstance(results[7], RuntimeError) and engine.metrics().failed == 1
        good = [r.ids for i, r in enumerate(results) if i != 7]
    assert good == expected(model, prompts[:7] + prompts[8:])


class Throws:
    finished = False

    def __init__(self, where: str, after: int):
        self.where, self.after, self.count = where, after, 0

    def mask(self):
        self._maybe("mask")
        return None

    def push(self, token: int) -> None:
        self.count += 1
        self._maybe("push")

    def _maybe(self, where: str) -> None:
        if where == self.where and self.count >= self.after:
            raise SansiError(f"the grammar failed in {where}")


@pytest.mark.parametrize("where", ["mask", "push"])
def test_a_constraint_that_throws_harms_only_its_request(where):
    model = TinyModel()
    prompts = [[8], [9], [10]]
    with CheckedEngine(model) as engine:
        made = engine._request

        def request(prompt, *rest):
            new = made(prompt, *rest)
            new.constraint = Throws(where, 3) if prompt == [9] else None
            return new

        engine._request = request
        results = run_all(engine, prompts, [PARAMS] * 3)
    assert isinstance(results[1], SansiError) and where in str(results[1])
    assert [results[0].ids, results[2].ids] == expected(model, [[8], [10]])


def test_a_proposer_that_throws_harms_only_its_request():
    class Proposer:
        calls = 0

        def propose(self, tokens, most):
            self.calls += 1
            return [5] if self.calls < 3 else 1 / 0

        def checked(self, drafted, accepted):
            pass

    model = TinyModel()
    with CheckedEngine(model) as engine:
        made = engine._request

        def request(prompt, *rest):
            new = made(prompt, *rest)
            new.proposer = Proposer() if prompt == [9] else None
            return new

        engine._request = request
        results = run_all(engine, [[8], [9], [10]], [dataclasses.replace(PARAMS, speculation=4)] * 3)
        assert engine.metrics().failed == 1
    assert isinstance(results[1], ZeroDivisionError)
    assert [results[0].ids, results[2].ids] == expected(model, [[8], [10]])


def test_grammars_of_vocabularies_of_different_sizes_share_a_step():
    def grammar(size: int):
        pieces = [b"", *(bytes([64 + i]) for i in range(1, size))]
        return GrammarCompiler(pieces, eos_id=0, special_ids=[0]).regex("[A-Z]+")

    model = TinyModel(vocab_size=70)
    params = [dataclasses.replace(PARAMS, grammar=grammar(size)) for size in (31, 40, 70)]
    with CheckedEngine(model) as engine:
        together = run_all(engine, [[8]] * 4, [*params, PARAMS])
        alone = [engine.generate([[8]], p)[0].ids for p in params]
    assert [completion.ids for completion in together] == [*alone, *expected(model, [[8]])]
    assert all(1 <= id_ <= 26 for ids in alone for id_ in ids)


def test_a_constraint_masks_ids():
    allowed = np.zeros(1, dtype=np.uint32)
    allowed[0] = (1 << 5) | (1 << 30)

    class Mask(Throws):
        def mask(self):
            return allowed

    with CheckedEngine(TinyModel()) as engine:
        made = engine._request

        def request(*arguments):
            new = made(*arguments)
            new.constraint = Mask("", 0)
            return new

        engine._request = request
        found = run_all(engine, [[8]], [dataclasses.replace(PARAMS, temperature=1.0, seed=1, max_tokens=30)])
    assert set(found[0].ids) == {5, 30}


def test_a_listener_that_throws_harms_only_its_request():
    model = TinyModel()
    with CheckedEngine(model) as engine:
        made = engine._request

        def request(prompt, *rest):
            new = made(prompt, *rest)
            if prompt == [9]:
                new.on_delta = lambda _: 1 / 0
            return new

        engine._request = request
        results = run_all(engine, [[8], [9]], [PARAMS] * 2)
    assert isinstance(results[1], ZeroDivisionError) and [results[0].ids] == expected(model, [[8]])


def test_a_stream_that_can_not_begin_keeps_no_event_loop(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no matcher")

    async def ask(engine):
        return [delta async for delta in engine.stream([8], PARAMS)]

    with CheckedEngine(TinyModel()) as engine:
        with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="no matcher"):
            patched.setattr(engine, "_request", fails)
            asyncio.run(ask(engine))
        assert not engine._mailboxes
        assert asyncio.run(ask(engine))[-1].completion is not None and not engine._mailboxes


def test_what_a_failed_request_computed_is_not_found_by_others():
    model = TinyModel()
    model.tokens.data[7] = float("nan")
    prompt = [*range(8, 28), 7]
    with CheckedEngine(model) as engine:
        for _ in range(2):
            with pytest.raises(FloatingPointError):
                engine.generate([prompt], PARAMS)
        assert engine.metrics().blocks_cached == 0
        assert engine.generate([prompt[:-1]], PARAMS)[0].usage.cached_tokens == 0


def test_nan_in_a_block_does_not_reach_its_next_owner():
    model = TinyModel()
    with CheckedEngine(model, num_blocks=16, max_prefill_tokens=16) as engine:
        engine.backend.keys.fill_(float("nan"))
        engine.backend.values.fill_(float("nan"))
        prompts = [[n, 9, 10] for n in range(11, 15)]
        assert [c.ids for c in engine.generate(prompts, PARAMS)] == expected(model, prompts)


LEAVES = """
import sys, threading, time, torch
torch.set_num_threads(1)
from sansi.engine import Engine, SamplingParams
from sansi.model import ModelConfig, Transformer
config = ModelConfig.preset("nano", num_hidden_layers=4, vocab_size=512)
engine = Engine(Transformer(config).eval(), backend=sys.argv[1], num_blocks=400)
params = SamplingParams(temperature=0, max_tokens=10**6)
threading.Thread(target=engine.generate, args=([[i] * 400 for i in range(8)], params), daemon=True).start()
while not engine.running:
    time.sleep(0.001)
time.sleep(0.05)
print("bye")
"""


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_a_program_may_end_while_the_engine_runs(backend):
    if backend == "native" and not supported_isas():
        pytest.skip("the CPU kernels are for Linux on x86-64")
    ended = subprocess.run([sys.executable, "-c", LEAVES, backend], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "bye\n", "")
