"""What the bundled model says beside answers to problems: it greets, takes thanks, and is honest about all the rest.

The sentences are few and fixed, so that a model of a million parameters says them without a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

ABOUT = {
    "en": (
        "I am Sansi nano, only a demonstration of a million parameters: I add and subtract numbers below 100, solve "
        "simple equations, find the GCD of two numbers, count letters and 1 bits, and spell words backward; for a real "
        "model, run `sansi serve Qwen/Qwen3-0.6B`."
    ),
    "zh": (
        "我是 Sansi nano，只是一个百万参数的演示：会算一百以内的加减法、解简单方程、求两个数的最大公约数、"
        "数字母和二进制中的 1、倒着拼单词；想要真正的模型，请运行 `sansi serve Qwen/Qwen3-0.6B`。"
    ),
}
"""The honest answer: what the model is, what it can do, and how to get a real one."""


@dataclass(frozen=True)
class Reply:
    """A fixed answer and the thought before it."""

    thought: str
    answer: str


REPLIES = {
    ("greeting", "en"): Reply("A greeting.", f"Hello! {ABOUT['en']}"),
    ("greeting", "zh"): Reply("问候。", f"你好！{ABOUT['zh']}"),
    ("thanks", "en"): Reply("Thanks.", "You are welcome!"),
    ("thanks", "zh"): Reply("感谢。", "不客气！"),
    ("goodbye", "en"): Reply("A goodbye.", "Goodbye!"),
    ("goodbye", "zh"): Reply("告别。", "再见！"),
    ("about", "en"): Reply("A question about me.", ABOUT["en"]),
    ("about", "zh"): Reply("问我是谁。", ABOUT["zh"]),
    ("other", "en"): Reply("Not one of my tasks.", ABOUT["en"]),
    ("other", "zh"): Reply("不是我会做的题。", ABOUT["zh"]),
}
"""By what is said and in which language. `other` is everything that is neither a problem nor small talk."""


def fixed_text() -> str:
    """Every fixed sentence once, for the training of a tokenizer that is to write them in few tokens."""
    return "\n".join(f"{reply.thought}\n{reply.answer}" for reply in REPLIES.values())
