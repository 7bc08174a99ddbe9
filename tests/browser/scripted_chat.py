"""A chat model that answers by a script: what it says depends on a word in the question."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from fake_chat import CLOSING, FakeChat
from sansi.chat import ChatOptions, ChatResult, ChatUsage
from sansi.text import ClosingPhrase, Content, Message, Reasoning, ToolCall, ToolCallDelta, read_messages


@dataclass(frozen=True)
class Script:
    """What is said, piece by piece, with a pause of `delay` seconds before each."""

    content: str = "It is 42."
    thought: str = "12 + 30 is 42."
    call: tuple[str, dict[str, Any]] | None = None
    delay: float = 0
    endless: bool = False  # it ends when it is stopped, at the latest after the thought
    breaks: bool = False
    finish_reason: str = "stop"
    at_budgets: tuple[tuple[int, str], ...] = ()
    """Other answers below budgets: (budget, content), the smallest first."""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Several at once, in the place of `call`."""

    def said_at(self, budget: int | None) -> str:
        return next(
            (content for most, content in self.at_budgets if budget is not None and budget <= most), self.content
        )


HOSTILE = """Before <script>window.hacked = 1</script> and <img src=x onerror="window.hacked = 2">.

[one](javascript:window.hacked=3) [two](JaVaScRiPt:window.hacked=4)
[three](data:text/html,<script>window.hacked=5</script>)
[four](vbscript:x) <javascript:window.hacked=6> [five](&#106;avascript:window.hacked=7)
[six](/v1/models) [seven](//evil.example/x)

![picture](https://evil.example/pixel.png) ![data](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)

<iframe src="https://evil.example"></iframe>
<svg onload="window.hacked = 8"><script>window.hacked = 9</script></svg>
<style>body { display: none }</style>
<form action="https://evil.example"><button id="send">Send</button></form>
<a href="https://evil.example" onclick="window.hacked=10">link</a>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hacked=11&gt;">

$\\href{javascript:window.hacked=12}{click}$ $\\url{javascript:window.hacked=13}$
$\\includegraphics{https://evil.example/a.png}$ $\\htmlStyle{position:fixed}{x}$ $\\htmlId{send}{x}$
$$\\def\\a{\\a\\a}\\a$$

```html"><img src=x onerror=window.hacked=14>
<script>window.hacked = 15</script>
```

| <b onmouseover="window.hacked=16">a</b> | b |
|---|---|
| `</td><script>window.hacked=17</script>` | [x](https://fine.example "t\\" onmouseover=\\"window.hacked=18") |

[ref]: javascript:window.hacked=19
[ref] and the end."""

RICH = """## Sorting by halves

**Merge sort** splits a list, sorts both halves and merges them. The work is $n$ at each of $\\log_2 n$ levels:

$$T(n) = 2\\,T\\!\\left(\\frac{n}{2}\\right) + n \\quad\\Rightarrow\\quad T(n) = O(n \\log n)$$

```python
def merge_sort(items: list[int]) -> list[int]:
    # One item is sorted already.
    if len(items) < 2:
        return items
    middle = len(items) // 2
    left, right = merge_sort(items[:middle]), merge_sort(items[middle:])
    return merge(left, right)
```

| algorithm | time | memory |
|---|--:|:-:|
| merge sort | $O(n \\log n)$ | $O(n)$ |
| insertion sort | $O(n^2)$ | $O(1)$ |

It costs $5 to $10 of patience, and:

1. it is stable;
2. it reads in order, which disks and caches like.
"""

CHINESE = """**三思而后行**出自《论语·公冶长》，原意是反复思考以后再去做。

1. **思**：先弄清问题是什么；
2. **再思**：比较几种办法；
3. **三思**：想好后果，然后行动。

> 季文子三思而后行。子闻之，曰：“再，斯可矣。”

所以孔子认为：想两次就够了。"""

RTL = "مرحبا، هذا جواب بالعربية.\n\nAnd this is English."
LONG_THOUGHT = " ".join(f"Step {n}: check whether {n} divides 1001, which leaves {1001 % n}." for n in range(2, 60))

SCRIPTS = {
    "weather": Script(
        "",
        "The forecast is a tool's business. Three days, so one call will do.",
        ("get_weather", {"city": "Lübeck", "days": 3, "units": ["°C", "mm"]}),
        0.01,
    ),
    "multiply": Script("", "A product is the calculator's business.", ("calculator", {"expression": "17 * 23"})),
    "hostile": Script(HOSTILE, "<img src=x onerror='window.hacked=20'><script>window.hacked=21</script>"),
    "sort": Script(
        RICH, "The question is about merge sort. Split, sort, merge: n work at each level, log n levels.", delay=0.002
    ),
    "slow": Script(" ".join(f"word{n}" for n in range(400)), LONG_THOUGHT, delay=0.02, endless=True),
    "break": Script("This will break soon, and", "Fine so far.", breaks=True),
    "cut": Script("An answer that does not", "", finish_reason="length"),
    "empty": Script("", "Nothing comes to mind."),
    "三思": Script(CHINESE, "用户想知道这句话的来历。出自《论语》，先说出处，再说含义。", delay=0.01),
    "arabic": Script(RTL, ""),
    "wide": Script(
        "```text\n" + "x" * 400 + "\n```\n\n" + "|" + " a |" * 30 + "\n" + "|" + "---|" * 30 + "\n\n" + "y" * 300,
        "z" * 400,
    ),
}


# An agent's answers, step by step: by the question, and by how many answers came since.
STEPS: dict[str, tuple[Script, ...]] = {
    "temperatures": (
        Script(
            "I look up the measurements first.",
            "The notes should have the measurements. Search them, then plot what they say.",
            calls=(("retrieval", {"query": "temperature Lübeck November", "count": 2}),),
            delay=0.002,
        ),
        Script(
            "",
            "Seven values. A line plot will do; the file should be kept for the report.",
            calls=(
                ("plot", {"values": [4.1, 5.0, 6.3, 5.8, 3.9, 2.2, 1.7], "title": "Lübeck, °C"}),
                ("write_file", {"path": "report/november.md", "content": "# November\n\nIt fell from 6.3 to 1.7 °C."}),
            ),
            delay=0.002,
        ),
        Script(
            "The week began at 4.1 °C, rose to **6.3 °C** on the third day and fell to 1.7 °C by its end [1]. "
            "The wind turned to the north-east on the fourth day [2]. The plot is above, the summary in "
            "`report/november.md`.",
            "All is there.",
            delay=0.002,
        ),
    ),
    "write it": (
        Script("", "Write.", calls=(("write_file", {"path": "a.md", "content": "hello"}),)),
        Script("Done.", "Fine."),
    ),
    "write long": (
        Script(
            "",
            "Write.",
            calls=(("write_file", {"path": "a.md", "content": "a\n" * 8000 + "rm -rf /\n" + "a\n" * 8000}),),
        ),
        Script("Done.", "Fine."),
    ),
    "fail": (Script("", "Try.", calls=(("breaks", {}),)), Script("It did not work.", "Too bad.")),
    "wait": (Script("", "Wait.", calls=(("slow", {}),)), Script("Never said.", "")),
    "book": (Script("", "Ask.", calls=(("book", {}),)), Script("Booked.", "")),
    "several": (Script("", "Ask.", calls=(("several", {}),)), Script("Booked.", "")),
    "sign": (Script("", "Ask.", calls=(("sign_in", {}),)), Script("Signed in.", "")),
    "evil": (Script("", "Read.", calls=(("evil", {}),)), Script("Read.", "")),
    "nowhere": (Script("", "Call.", calls=(("no_such_tool", {}),)), Script("No such tool.", "")),
}


def answers_since(read: Any) -> tuple[str, int]:
    """The last question, and how many answers came after it."""
    at = max(i for i, message in enumerate(read) if message.role == "user")
    return read[at].content, sum(message.role == "assistant" for message in read[at:])


class ScriptedChat(FakeChat):
    """Says what SCRIPTS has for the first word that the last message contains; to a tool's result, the result.

    For an agent's tools it goes through STEPS.
    """

    codec = "words"
    """Its tokenizer is here: `ids_of`."""

    def __init__(self, name: str = "scripted", context_length: int = 40_000):
        super().__init__(name)
        self.context_length = context_length

    def ids_of(self, text: str, parse_special: bool = False) -> list[int]:
        return list(range(len(_words(text))))  # a word, or what is between two, is a token

    def stream(self, messages: Any, options: ChatOptions) -> AsyncIterator[Any]:
        read = read_messages(messages)
        last = read[-1]
        self.seen.append((messages, options))
        question, step = answers_since(read)
        steps = next((steps for word, steps in STEPS.items() if options.tools and word in question), None)
        if steps is not None:
            return self._say(steps[min(step, len(steps) - 1)], options)
        if last.role == "tool":
            return self._say(Script(f"The tool says: {last.content}", "Now I know."), options)
        return self._say(next((s for word, s in SCRIPTS.items() if word in last.content), Script()), options)

    async def _say(self, script: Script, options: ChatOptions) -> AsyncIterator[Any]:
        thinking = options.enable_thinking is not False and options.thinking_budget != 0 and bool(script.thought)
        content = script.said_at(options.thinking_budget)
        thought, cut = self._cut(script.thought, options) if thinking else ([], False)
        own = len(thought) - len(CLOSING) * cut
        events = [(ClosingPhrase if i >= own else Reasoning)(word) for i, word in enumerate(thought)]
        events += map(Content, _words(content))
        if script.endless:
            events = events[: len(thought)] or events
        for index, call in enumerate(_calls(script)):
            text = call.arguments
            events += [ToolCallDelta(index, call.id, call.name, "")]
            events += [ToolCallDelta(index, call.id, None, text[i : i + 6]) for i in range(0, len(text), 6)]
        try:
            for event in events:
                await asyncio.sleep(script.delay)
                yield event
            if script.endless:
                await asyncio.Event().wait()
            if script.breaks:
                raise RuntimeError("scripted")
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        result = self._result(options, thinking, thought, cut)
        yield self._scripted(script, content, result, thought, len(events) + 2)

    def _cut(self, text: str, options: ChatOptions) -> tuple[list[str], bool]:
        words, budget = _words(text), options.thinking_budget
        cut = budget is not None and len(words) > budget
        return ([*words[:budget], *CLOSING], True) if cut else (words, False)

    def _scripted(
        self, script: Script, content: str, result: ChatResult, thought: list[str], written: int
    ) -> ChatResult:
        calls = _calls(script)
        message = Message("assistant", content, reasoning_content="".join(thought) or None, tool_calls=calls)
        reason = "tool_calls" if calls else script.finish_reason
        phrase = result.report.closing_phrase_tokens
        usage = ChatUsage(11, written, len(thought) - phrase, 5, written - phrase)
        return replace(result, message=message, finish_reason=reason, usage=usage)


def _calls(script: Script) -> tuple[ToolCall, ...]:
    made = script.calls or ((script.call,) if script.call else ())
    named = enumerate(made, 1)
    return tuple(ToolCall(f"call-{i}", name, json.dumps(given, ensure_ascii=False)) for i, (name, given) in named)


def _words(text: str) -> list[str]:
    return re.findall(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef]+|\s+", text)  # a Chinese character is a word
