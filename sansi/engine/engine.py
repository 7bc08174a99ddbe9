"""The engine: requests in from any thread, one stepping thread that runs the model, completions out."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import torch

from sansi.base.errors import SansiError
from sansi.base.progress import progress_bar
from sansi.engine.params import SamplingParams, check_params, check_prompt
from sansi.engine.results import Completion, Delta, FinishReason
from sansi.engine.runner import Runner
from sansi.engine.scheduler import Request, Scheduler
from sansi.model import Transformer, load

IDLE_SECONDS = 5.0  # after so long without work the stepping thread ends, so that a dropped engine can be collected


class Engine:
    """Batched generation over token ids.

    The engine holds the model itself, not a copy: a trainer may change the weights in place between calls of `generate`
    (and must not while requests run), and the next call uses the new ones. All work happens on one background thread
    under `torch.inference_mode`, so the caller's autograd state does not matter.

    model: a `Transformer`, on its device. max_batch: slots, that is requests in one step; the rest wait in a queue.
    context_length: prompt and completion together; default: the model's.
    max_prefill_tokens: most padded prompt tokens that one prefill reads (a longer single prompt is still read whole).
    """

    def __init__(
        self,
        model: Transformer,
        max_batch: int = 64,
        context_length: int | None = None,
        max_prefill_tokens: int = 16384,
    ):
        if max_batch < 1:
            raise SansiError(f"max_batch must be 1 or more, not {max_batch}", param="max_batch")
        self.model = model
        self.vocab_size = model.config.vocab_size
        self.context_length = context_length or model.config.context_length
        self.device = next(model.parameters()).device
        self._max_batch = max_batch
        self._runner = self._new_runner()
        self._scheduler = Scheduler(max_batch, max_prefill_tokens)
        self._inbox: list[Request] = []  # guarded by _wake; the stepping thread empties it
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, device: str = "auto", dtype: str = "auto", max_batch: int = 64
    ) -> Engine:
        """Load a checkpoint folder. Raises SansiError when it is missing or damaged."""
        return cls(load(folder, device=device, dtype=dtype), max_batch=max_batch)

    # ---- asking -------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams | Sequence[SamplingParams],
        progress: bool = False,
    ) -> list[Completion]:
        """Complete every prompt; one SamplingParams for all, or one each. Returns in the order of the prompts.

        Raises SansiError before any work if one prompt or parameter is wrong. Interrupting the call aborts them all.
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
            bar = progress_bar("generate", len(requests)) if progress else contextlib.nullcontext()
            with bar as shown:
                for _ in requests:
                    news.acquire()
                    if shown is not None:
                        shown.update()
        except BaseException:
            self._abort(requests)
            raise
        return [_completion_or_raise(results[i]) for i in range(len(requests))]

    def stream(self, ids: Sequence[int], params: SamplingParams) -> AsyncGenerator[Delta, None]:
        """Complete one prompt, a delta at a time; the last delta carries the completion.

        Wrong input raises SansiError here, at the call. Ending the iteration early (break with `aclose`, task
        cancellation) frees the slot at the next step.
        """
        self._check_open()
        check_params(params, self.vocab_size)
        check_prompt(list(ids), self.vocab_size, self.context_length)
        return self._stream(ids, params)

    async def _stream(self, ids: Sequence[int], params: SamplingParams) -> AsyncGenerator[Delta, None]:
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Delta | Completion | Exception]()

        def post(item: Delta | Completion | Exception) -> None:
            try:
                loop.call_soon_threadsafe(queue.put_nowait, item)
            except RuntimeError:  # the event loop is closed: nobody listens any more
                request.aborted = True

        request = self._request(ids, params, post, post)
        self._submit([request])
        try:
            while True:
                item = await queue.get()
                if isinstance(item, Delta):
                    yield item
                    continue
                completion = _completion_or_raise(item)
                yield Delta(ids=(), logprobs=() if params.logprobs else None, completion=completion)
                return
        finally:
            self._abort([request])

    def close(self) -> None:
        """Abort what runs and end the stepping thread. Closing twice is fine."""
        with self._wake:
            self._closed = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> int:
        """Requests that hold a slot now."""
        return len(self._scheduler.active)

    def _request(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        on_delta: Callable[[Delta], None] | None,
        on_end: Callable[[Completion | Exception], None],
    ) -> Request:
        prompt = list(prompt)
        check_params(params, self.vocab_size)
        check_prompt(prompt, self.vocab_size, self.context_length)
        return Request(
            prompt=prompt,
            params=params,
            max_tokens=min(params.max_tokens, self.context_length - len(prompt)),
            seed=params.seed if params.seed is not None else secrets.randbits(63),
            on_delta=on_delta,
            on_end=on_end,
        )

    def _new_runner(self) -> Runner:
        return Runner(self.model, self._max_batch, self.context_length, self.device)

    def _check_open(self) -> None:
        if self._closed:
            raise SansiError("the engine is closed; make a new one")

    def _submit(self, requests: Sequence[Request]) -> None:
        with self._wake:
            self._check_open()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sansi-engine", daemon=True)
                self._thread.start()
            self._inbox.extend(requests)
            self._wake.notify()

    def _abort(self, requests: Sequence[Request]) -> None:
        for request in requests:
            request.aborted = True

    # ---- the stepping thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        with torch.inference_mode():
            while self._take():
                try:
                    self._step()
                except Exception as error:  # a bug or no memory: whoever is in it hears of it, and the engine goes on
                    self._fail(error)

    def _take(self) -> bool:
        """Wait for work and queue what came in; False when the thread is to end."""
        scheduler = self._scheduler
        with self._wake:
            self._wake.wait_for(lambda: self._closed or self._inbox or scheduler.busy, timeout=IDLE_SECONDS)
            scheduler.waiting.extend(self._inbox)
            self._inbox.clear()
            if self._closed:
                self._abort_all()
            if not scheduler.busy:
                self._thread = None  # under the lock: the next request starts another
            return scheduler.busy

    def _step(self) -> None:
        """Drop the aborted, prefill what fits, then decode one token for every active slot."""
        scheduler, runner = self._scheduler, self._runner
        for request in scheduler.drop_waiting():
            request.on_end(request.completion("abort"))
        self._release({slot: "abort" for slot, r in enumerate(scheduler.active) if r.aborted})
        first = len(scheduler.active)
        if admitted := scheduler.admit():
            self._emit(runner.prefill(admitted, first), admitted, first)
        if scheduler.active:
            self._emit(runner.decode(len(scheduler.active)), scheduler.active, 0)

    def _emit(self, logits: torch.Tensor, requests: Sequence[Request], first: int) -> None:
        """Sample for the requests in slots first …, hand the tokens out and free the slots of the finished."""
        sampled = self._runner.sample(logits, requests, first)
        ended: dict[int, FinishReason | Exception] = {}
        for row, (request, token) in enumerate(zip(requests, sampled.ids, strict=True)):
            if not sampled.healthy[row]:
                ended[first + row] = FloatingPointError("the model gave NaN or infinite logits: damaged weights?")
                continue
            logprob = sampled.logprobs[row] if sampled.logprobs is not None and request.params.logprobs else None
            if reason := request.push(token, logprob):
                ended[first + row] = reason
            if request.on_delta is not None:
                request.on_delta(Delta(ids=(token,), logprobs=None if logprob is None else (logprob,)))
        self._release(ended)

    def _release(self, ended: dict[int, FinishReason | Exception]) -> None:
        for slot in sorted(ended, reverse=True):  # from the back, so that no ended request moves
            request, reason = self._scheduler.active[slot], ended[slot]
            failed = isinstance(reason, Exception)
            self._runner.release(slot, self._scheduler.release(slot), healthy=not failed)
            request.on_end(reason if isinstance(reason, Exception) else request.completion(reason))

    def _fail(self, error: Exception) -> None:
        """End all that runs with `error`; what waits has another chance."""
        failed, self._scheduler.active = self._scheduler.active, []
        self._runner = self._new_runner()
        for request in failed:
            request.on_end(error)

    def _abort_all(self) -> None:
        scheduler = self._scheduler
        ended = [*scheduler.active, *scheduler.waiting]
        scheduler.active, scheduler.waiting = [], deque()
        for request in ended:
            request.on_end(request.completion("abort"))


def _completion_or_raise(result: Completion | Exception) -> Completion:
    if isinstance(result, Exception):
        raise result
    return result
