"""`ChatModel`: messages in; messages, and a report of what was done, out. The only glue between text and token ids."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sansi.base.device import DeviceLike, DtypeLike
from sansi.base.errors import SansiError
from sansi.base.files import as_path
from sansi.base.progress import Bar
from sansi.chat.grammar import Grammars
from sansi.chat.options import (
    ChatOptions,
    ChatResult,
    ChatUsage,
    Report,
    TextResult,
    Tokens,
    check_options,
    check_text_options,
)
from sansi.chat.presets import Preset, Presets
from sansi.chat.stream_reader import StreamReader, TextSource, thought_is_open
from sansi.chat.token_events import TokenEvents
from sansi.engine import Completion, Engine, Grammar, SamplingParams, ThinkingLimits, ThinkingState, Usage
from sansi.engine.folders import named_folder
from sansi.engine.grammar import MAX_CALLS
from sansi.engine.params import check_params, check_prompt, checked_bias
from sansi.engine.results import ThinkingReport
from sansi.text import ChatCodec, ChatPrompt, Codec, Content, Event, Mode, open_codec
from sansi.text.codec import Messages
from sansi.text.foreign_codec import NO_THOUGHTS
from sansi.text.parser import Problem

MAX_TOKENS = 32_768  # the default bound on a completion where the context leaves more
MAX_RESERVE = 256
SEEDS = 2**63
CALL_SEED_BYTES = 9  # the ids of an answer's calls differ from those of all others

ChatStream = AsyncGenerator[Event | ChatResult, None]  # and Tokens, for options that ask for them
TextStream = AsyncGenerator[Content | TextResult, None]
OnCut = Callable[[Any], None]  # with a ChatResult or a TextResult


@dataclass(frozen=True)
class _Job:
    """One request, ready for the engine."""

    ids: list[int]
    mode: Mode
    params: SamplingParams
    limits: ThinkingLimits | None
    """None: the model does not think."""
    options: ChatOptions
    preset: str
    reader: Callable[[], StreamReader]
    """Makes a reader for what the engine writes."""
    is_text: bool = False
    special_tokens_read: int = 0
    warnings: tuple[str, ...] = ()


class ChatModel:
    """A codec and an engine as one. Safe to use from several threads. adapter: the engine's adapter that answers.

    Raises SansiError when the tokenizer has ids that the model has no embedding for.
    """

    def __init__(
        self,
        engine: Engine,
        codec: ChatCodec,
        name: str,
        presets: Presets | None = None,
        adapter: str | None = None,
    ):
        if codec.tokenizer.vocab_size > engine.vocab_size:
            raise SansiError(
                f"the tokenizer has {codec.tokenizer.vocab_size} ids, but the model's vocab_size is "
                f"{engine.vocab_size}; they do not belong together"
            )
        self.engine, self.codec, self.name = engine, codec, name
        self.presets = presets or Presets()
        self.adapter = adapter

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: DeviceLike = "auto",
        dtype: DtypeLike = "auto",
        max_batch: int = 64,
        adapter: str | Path | None = None,
        **options: Any,
    ) -> ChatModel:
        """Load a model folder or a GGUF file; the model is named after it. `options` as for `Engine.from_pretrained`:
        with adapters={"name": "folder"}, `with_adapter("name")` is the one that answers by the adapter. adapter: the
        PEFT folder of the one that is wanted alone.

        Raises SansiError if anything is missing, or does not fit into the memory.
        """
        folder, name = named_folder(folder)
        codec = open_codec(folder)
        presets = Presets.from_pretrained(folder, foreign=not isinstance(codec, Codec))
        wanted = None if adapter is None else as_path(adapter, "an adapter's folder").resolve().name or "adapter"
        if wanted is not None:
            options["adapters"] = {**(options.get("adapters") or {}), wanted: adapter}
        engine = Engine.from_pretrained(folder, device=device, dtype=dtype, max_batch=max_batch, **options)
        return cls(engine, codec, name if wanted is None else f"{name} + {wanted}", presets, wanted)

    def with_adapter(self, name: str) -> ChatModel:
        """The same model with one of its engine's adapters, called by its name; both answer side by side, and closing
        one closes both. Raises SansiError for an adapter that the engine was not made with."""
        self.engine.check_adapter(name)
        return ChatModel(self.engine, self.codec, name, self.presets, name)

    @property
    def context_length(self) -> int:
        """Tokens of prompt and completion together."""
        return self.engine.context_length

    @property
    def thinks(self) -> bool:
        """Whether the model has a thinking mode."""
        return self.codec.thinks

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for, which may be part of a character."""
        return self.codec.tokenizer.token_bytes(token)

    def ids_of(self, text: str, parse_special: bool = False) -> list[int]:
        """The ids of a text. parse_special: control tokens that it spells are read as such, not as characters."""
        tokenizer = self.codec.tokenizer
        return tokenizer.encode_parts(tokenizer.split_added(text)) if parse_special else tokenizer.encode(text)

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of ids, control tokens spelled out."""
        return self.codec.tokenizer.decode(ids)

    def ends_turn(self, token: int) -> bool:
        """Whether a token ends what the model has to say; it is no text."""
        return token in self.codec.stop_ids

    def prompt_ids(
        self, messages: Messages, options: ChatOptions | None = None, add_generation_prompt: bool = True
    ) -> list[int]:
        """What the model would be given to read, be it too long for it or not. Raises SansiError as `stream` does.

        add_generation_prompt: with what opens the answer.
        """
        options = options or ChatOptions()
        check_options(options)
        return self._render(messages, options, add_generation_prompt).ids

    def complete(self, messages: Messages, options: ChatOptions | None = None) -> ChatResult:
        """Answer one conversation. Raises SansiError, with `param`, for wrong messages or options."""
        return self.complete_batch([messages], options)[0]

    def complete_batch(
        self,
        conversations: Sequence[Messages],
        options: ChatOptions | Sequence[ChatOptions] | None = None,
        progress: Bar | None = None,
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
        completions = self.engine.generate([job.ids for job in jobs], [job.params for job in jobs], progress=progress)
        return [self._read(job, completion) for job, completion in zip(jobs, completions, strict=True)]

    def stream(self, messages: Messages, options: ChatOptions | None = None) -> ChatStream:
        """Answer one conversation as text events, and a ChatResult at the end.

        Wrong input raises SansiError here, at the call. Ending the iteration early stops the generation.
        """
        return self.streams(messages, options)[0]

    def streams(
        self, messages: Messages, options: ChatOptions | None = None, n: int = 1, on_cut: OnCut | None = None
    ) -> list[ChatStream]:
        """As `stream`, for `n` answers to the one conversation; the i-th has the seed + i, where one is given.

        on_cut: called with what there is of an answer, of finish_reason "abort", whose stream is closed before its end.
        """
        job = self._job(messages, options or ChatOptions())
        return [self._stream(_nth(job, i), on_cut) for i in range(n)]

    def stream_text(self, prompt: str | Sequence[int], options: ChatOptions | None = None) -> TextStream:
        """Go on with a text, or with ids, as `Content` events, and a TextResult at the end.

        There is no template: a text is encoded as plain text, whatever tags it spells, unless `parse_special` has its
        control tokens read; ids hold them anyway. The model thinks only if the ids end inside an open thought; its
        limits then hold, and all that comes, tags included, is text. Sampling is neutral (temperature 1, no filters)
        where the options leave it open. Wrong input raises SansiError here, at the call.
        """
        return self.text_streams(prompt, options)[0]

    def text_streams(
        self,
        prompt: str | Sequence[int],
        options: ChatOptions | None = None,
        n: int = 1,
        on_cut: OnCut | None = None,
    ) -> list[TextStream]:
        """As `stream_text`, for `n` completions of the one prompt; otherwise as `streams`."""
        job = self._text_job(prompt, options or ChatOptions())
        return [self._stream(_nth(job, i), on_cut) for i in range(n)]

    async def _stream(self, job: _Job, on_cut: OnCut | None = None) -> AsyncGenerator[Any, None]:
        written: list[int] = []
        forced_at: int | None = None
        completion: Completion | None = None
        reader = job.reader()
        token_events = TokenEvents(self.codec, job.options) if job.options.stream_tokens else None
        if token_events is not None or job.options.stream_prompt:
            yield Tokens((), (), prompt_ids=tuple(job.ids))
        deltas = self.engine.stream(job.ids, job.params)
        try:
            async for delta in deltas:
                written += delta.ids
                completion = delta.completion
                forced_at = delta.forced_at if forced_at is None else forced_at
                events = reader.feed(delta.ids, forced_at)
                if delta.completion is not None:
                    events += reader.finish(delta.completion.finish_reason)
                for tokens in token_events.feed(delta, events, reader) if token_events is not None else ():
                    yield tokens
                for event in events:
                    yield event
                if delta.completion is not None:
                    yield self._result(job, delta.completion, reader)
        except SansiError as error:
            raise _of_the_request(error, job.options) from error
        except (GeneratorExit, asyncio.CancelledError):
            if on_cut is not None and completion is None:
                on_cut(self._cut(job, written, forced_at, reader))
            raise
        finally:
            await deltas.aclose()  # frees the slot now, not at garbage collection

    def close(self) -> None:
        """Stop the engine; what runs is aborted."""
        self.engine.close()
        self.codec.close()

    def __enter__(self) -> ChatModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _grammars(self) -> Grammars:
        """Made when first needed: it takes a list of the whole vocabulary."""
        return Grammars(self.codec)

    def _job(self, messages: Messages, options: ChatOptions) -> _Job:
        """Everything that can be wrong with a request is found here, before the engine sees it."""
        check_options(options)
        self._check_fits(_fewest_tokens(messages, options.tools), "messages", at_least=True)
        if options.max_tokens == 0 and not options.prompt_logprobs:
            raise SansiError("max_tokens must be a whole number of 1 or more, not 0", param="max_tokens")
        prompt = self._render(messages, options)
        hurried = self._leaves_no_answer(prompt, options)
        if hurried:
            prompt = self._render(messages, replace(options, enable_thinking=False))
        self._check_fits(prompt.fewest_ids(self.context_length), "messages", at_least=True)  # before it is encoded
        max_tokens = self._max_tokens(len(prompt.ids), options.max_tokens, "messages")
        closed = options.continue_final == "answer"
        may_think = (prompt.mode.thinking or prompt.mode.source == "model") and not closed
        # Who offers none and gets one wants to read it in the text.
        calls = bool(prompt.tools) and (self.codec.call_tags is not None or options.tool_choice != "none")
        limits = self._limits(options, max_tokens, prompt.thought_open, may_think, calls)
        grammar = self._grammar(prompt.tools, options)
        tags = self.codec.call_tags
        banned = tags[:1] if tags and prompt.tools and options.tool_choice == "none" else ()
        preset, mode = self.presets.of(prompt.mode.thinking), "thinking" if prompt.mode.thinking else "non-thinking"

        def reader() -> StreamReader:
            parser = self.codec.parser(prompt, calls=calls, call_seed=secrets.token_hex(CALL_SEED_BYTES))
            return StreamReader(parser, options.stop, options.stop_ids, options.min_tokens)

        params = self._params(options, preset, max_tokens, limits, reader, grammar=grammar, banned_ids=banned)
        return _Job(
            prompt.ids,
            prompt.mode,
            params,
            limits,
            options,
            f"{mode} ({self.presets.source})",
            reader,
            special_tokens_read=prompt.tags_read,
            warnings=(
                *_of_tags(prompt.tags_spelled),
                *((NO_ROOM_TO_THINK,) if hurried else ()),
                *((NO_THOUGHTS,) if not self.codec.thinks and _asks_to_think(options) else ()),
            ),
        )

    def _leaves_no_answer(self, prompt: ChatPrompt, options: ChatOptions) -> bool:
        """Whether all of `max_tokens` is needed to end a thought that opens. Clients ask for a token or two to see
        whether a model is there, or for a class as one token: they want the answer's."""
        if not prompt.mode.thinking or options.max_tokens is None or options.continue_final is not None:
            return False
        if (ids := self.codec.thinking_ids) is None:
            return False
        end = len(ids.end_sequence) - ids.end_sequence.index(ids.end)
        return options.max_tokens <= end + (not prompt.thought_open)  # which the model would have to open as well

    def _render(self, messages: Messages, options: ChatOptions, add_generation_prompt: bool = True) -> ChatPrompt:
        return self.codec.render(
            messages,
            tools=options.tools,
            enable_thinking=False if options.budget == 0 else options.enable_thinking,
            history=options.history,
            soft_switch=options.soft_switch,
            add_generation_prompt=add_generation_prompt,
            open_thought=options.soft_switch != "model",
            continue_final=options.continue_final,
            read_tags=options.read_tags,
        )

    def _text_job(self, text: str | Sequence[int], options: ChatOptions) -> _Job:
        check_options(options)
        check_text_options(options)
        parts = self._parts(text, options) if isinstance(text, str) else []
        if not isinstance(text, str):
            self._check_fits(len(text) - (options.max_tokens == 0), "prompt")
        ids = self.codec.tokenizer.encode_parts(parts) if isinstance(text, str) else list(text)
        check_prompt(ids, self.engine.vocab_size, len(ids) + 2)  # the ids; what fits is said better below
        max_tokens = self._max_tokens(len(ids), options.max_tokens, "prompt")
        is_open = thought_is_open(ids, self.codec)
        limits = self._limits(options, max_tokens, is_open, is_open)
        grammar = self._grammar((), options)

        def reader() -> StreamReader:
            return StreamReader(TextSource(self.codec), options.stop, options.stop_ids, options.min_tokens)

        params = self._params(options, Preset(), max_tokens, limits, reader, grammar=grammar)
        mode = Mode(is_open, "request")
        special = sum(isinstance(part, int) for part in parts)
        return _Job(ids, mode, params, limits, options, "neutral", reader, is_text=True, special_tokens_read=special)

    def _parts(self, text: str, options: ChatOptions) -> list[str | int]:
        """The text, and the control tokens that it spells if they are to be read; of those that are too long, none."""
        tokenizer = self.codec.tokenizer
        parts: list[str | int] = tokenizer.split_added(text) if options.parse_special else [text]
        fewest = sum(1 if isinstance(p, int) else tokenizer.fewest_ids(p, self.context_length) for p in parts)
        self._check_fits(fewest - (options.max_tokens == 0), "prompt", at_least=True)
        return parts

    def _params(
        self,
        options: ChatOptions,
        preset: Preset,
        max_tokens: int,
        limits: ThinkingLimits | None,
        reader: Callable[[], StreamReader],
        **more: Any,
    ) -> SamplingParams:
        params = SamplingParams(
            **{f.name: _first(getattr(options, f.name), getattr(preset, f.name)) for f in fields(Preset)},
            seed=options.seed,
            stop_ids=(*self.codec.stop_ids, *options.stop_ids),
            stop_when=reader().ends if options.stop or options.tools else None,
            unwanted_ids=self.codec.stop_ids if options.ignore_eos else (),
            logit_bias=checked_bias(options.logit_bias or (), self.engine.vocab_size),
            max_tokens=max_tokens,
            min_tokens=min(options.min_tokens, max_tokens),
            logprobs=options.logprobs,
            top_logprobs=options.top_logprobs,
            prompt_logprobs=options.prompt_logprobs,
            prompt_top_logprobs=options.prompt_top_logprobs,
            speculation=options.speculation,
            thinking=limits,
            adapter=self.adapter,
            **more,
        )
        check_params(params, self.engine.vocab_size)
        return params

    def _grammar(self, tools: Sequence[Mapping[str, Any]], options: ChatOptions) -> Grammar | None:
        if not tools and options.response_format is None and options.tool_choice in ("auto", "none"):
            return None
        choice, parallel = options.tool_choice, options.parallel_tool_calls
        return self._grammars.of(tools, choice, parallel, options.response_format)

    def _max_tokens(self, prompt_tokens: int, asked: int | None, param: str) -> int:
        self._check_fits(prompt_tokens - (asked == 0), param)
        return min(self.context_length - prompt_tokens, MAX_TOKENS if asked is None else asked)

    def _check_fits(self, prompt_tokens: int, param: str, at_least: bool = False) -> None:
        """Raise SansiError unless the context holds the prompt and a token more. prompt_tokens: one less where none is
        to follow."""
        if prompt_tokens < self.context_length:
            return
        what, least = "messages are" if param == "messages" else "prompt is", "at least " if at_least else ""
        reason = (
            f"the prompt is too long: the {what} {least}{prompt_tokens} tokens long, but the context holds "
            f"{self.context_length}, the answer included; shorten or drop some"
        )
        raise SansiError(reason, param=param, code="context_length_exceeded")

    def _limits(
        self, options: ChatOptions, max_tokens: int, is_open: bool, may_think: bool, calls: bool = True
    ) -> ThinkingLimits | None:
        ids, tags = self.codec.thinking_ids, self.codec.call_tags
        if ids is None:
            return None
        return ThinkingLimits(
            start_id=ids.start,
            end_ids=(ids.end,),
            end_sequence=ids.end_sequence,
            framing_ids=tuple(ids.framing),
            turn_ids=self.codec.stop_ids,
            open=is_open,
            budget=options.budget if may_think else 0,
            answer_reserve=_first(options.answer_reserve, min(MAX_RESERVE, max(1, max_tokens // 4))),
            loop_breaker=options.loop_breaker,
            closing_ids=tags[:1] if tags and calls else (),
        )

    def _read(self, job: _Job, completion: Completion) -> ChatResult:
        reader = job.reader()
        reader.feed(completion.ids, completion.thinking.forced_at)
        reader.finish(completion.finish_reason)
        result = self._result(job, completion, reader)
        assert isinstance(result, ChatResult)
        return result

    def _result(self, job: _Job, completion: Completion, reader: StreamReader) -> ChatResult | TextResult:
        # Where a stop string shows only now, in what was held back or in a call that was cut off, the limit came first.
        finish = completion.finish_reason
        usage = ChatUsage(
            prompt_tokens=completion.usage.prompt_tokens,
            completion_tokens=completion.usage.completion_tokens,
            reasoning_tokens=completion.thinking.tokens,
            cached_tokens=completion.usage.cached_tokens,
            sampled_tokens=completion.usage.completion_tokens - completion.thinking.forced_tokens,
        )
        shared: dict[str, Any] = {
            "usage": usage,
            "report": self._report(job, completion, reader),
            "ids": completion.ids,
            "prompt_ids": tuple(job.ids),
            "logprobs": completion.logprobs,
            "stop": reader.stop,
            "top_logprobs": completion.top_logprobs,
            "begun": completion.begun,
            "decode_seconds": completion.decode_seconds,
            "prompt_logprobs": completion.prompt_logprobs,
            "prompt_top_logprobs": completion.prompt_top_logprobs,
        }
        if job.is_text:
            return TextResult(text=reader.content, finish_reason=finish, **shared)
        message = reader.message
        calls = finish == "stop" and any(call.executable for call in message.tool_calls)
        # A grammar lets a turn have so many calls; the model may have wanted more.
        full = job.params.grammar is not None and len(message.tool_calls) == MAX_CALLS
        problems: tuple[Problem, ...] = (*reader.problems, "call_limit") if full else tuple(reader.problems)
        return ChatResult(message, "tool_calls" if calls else finish, problems=problems, **shared)

    def _cut(
        self, job: _Job, ids: Sequence[int], forced_at: int | None, reader: StreamReader
    ) -> ChatResult | TextResult:
        """What came of an answer that nobody waits for any more; the engine will not say it."""
        report, usage = ThinkingReport(), Usage(len(job.ids), len(ids))
        if job.limits is not None:
            thinking = ThinkingState(job.limits, job.ids, job.params.max_tokens)
            thinking.follow(ids, forced_at)
            report = thinking.report("abort")
        completion = Completion(tuple(ids), None, "abort", report, usage, seed=_first(job.params.seed, 0))
        reader.finish("abort")
        return self._result(job, completion, reader)

    def _report(self, job: _Job, completion: Completion, reader: StreamReader) -> Report:
        sampling = {f.name: getattr(job.params, f.name) for f in fields(Preset)}
        return Report(
            mode="thinking" if job.mode.thinking else "non-thinking",
            mode_source=job.mode.source,
            budget_requested=job.options.budget,
            budget_applied=completion.thinking.budget_applied,
            thinking_end_reason=completion.thinking.end_reason,
            closing_phrase_tokens=completion.thinking.phrase_tokens,
            closing_phrase=reader.closing_phrase,
            max_tokens=job.params.max_tokens,
            answer_reserve=0 if job.limits is None else job.limits.answer_reserve,
            sampling={**sampling, "seed": completion.seed},
            preset=job.preset,
            special_tokens_read=job.special_tokens_read,
            warnings=job.warnings,
        )


def _nth(job: _Job, index: int) -> _Job:
    """The job of the index-th answer: it has a seed and a search for its end of its own."""
    if not index:
        return job
    seed, ends = job.params.seed, job.reader().ends if job.params.stop_when else None
    seed = None if seed is None else (seed + index) % SEEDS
    return replace(job, params=replace(job.params, seed=seed, stop_when=ends))


NO_ROOM_TO_THINK = "max_tokens has no room for a thought beside an answer, so the model answers at once"


def _asks_to_think(options: ChatOptions) -> bool:
    return options.budget != 0 and (
        options.enable_thinking is True or (options.budget is not None) or options.reasoning_effort is not None
    )


def _of_tags(spelled: Sequence[str]) -> tuple[str, ...]:
    """A word to agents that prompt for calls themselves: the model may not see what they think it sees."""
    if not spelled:
        return ()
    return (f"messages spell {', '.join(spelled)}, which were read as characters; read_tags has them read as tags",)


def _fewest_tokens(messages: Messages, tools: Any) -> int:
    """A lower bound on the tokens of a prompt, by the parts that it has; 0 for what is no list of messages."""
    if not isinstance(messages, list | tuple):
        return 0
    calls = [m.get("tool_calls") if isinstance(m, dict) else getattr(m, "tool_calls", None) for m in messages]
    parts = [messages, tools, *calls]
    return sum(len(part) for part in parts if isinstance(part, list | tuple))


def _of_the_request(error: SansiError, options: ChatOptions) -> SansiError:
    """An error of a grammar, by the name of what it was made from."""
    if error.param != "grammar":
        return error
    param = "response_format" if options.response_format is not None else "tools"
    return SansiError(f"{param}: {str(error).removeprefix('grammar: ')}", param=param)


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value
