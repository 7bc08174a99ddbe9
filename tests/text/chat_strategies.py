"""Conversations of every kind for property tests, and completions that a model may write."""

from __future__ import annotations

from typing import Any

from conversations import assistant, tiny_codec, tool, user
from hypothesis import strategies as st
from sansi.text.tokenizer import CONTROL_TEXT

TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("add", "f.g")]

PLAIN = ["", "a", "\n", "\n\n", " ", " \n", "\r\n", "hello there", "/think", "/no_think"]
UNICODE = ["e\u0301", "\u0301", "你好", "\U0001f469\u200d\U0001f467", "\u0958"]
words = st.sampled_from([*PLAIN, *UNICODE, *CONTROL_TEXT.values()])
texts = st.lists(words | st.text(max_size=3), max_size=5).map("".join)
questions = st.tuples(texts, st.sampled_from(["", "", " /think", " /no_think"])).map("".join)
arguments = st.dictionaries(st.text(max_size=3), texts | st.integers() | st.lists(texts, max_size=2), max_size=2)
calls = st.lists(st.tuples(st.sampled_from(["add", "f.g"]), arguments), max_size=2)


@st.composite
def steps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """An assistant's turn and, if it calls, results: all of them or some, with or without ids."""
    made = assistant(draw(texts), draw(st.none() | texts), draw(calls))
    count = len(made.get("tool_calls", ()))
    results = [tool(draw(texts), draw(st.none() | st.sampled_from(["c0", f"c{count - 1}"]))) for _ in range(count)]
    return [made, *results]


@st.composite
def conversations(draw: st.DrawFn, ends_with_answer: bool = False) -> list[dict[str, Any]]:
    """Any order of turns that may be rendered."""
    chat = [{"role": "system", "content": draw(texts)}] if draw(st.booleans()) else []
    for part in draw(st.lists(steps() | questions.map(lambda text: [user(text)]), min_size=1, max_size=6)):
        chat += part
    if ends_with_answer:
        chat += [user(draw(questions)), assistant(draw(texts), draw(st.none() | texts), draw(calls))]
    return chat


modes = st.fixed_dictionaries(
    {"enable_thinking": st.sampled_from([None, True, False]), "soft_switch": st.sampled_from(["prefill", "model"])}
)
options = st.tuples(modes, st.booleans()).map(lambda given: {**given[0], "open_thought": given[1]})


@st.composite
def completions(draw: st.DrawFn) -> list[int]:
    """Ids that a model may write: text cut into tokens in ways that no encoder would, and tags anywhere."""
    codec = tiny_codec()
    parts = st.one_of(
        texts.map(codec.tokenizer.encode),
        st.lists(st.integers(0, codec.tokenizer.vocab_size - 1), max_size=3),
        st.sampled_from([[token] for token in vars(codec.control).values()]),
        st.just([codec.control.tool_call, *codec.tokenizer.encode('{"name": "add", "arguments": {"a": 1}}')]),
    )
    return [token for part in draw(st.lists(parts, max_size=5)) for token in part]
