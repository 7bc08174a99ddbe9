"""The engine: requests in from any thread, one stepping thread that runs the model, completions out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

import torch

from sansi.base.device import DeviceLike, DtypeLike
from sansi.base.errors import SansiError
from sansi.base.progress import Bar
from sansi.base.shown import show
from sansi.base.threads import run_operators_alone
from sansi.engine.adapters import for_base, number_of, read_adapters
from sansi.engine.backends import check_choice, load_backend, make_backend
from sansi.engine.batch import BLOCK, Backend
from sansi.engine.blocks import BlockPool
from sansi.engine.mailbox import Mailbox, Stream
from sansi.engine.memory import (
    MemoryPlan,
    Sizes,
    activations_of,
    free_memory,
    plan_checkpoint,
    scored_rows,
    share_out,
    step_tokens_of,
    stored_in,
)
from sansi.engine.metrics import EngineMetrics, Meter
from sansi.engine.params import SamplingParams, check_params, check_prompt
from sansi.engine.request import Request
from sansi.engine.results import Completion, Delta, FinishReason
from sansi.engine.runner import Outcome, Runner
from sansi.engine.scheduler import Scheduler, Work
from sansi.engine.weights import Weights
from sansi.model import ModelConfig, Transformer
from sansi.model.adapters import Adapter
from sansi.model.formats.gguf.names import architecture_of
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import ModelWeights

IDLE_SECONDS = 5.0  # after so long without work the stepping thread ends, so that a dropped engine can be collected
EXIT_SECONDS = 10.0  # a program that ends waits so long for the step that runs
GROW_AFTER = 256  # steps without a failure, after which what one step may read doubles, up to what was asked for

log = logging.getLogger("sansi")


class Engine:
    """Batched generation over token ids.

    The engine uses the model itself: a trainer may change the weights in place between calls of `generate` (and must
    not while requests run), and the next call uses the new ones. What an optimiser does is always noticed; after a
    change by hand of a few elements through `.data`, call `refresh`. All work happens on one background thread under
    `torch.inference_mode`, so the caller's autograd state does not matter.

    model: a `Transformer`, on its device. max_batch: most requests in one step; the rest wait in a queue.
    context_length: prompt and completion together; default: the model's, or less where the memory is too small.
    max_prefill_tokens: most tokens that one step reads; longer prompts are read in several, beside those who decode.
    backend: "auto", "native" (our CPU kernels), "cuda" (our GPU kernels), "torch", or a Backend.
    quantize: "int8", "int4" or None; native only. outer: the same for embedding and LM head, default int8.
    batch_invariant: bitwise the same results alone or in any batch, at some cost; native always is.
    prefix_cache: prompts that begin alike are read once. memory: bytes for weights, cache and activations together, or
    a share of the free memory when 1 or less. num_blocks: blocks of 16 tokens in the cache, instead of a plan.
    config: in the place of `model`, where a backend holds the weights by itself. adapters: PEFT folders by name, or
    what `read_adapter` made of them; `SamplingParams.adapter` chooses one, and requests of several share a step.

    Raises SansiError, with the numbers, when the model or one request of `context_length` does not fit.
    """

    def __init__(
        self,
        model: Transformer | None,
        max_batch: int = 64,
        context_length: int | None = None,
        max_prefill_tokens: int | None = None,
        *,
        backend: str | Backend = "auto",
        quantize: str | None = None,
        outer: str | None = None,
        batch_invariant: bool = False,
        prefix_cache: bool = True,
        memory: int | float | None = None,
        num_blocks: int | None = None,
        config: ModelConfig | None = None,
        adapters: Mapping[str, Adapter | str | Path] | None = None,
    ):
        _check_options(max_batch, context_length, max_prefill_tokens, num_blocks, prefix_cache, batch_invariant)
        self.adapters: Mapping[str, Adapter] = {}
        """By the names that requests ask for them by."""
        if isinstance(backend, str):
            if model is None:
                raise SansiError(f'backend "{backend}" needs a model; from_pretrained loads one', param="model")
            if adapters:
                self.adapters = for_base(read_adapters(adapters, model.config), ModelWeights(model))
            backend = make_backend(model, backend, quantize, batch_invariant, outer, list(self.adapters.values()))
        elif quantize or outer or batch_invariant or adapters:
            raise SansiError(
                "quantize, outer, batch_invariant and adapters choose a backend by name; this one is made already",
                param="backend",
            )
        self.model, self.backend = model, backend
        self.config = config or _config_of(model)
        self.vocab_size, self.device = self.config.vocab_size, backend.device
        self._max_batch, self._prefix_cache = max_batch, prefix_cache
        self._step_tokens = max_prefill_tokens or step_tokens_of(self.device)
        self.plan = self._plan(context_length, memory, num_blocks)
        self.context_length = self.plan.context_length
        backend.allocate(self.plan.num_blocks)
        self._meter = Meter()
        self._runner, self._scheduler = self._new_runner(), self._new_scheduler()
        self._inbox: list[Request] = []  # guarded by _wake; the stepping thread empties it
        self._mailboxes: dict[asyncio.AbstractEventLoop, Mailbox] = {}  # of those loops that have open streams
        self._wake = threading.Condition()
        self._arrivals = 0
        self._aborting = False  # some request's `aborted` is set
        self._stale = False  # the weights have changed
        self._short_of_memory = False  # in the step that runs
        self._good_steps = 0  # since one failed, or since steps were made larger
        self._weights = Weights(model) if model is not None else None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        weakref.finalize(self, _close_at_exit, weakref.ref(self))

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: DeviceLike = "auto",
        dtype: DtypeLike = "auto",
        max_batch: int = 64,
        *,
        quantize: str | None = None,
        outer: str | None = None,
        backend: str = "auto",
        memory: int | float | None = None,
        context_length: int | None = None,
        batch_invariant: bool = False,
        max_prefill_tokens: int | None = None,
        prefix_cache: bool = True,
        num_blocks: int | None = None,
        adapters: Mapping[str, Adapter | str | Path] | None = None,
    ) -> Engine:
        """Load a checkpoint folder, full or quantised (`sansi quantize`); arguments as for Engine.

        Raises SansiError when the folder is missing or damaged, and, before the weights are read, for impossible
        options and when it does not fit.
        """
        _check_options(max_batch, context_length, max_prefill_tokens, num_blocks, prefix_cache, batch_invariant)
        stored = stored_in(folder)
        check_choice(backend, quantize)
        beside = read_adapters(adapters, stored.config)
        if any(adapter.copies for adapter in beside.values()):
            beside = for_base(beside, open_source(folder))
        # Raises when it can not fit; what is planned in the end goes by what the backend really takes.
        plan_checkpoint(
            stored,
            device,
            dtype,
            max_batch,
            quantize=quantize,
            backend=backend,
            memory=memory,
            context_length=context_length,
            max_prefill_tokens=max_prefill_tokens,
            num_blocks=num_blocks,
        )
        chosen, model = load_backend(
            folder, device, dtype, backend, quantize, batch_invariant, outer, list(beside.values())
        )
        engine = cls(
            model,
            max_batch,
            context_length,
            max_prefill_tokens,
            backend=chosen,
            prefix_cache=prefix_cache,
            memory=memory,
            num_blocks=num_blocks,
            config=stored.config,
        )
        engine.adapters = beside
        return engine

    # ---- asking -------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams | Sequence[SamplingParams],
        progress: Bar | None = None,
    ) -> list[Completion]:
        """Complete every prompt; one SamplingParams for all, or one each. Returns in the order of the prompts.

        progress: moves by one with each that is complete. Raises SansiError before any work if one prompt or parameter
        is wrong. Interrupting the call aborts them all.
        """
        each = [params] * len(prompts) if isinstance(params, SamplingParams) else list(params)
        if len(each) != len(prompts):
            raise SansiError(
                f"{len(prompts)} prompts but {len(each)} SamplingParams; give one, or one each", param="params"
            )
        results: dict[int, Completion | Exception] = {}
        news = threading.Semaphore(0)

        def receiver(index: int) -> Callable[[Completion | Exception], None]:
            def receive(result: Completion | Exception) -> None:
                results[index] = result
                news.release()

            return receive

        pairs = enumerate(zip(prompts, each, strict=True))
        requests = [self._request(prompt, p, None, receiver(i)) for i, (prompt, p) in pairs]
        self._submit(requests)
        try:
            for _ in requests:
                news.acquire()
                if progress is not None:
                    progress.update()
        except BaseException:
            self._abort(requests)
            raise
        return [_completion_or_raise(results[i]) for i in range(len(requests))]

    def stream(self, ids: Sequence[int], params: SamplingParams) -> AsyncGenerator[Delta, None]:
        """Complete one prompt, a delta at a time; the last delta carries the completion.

        Wrong input raises SansiError here, at the call. Ending the iteration early (break with `aclose`, task
        cancellation) frees its cache blocks at the next step.
        """
        self._check_open()
        params = check_params(params, self.vocab_size)
        self.check_adapter(params.adapter)
        ids = check_prompt(ids, self.vocab_size, self.context_length, params.max_tokens)
        return self._stream(ids, params)

    async def _stream(self, ids: Sequence[int], params: SamplingParams) -> AsyncGenerator[Delta, None]:
        loop = asyncio.get_running_loop()
        mailbox = self._mailboxes.get(loop) or Mailbox(loop)
        stream = Stream(mailbox)

        def post(item: Delta | Completion | Exception) -> None:
            try:
                stream.post(item)
            except RuntimeError:  # the event loop is closed: nobody listens any more
                self._abort([request])

        request = self._request(ids, params, post, post, checked=True)
        self._mailboxes[loop] = mailbox
        mailbox.open += 1
        try:
            self._submit([request])
            while True:
                for item in await stream.take():
                    if isinstance(item, Delta):
                        yield item
                        continue
                    completion = _completion_or_raise(item)
                    nothing = () if params.logprobs else None
                    yield Delta((), nothing, completion, () if params.top_logprobs else None)
                    return
        finally:
            self._abort([request])
            mailbox.open -= 1
            if not mailbox.open:
                self._mailboxes.pop(loop, None)  # a fork's child has forgotten it

    def close(self) -> None:
        """Abort what runs and end the stepping thread. Closing twice is fine."""
        self._close(None)

    def _close(self, timeout: float | None) -> None:
        self._check_process()
        with self._wake:
            self._closed = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def architecture(self) -> str:
        """The design, as programs that read GGUF name it: qwen3, qwen3moe, qwen2 or llama."""
        return architecture_of(self.config)

    @property
    def running(self) -> int:
        """Requests that hold cache blocks now."""
        return len(self._scheduler.running)

    def metrics(self) -> EngineMetrics:
        """Counters and gauges of this moment."""
        meter, scheduler, pool = self._meter, self._scheduler, self._scheduler.pool
        prefill_rate, decode_rate = meter.rates()
        return EngineMetrics(
            waiting=len(scheduler.waiting) + len(self._inbox),
            running=len(scheduler.running),
            preempted=scheduler.preempted,
            preemptions=scheduler.preemptions,
            blocks_free=pool.free,
            blocks_cached=pool.cached,
            blocks_owned=pool.owned,
            prompt_tokens=scheduler.prompt_tokens,
            cached_tokens=scheduler.cached_tokens,
            prefill_tokens=meter.prefill_tokens,
            decode_tokens=meter.decode_tokens,
            prefill_tokens_per_second=prefill_rate,
            decode_tokens_per_second=decode_rate,
            thinking_tokens=meter.thinking_tokens,
            thinking_ends=dict(meter.thinking_ends),
            finished=dict(meter.finished),
            drafted_tokens=meter.drafted_tokens,
            accepted_tokens=meter.accepted_tokens,
            failed=meter.failed,
            retries=meter.retries,
            steps=meter.steps,
        )

    def check_adapter(self, name: str | None) -> None:
        """Raise SansiError, with the names that there are, for an adapter that there is not."""
        number_of(name, self.adapters)

    def refresh(self) -> None:
        """The weights have changed in a way that torch does not count (`.data`): the next step takes them over."""
        with self._wake:
            self._stale = True

    def _request(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        on_delta: Callable[[Delta], None] | None,
        on_end: Callable[[Completion | Exception], None],
        checked: bool = False,
    ) -> Request:
        if not checked:
            params = check_params(params, self.vocab_size)
            prompt = check_prompt(prompt, self.vocab_size, self.context_length, params.max_tokens)
        return Request(
            prompt=list(prompt),
            params=params,
            max_tokens=min(params.max_tokens, self.context_length - len(prompt)),
            seed=params.seed if params.seed is not None else secrets.randbits(63),
            on_delta=on_delta,
            on_end=on_end,
            adapter=number_of(params.adapter, self.adapters),
        )

    def _new_runner(self) -> Runner:
        return Runner(self.backend, self.vocab_size, self._max_batch)

    def _new_scheduler(self) -> Scheduler:
        return Scheduler(
            BlockPool(self.plan.num_blocks),
            self._max_batch,
            self._step_tokens,
            max_scored=scored_rows(self.vocab_size),
            prefix_cache=self._prefix_cache,
        )

    def _plan(self, context_length: int | None, memory: int | float | None, num_blocks: int | None) -> MemoryPlan:
        """The memory as it will be shared out, by what the backend really takes."""
        backend = self.backend
        activations = activations_of(self.config, self._step_tokens, self._max_batch)
        sizes = Sizes(backend.weight_bytes, backend.block_bytes, activations)
        free = free_memory(self.device) + backend.weight_bytes  # they are in memory already
        model_context = self.config.context_length
        return share_out(sizes, self.device, free, model_context, self._max_batch, context_length, memory, num_blocks)

    def _check_open(self) -> None:
        if self._closed:
            raise SansiError("the engine is closed; make a new one")

    def _submit(self, requests: Sequence[Request]) -> None:
        self._check_process()
        with self._wake:
            self._check_open()
            if self._weights is not None and self._nobody_is_served():
                self._stale |= self._weights.changed()
            for request in requests:
                request.arrival = self._arrivals
                self._arrivals += 1
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="sansi-engine", daemon=True)
                self._thread.start()
            self._inbox.extend(requests)
            self._wake.notify()

    def _abort(self, requests: Sequence[Request]) -> None:
        with self._wake:
            for request in requests:
                request.aborted = True
            self._aborting = True
            self._wake.notify()

    def _nobody_is_served(self) -> bool:
        """Whether all that still runs was aborted: to its caller it has ended, so the weights may change."""
        scheduler = self._scheduler
        return all(r.aborted for r in (*self._inbox, *tuple(scheduler.waiting), *tuple(scheduler.running)))

    def _check_process(self) -> None:
        """A fork takes neither the stepping thread nor the callers of its requests along: begin anew."""
        if self._process == os.getpid():
            return
        self._process, self._thread, self._wake = os.getpid(), None, threading.Condition()
        self._inbox, self._mailboxes = [], {}
        self._runner, self._scheduler = self._new_runner(), self._new_scheduler()

    # ---- the stepping thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            if self.backend.own_threads:
                run_operators_alone()
            with torch.inference_mode():
                while self._take():
                    try:
                        self._step()
                    except Exception as error:  # a bug: whoever is in it hears of it, and the engine goes on
                        self._fail(error)
        except BaseException as error:  # a bug outside of steps: the thread ends, and nobody waits for it
            log.critical("the engine's thread ended", exc_info=error)
            self._give_up(error)

    def _take(self) -> bool:
        """Wait for work and queue what came in; False when the thread is to end."""
        with self._wake:
            self._wake.wait_for(lambda: self._closed or self._inbox or self._scheduler.busy, timeout=IDLE_SECONDS)
            self._aborting |= any(request.aborted for request in self._inbox)
            self._scheduler.waiting.extend(self._inbox)
            self._inbox.clear()
            if self._closed:
                self._end_all()
            if not self._scheduler.busy:
                self._thread = None  # under the lock: the next request starts another
            return self._scheduler.busy

    def _step(self) -> None:
        """Drop the aborted, run what the scheduler says, and hand out what came of it."""
        if self._stale:
            self._stale = False  # before the work: a change that comes meanwhile is another
            self.backend.refresh()
            self._scheduler.drop_cache()
        if self._aborting:
            self._drop_aborted()
        if not self._scheduler.busy:
            return
        begun = time.perf_counter()
        works = self._scheduler.schedule()
        read = sum(work.request.remaining for work in works if not work.request.sampled and work.samples)
        read += sum(work.count for work in works if not work.samples)
        retries = self._meter.retries
        outcomes = self._compute(works)
        for outcome in outcomes:
            self._settle(outcome)
        self._pace(outcomes, self._meter.retries > retries)
        made, forced = sum(outcome.new for outcome in outcomes), sum(outcome.forced for outcome in outcomes)
        self._meter.step(time.perf_counter() - begun, read, made, forced)

    def _compute(self, works: list[Work]) -> list[Outcome]:
        """Run the works together; where that fails, in halves, so that only what cannot run by itself fails."""
        try:
            logits = self._runner.forward(works)
        except Exception as error:
            return self._retry(works, error)
        return self._runner.advance(works, logits)

    def _retry(self, works: list[Work], error: Exception) -> list[Outcome]:
        self._meter.retries += 1
        memory = _is_out_of_memory(error)
        self._short_of_memory |= memory
        if len(works) > 1:
            half = len(works) // 2
            log.warning("a step of %d requests failed (%s); trying it in two halves", len(works), error)
            return self._compute(works[:half]) + self._compute(works[half:])
        work = works[0]
        if memory and work.count > 1:
            work.request.proposal = []
            work.count = min(work.count // 2, work.request.remaining)
            log.warning("out of memory (%s); trying a piece of %d tokens", error, work.count)
            return self._compute(works)
        return [Outcome(work.request, end=error)]

    def _pace(self, outcomes: list[Outcome], retried: bool) -> None:
        """Read less at a time after a step too large for the memory, and more again after many that were not."""
        scheduler = self._scheduler
        alone = any(isinstance(o.end, Exception) and _is_out_of_memory(o.end) for o in outcomes)
        if self._short_of_memory and not alone:  # who has no memory even by itself says nothing about the others
            scheduler.max_step_tokens = max(BLOCK, scheduler.max_step_tokens // 2)
        self._good_steps = 0 if retried else self._good_steps + 1
        if self._good_steps >= GROW_AFTER and scheduler.max_step_tokens < self._step_tokens:
            scheduler.max_step_tokens = min(2 * scheduler.max_step_tokens, self._step_tokens)
            self._good_steps = 0
        self._short_of_memory = False

    def _settle(self, outcome: Outcome) -> None:
        """Hand out the new tokens of a request, and end it if that is due."""
        request, end = outcome.request, outcome.end
        if not isinstance(end, Exception):
            self._scheduler.computed(request, outcome.computed)
            if outcome.new and request.first_token is None:
                request.first_token = time.monotonic()
            if outcome.new and request.on_delta is not None:
                try:
                    request.on_delta(request.delta(outcome.new))
                except Exception as error:  # the listener's own; it harms nobody else
                    end = error
        if end is not None:
            self._scheduler.finish(request, forget=isinstance(end, Exception))
            self._end(request, end)

    def _end(self, request: Request, end: FinishReason | Exception) -> None:
        """Tell whoever asked. The request holds nothing any more."""
        self._runner.forget(request)
        if isinstance(end, Exception):
            self._meter.failed += 1
            result: Completion | Exception = end
        else:
            result = request.completion(end)
            self._meter.end(result)
        try:
            request.on_end(result)
        except Exception:
            log.exception("whoever asked for a completion could not take it")

    def _drop_aborted(self) -> None:
        self._aborting = False  # first: what is aborted from now on sets it again
        scheduler = self._scheduler
        for request in [r for r in (*scheduler.running, *scheduler.waiting) if r.aborted]:
            scheduler.finish(request)
            self._end(request, "abort")

    def _fail(self, error: Exception) -> None:
        """End all that runs with `error`, or who is next if nothing does; what waits has another chance."""
        failed = self._scheduler.restart(BlockPool(self.plan.num_blocks))
        log.error("the engine's step failed; %d requests end with its error", len(failed), exc_info=error)
        self._runner = self._new_runner()
        for request in failed:
            self._end(request, error)

    def _give_up(self, error: BaseException) -> None:
        """Tell everybody; the next request starts another thread."""
        with self._wake:
            everybody = [*self._scheduler.running, *self._scheduler.waiting, *self._inbox]
            self._inbox.clear()
            self._scheduler.restart(BlockPool(self.plan.num_blocks))
            self._scheduler.waiting.clear()
            self._scheduler.preempted = 0
            self._runner, self._thread = self._new_runner(), None
        failure = error if isinstance(error, Exception) else RuntimeError(f"the engine's thread ended: {error!r}")
        for request in everybody:
            with contextlib.suppress(Exception):
                request.on_end(failure)

    def _end_all(self) -> None:
        scheduler = self._scheduler
        for request in [*scheduler.running, *scheduler.waiting]:
            scheduler.finish(request)
            self._end(request, "abort")


def _close_at_exit(engine: weakref.ref[Engine]) -> None:
    """A step that goes on while the interpreter is taken apart under it would crash it."""
    if (alive := engine()) is not None:  # else it was collected, which is no exit
        alive._close(EXIT_SECONDS)


def _config_of(model: Transformer | None) -> ModelConfig:
    if model is None:
        raise SansiError("without a model, its configuration is needed", param="config")
    return model.config


def _check_options(
    max_batch: int,
    context_length: int | None,
    max_prefill_tokens: int | None,
    num_blocks: int | None,
    prefix_cache: bool,
    batch_invariant: bool,
) -> None:
    sizes = {"context_length": context_length, "max_prefill_tokens": max_prefill_tokens, "num_blocks": num_blocks}
    for name, value in (("max_batch", max_batch), *((n, v) for n, v in sizes.items() if v is not None)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SansiError(f"{name} must be 1 or more, not {show(value)}", param=name)
    for name, value in (("prefix_cache", prefix_cache), ("batch_invariant", batch_invariant)):
        if not isinstance(value, bool):
            raise SansiError(f"{name} must be true or false, not {show(value)}", param=name)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(s in str(error) for s in ("out of memory", "not enough memory"))


def _completion_or_raise(result: Completion | Exception) -> Completion:
    if isinstance(result, Exception):
        raise result
    return result
