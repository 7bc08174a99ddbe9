"""`ChatModel`: messages in; messages, and a report of what was done, out. The only glue between text and token ids."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat.options import ChatOptions, ChatResult, ChatUsage, Report, check_options
from sansi.chat.presets import Preset, Presets
from sansi.engine import Completion, Engine, SamplingParams, ThinkingLimits
from sansi.engine.params import check_params
from sansi.text import Codec, Prompt, StreamParser
from sansi.text.codec import Messages
from sansi.text.parser import Event

MAX_TOKENS = 32_768  # the default bound on a completion where the context leaves more
MAX_RESERVE = 256

ChatStream = AsyncGenerator[Event | ChatResult, None]


@dataclass(frozen=True)
class _Job:
    """One request, ready for the engine."""

    prompt: Prompt
    params: SamplingParams
    limits: ThinkingLimits
    options: ChatOptions
    preset: str


class ChatModel:
    """A codec and an engine as one. Safe to use from several threads.

    Raises SansiError when the tokenizer has ids that the model has no embedding for.
    """

    def __init__(self, engine: Engine, codec: Codec, name: str, presets: Presets | None = None):
        if codec.tokenizer.vocab_size > engine.vocab_size:
            raise SansiError(
                f"the tokenizer has {codec.tokenizer.vocab_size} ids, but the model's vocab_size is "
                f"{engine.vocab_size}; they do not belong together"
            )
        self.engine, self.codec, self.name = engine, codec, name
        self.presets = presets or Presets()

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, device: str = "auto", dtype: str = "auto", max_batch: int = 64, **options: Any
    ) -> ChatModel:
        """Load a checkpoint folder; the model is named after it. `options` as for `Engine.from_pretrained`.

        Raises SansiError if anything is missing, or does not fit into the memory.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise SansiError(f"{folder}: no such folder; give the path of a model folder", param="model")
        codec, presets = Codec.from_pretrained(folder), Presets.from_pretrained(folder)
        engine = Engine.from_pretrained(folder, device=device, dtype=dtype, max_batch=max_batch, **options)
        return cls(engine, codec, name=folder.resolve().name, presets=presets)

    @property
    def context_length(self) -> int:
        """Tokens of prompt and completion together."""
        return self.engine.context_length

    def complete(self, messages: Messages, options: ChatOptions | None = None) -> ChatResult:
        """Answer one conversation. Raises SansiError, with `param`, for wrong messages or options."""
        return self.complete_batch([messages], options)[0]

    def complete_batch(
        self,
        conversations: Sequence[Messages],
        options: ChatOptions | Sequence[ChatOptions] | None = None,
        progress: bool = False,
    ) -> list[ChatResult]:
        """Answer many conversations, in order; one ChatOptions for all, or one each.

        One seed for all means the same random numbers for each: give one each to sample a conversation several times.
        """
        options = options or ChatOptions()
        each = [options] * len(conversations) if isinstance(options, ChatOptions) else list(options)
        if len(each) != len(conversations):
            message = f"{len(conversations)} conversations but {len(each)} ChatOptions; give one, or one each"
            raise SansiError(message, param="options")
        jobs = [self._job(messages, chosen) for messages, chosen in zip(conversations, each, strict=True)]
        completions = self.engine.generate([j.prompt.ids for j in jobs], [j.params for j in jobs], progress=progress)
        return [
            self._result(job, completion, self._parsed(job, completion))
            for job, completion in zip(jobs, completions, strict=True)
        ]

    def stream(self, messages: Messages, options: ChatOptions | None = None) -> ChatStream:
        """Answer one conversation as text events, and a ChatResult at the end.

        Wrong input raises SansiError here, at the call. Ending the iteration early stops the generation.
        """
        job = self._job(messages, options or ChatOptions())
        return self._stream(job)

    async def _stream(self, job: _Job) -> ChatStream:
        parser = self.codec.parser(job.prompt)
        deltas = self.engine.stream(job.prompt.ids, job.params)
        try:
            async for delta in deltas:
                for event in parser.feed(delta.ids):
                    yield event
                if delta.completion is not None:
                    for event in parser.finish():
                        yield event
                    yield self._result(job, delta.completion, parser)
        finally:
            await deltas.aclose()  # frees the slot now, not at garbage collection

    def close(self) -> None:
        """Stop the engine; what runs is aborted."""
        self.engine.close()

    def __enter__(self) -> ChatModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _job(self, messages: Messages, options: ChatOptions) -> _Job:
        """Everything that can be wrong with a request is found here, before the engine sees it."""
        check_options(options)
        prompt = self.codec.render(
            messages,
            tools=options.tools,
            enable_thinking=False if options.thinking_budget == 0 else options.enable_thinking,
            history=options.history,
            soft_switch=options.soft_switch,
            open_thought=options.soft_switch != "model",
        )
        max_tokens = self._max_tokens(len(prompt.ids), options.max_tokens)
        limits = self._limits(prompt, options, max_tokens)
        preset = self.presets.of(prompt.mode.thinking)
        params = SamplingParams(
            **{f.name: _first(getattr(options, f.name), getattr(preset, f.name)) for f in fields(Preset)},
            seed=options.seed,
            stop_ids=self.codec.stop_ids,
            max_tokens=max_tokens,
            logprobs=options.logprobs,
            thinking=limits,
        )
        check_params(params, self.engine.vocab_size)
        mode = "thinking" if prompt.mode.thinking else "non-thinking"
        return _Job(prompt, params, limits, options, f"{mode} ({self.presets.source})")

    def _max_tokens(self, prompt_tokens: int, asked: int | None) -> int:
        left = self.context_length - prompt_tokens
        if left < 1:
            raise SansiError(
                f"the messages are {prompt_tokens} tokens long, but the context holds {self.context_length}, "
                "the answer included; shorten or drop some",
                param="messages",
            )
        return min(left, MAX_TOKENS if asked is None else asked)

    def _limits(self, prompt: Prompt, options: ChatOptions, max_tokens: int) -> ThinkingLimits:
        ids = self.codec.thinking_ids
        may_think = prompt.mode.thinking or prompt.mode.source == "model"
        return ThinkingLimits(
            start_id=ids.start,
            end_ids=(ids.end,),
            end_sequence=ids.end_sequence,
            open=prompt.thought_open,
            budget=options.thinking_budget if may_think else 0,
            answer_reserve=_first(options.answer_reserve, min(MAX_RESERVE, max_tokens // 4)),
            closing_ids=(self.codec.control.tool_call,),
        )

    def _parsed(self, job: _Job, completion: Completion) -> StreamParser:
        parser = self.codec.parser(job.prompt)
        parser.feed(completion.ids)
        parser.finish()
        return parser

    def _result(self, job: _Job, completion: Completion, parser: StreamParser) -> ChatResult:
        message = parser.message
        calls = completion.finish_reason == "stop" and any(call.executable for call in message.tool_calls)
        thinking = completion.thinking
        return ChatResult(
            message=message,
            finish_reason="tool_calls" if calls else completion.finish_reason,
            usage=ChatUsage(
                prompt_tokens=completion.usage.prompt_tokens,
                completion_tokens=completion.usage.completion_tokens,
                reasoning_tokens=thinking.tokens,
                cached_tokens=completion.usage.cached_tokens,
            ),
            report=self._report(job, completion),
            ids=completion.ids,
            prompt_ids=tuple(job.prompt.ids),
            logprobs=completion.logprobs,
            problems=tuple(parser.problems),
        )

    def _report(self, job: _Job, completion: Completion) -> Report:
        sampling = {f.name: getattr(job.params, f.name) for f in fields(Preset)}
        return Report(
            mode="thinking" if job.prompt.mode.thinking else "non-thinking",
            mode_source=job.prompt.mode.source,
            budget_requested=job.options.thinking_budget,
            budget_applied=completion.thinking.budget_applied,
            thinking_end_reason=completion.thinking.end_reason,
            closing_phrase_tokens=completion.thinking.forced_tokens,
            max_tokens=job.params.max_tokens,
            answer_reserve=job.limits.answer_reserve,
            sampling={**sampling, "seed": completion.seed},
            preset=job.preset,
        )


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value
