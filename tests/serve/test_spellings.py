"""The names that clients of other servers give to what there is here."""

import pytest
from sansi.base.errors import SansiError
from sansi.serve.api.openai_chat import parse_chat_request
from sansi.serve.api.openai_completions import parse_text_request
from sansi.serve.api.other_servers import BUDGET_NAMES
from sansi.serve.api.requests import Policy

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def options(**fields):
    return parse_chat_request({**CHAT, **fields}, Policy(strict=True)).options


@pytest.mark.parametrize(
    ("fields", "option", "value"),
    [
        *(({name: 8}, "thinking_budget", 8) for name in ("thinking_budget", *BUDGET_NAMES)),
        *(({name: -1}, "thinking_budget", None) for name in ("thinking_budget", *BUDGET_NAMES)),
        ({"thinking": {"type": "enabled", "budget_tokens": 8}}, "thinking_budget", 8),
        ({"thinking": {"type": "enabled"}}, "enable_thinking", True),
        ({"thinking": {"type": "disabled"}}, "enable_thinking", False),
        ({"thinking": {"type": "adaptive"}}, "enable_thinking", None),
        ({"thinking": {"type": "adaptive"}, "enable_thinking": False}, "enable_thinking", False),
        ({"enable_thinking": True, "thinking": {"type": "auto"}}, "enable_thinking", True),
        ({"thinking": False}, "enable_thinking", False),
        ({"reasoning": {"effort": "low"}}, "reasoning_effort", "low"),
        ({"reasoning": {"enabled": False}}, "enable_thinking", False),
        ({"reasoning": {"max_tokens": 8}}, "thinking_budget", 8),
        ({"reasoning": {"effort": "high", "max_tokens": 8}}, "budget", 8),
        ({"reasoning": {"effort": None}}, "reasoning_effort", None),
        ({"reasoning": "low"}, "reasoning_effort", "low"),
        ({"reasoning_effort": "default"}, "reasoning_effort", None),
        ({"reasoning_effort": "low", "thinking_budget": 8}, "budget", 8),
        ({"reasoning_effort": "low", "thinking_budget": -1}, "budget", None),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "enable_thinking", False),
        ({"chat_template_kwargs": {"thinking_budget": 8}}, "thinking_budget", 8),
        ({"think": False}, "enable_thinking", False),
        ({"think": "low"}, "reasoning_effort", "low"),
        ({"enable_thinking": True, "thinking": {"type": "enabled"}, "think": True}, "enable_thinking", True),
    ],
)
def test_every_spelling_of_thinking_is_applied(fields, option, value):
    assert getattr(options(**fields), option) == value


@pytest.mark.parametrize(
    ("fields", "option", "value"),
    [
        ({"max_new_tokens": 5}, "max_tokens", 5),
        ({"n_predict": 5}, "max_tokens", 5),
        ({"n_predict": -1}, "max_tokens", None),
        ({"min_new_tokens": 3}, "min_tokens", 3),
        ({"ban_eos_token": True}, "ignore_eos", True),
        ({"logit_bias": {"7": -100}}, "logit_bias", {7: -100.0}),
        ({"logit_bias": [[7, 1.5], [8, False]]}, "logit_bias", {7: 1.5, 8: -100.0}),
        ({"random_seed": 3}, "seed", 3),
        ({"seed": -1}, "seed", None),
        ({"repeat_penalty": 1.1}, "repetition_penalty", 1.1),
        ({"thinking_token_budget": 8}, "thinking_budget", 8),
    ],
)
def test_other_names_of_options_are_applied(fields, option, value):
    assert getattr(options(**fields), option) == value
    assert getattr(parse_text_request({"model": "m", "prompt": "x", **fields}).options, option) == value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"enable_thinking": True}, {"chat_template_kwargs": {"enable_thinking": False}}),
        ({"enable_thinking": True}, {"thinking": {"type": "disabled"}}),
        ({"thinking_budget": 8}, {"reasoning": {"max_tokens": 9}}),
        ({"thinking_budget": 8}, {"thinking_token_budget": -1}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "high"}}),
        ({"max_tokens": 5}, {"max_completion_tokens": 6}),
        ({"max_tokens": -1}, {"max_completion_tokens": 6}),
        ({"seed": 1}, {"random_seed": 2}),
    ],
)
def test_two_spellings_that_differ_are_refused_by_both_names(one, other):
    for body in ({**one, **other}, {**other, **one}):
        with pytest.raises(SansiError, match="give one of them") as caught:
            options(**body)
        for name in (*one, *other):
            assert f'"{name}' in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (
            {"reasoning": {"effort": "low", "summary": "auto", "exclude": True}},
            ("reasoning.summary", "reasoning.exclude"),
        ),
        ({"thinking": {"type": "enabled", "clear_thinking": False}}, ("thinking.clear_thinking",)),
        (
            {"chat_template_kwargs": {"enable_thinking": True, "thinking": True, "preserve_thinking": True}},
            ("chat_template_kwargs.thinking", "chat_template_kwargs.preserve_thinking"),
        ),
        ({"stream": True, "stream_options": {"other": 1}}, ("stream_options.other",)),
        ({"stream_options": {"include_usage": True}}, ("stream_options",)),
    ],
)
def test_what_an_object_holds_beside_is_ignored_by_name(fields, names):
    assert parse_chat_request({**CHAT, **fields}).ignored == names
    with pytest.raises(SansiError) as caught:
        parse_chat_request({**CHAT, **fields}, Policy(strict=True))
    assert caught.value.param == names[0]


@pytest.mark.parametrize("field", ["max_tokens", "n", "top_k", "seed", "thinking_budget", "top_logprobs"])
def test_whole_numbers_may_be_written_as_floats(field):
    read = parse_chat_request({**CHAT, "logprobs": True, field: 2.0})
    found = read.n if field == "n" else getattr(read.options, field)
    assert found == 2 and type(found) is int
    for wrong in (2.5, 1e300, True, "2"):
        with pytest.raises(SansiError, match="whole number"):
            parse_chat_request({**CHAT, "logprobs": True, field: wrong})
