"""Training samples: what is learnt, and that they stand token for token as they are served."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import pytest
from sansi.base import SansiError
from sansi.data.problems import Problem, is_right, training_problems
from sansi.post.samples import (
    SMALL_TALK,
    FusionMix,
    answered,
    cold_start_samples,
    fusion_samples,
    plain_document,
    plain_question,
)
from sansi.text import Codec, TrainingSample
from tiny_policy import make_codec

FAMILIES = ("gcd", "chain_sum")
NONE = FusionMix(thinking=0, cut=0, direct=0, several_turns=0, small_talk=0)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return make_codec()


def problems() -> Iterator[Problem]:
    return training_problems(0, FAMILIES)


def fused(codec: Codec, count: int, seed: int = 0, **mix: float) -> list[TrainingSample]:
    return list(fusion_samples(codec, problems(), count, seed, dataclasses.replace(NONE, **mix) if mix else None))


def learnt(codec: Codec, sample: TrainingSample) -> list[int]:
    """The ids with loss; they must be one run that ends with the closing <|im_end|>."""
    begin, end = sample.loss_mask.index(1), len(sample.loss_mask) - sample.loss_mask[::-1].index(1)
    assert all(sample.loss_mask[begin:end]), "the loss has a hole"
    assert sample.ids[end - 1] == codec.control.im_end
    return sample.ids[begin:end]


def text(codec: Codec, ids: list[int]) -> str:
    return codec.tokenizer.decode(ids)


def question_of(codec: Codec, sample: TrainingSample) -> str:
    """What is said before the last answer."""
    return text(codec, sample.ids).split("<|im_start|>assistant")[-2]


def served(codec: Codec, sample: TrainingSample, prompt: list[int]) -> bool:
    """The sample begins as a served prompt does."""
    return sample.ids[: len(prompt)] == prompt


def test_plain_text_shows_the_solution_or_the_answer_alone():
    for problem in itertools.islice(problems(), 20):
        with_thought, without = plain_document(problem), plain_question(problem)
        assert with_thought.startswith(f"Question: {problem.question}\nReasoning: ")
        assert is_right(problem, with_thought.split("\nAnswer: ")[1])
        assert without == f"Question: {problem.question}\nAnswer: {problem.answer}"


def test_cold_start_learns_thought_and_answer_after_the_served_prompt(codec):
    chosen = list(itertools.islice(problems(), 20))
    for problem, sample in zip(chosen, cold_start_samples(codec, chosen), strict=True):
        messages = answered(problem)
        prompt = codec.render(messages[:1], enable_thinking=True, open_thought=True)
        assert served(codec, sample, prompt.ids) and sample.mode.thinking
        own = learnt(codec, sample)
        assert own[0] == codec.control.think and own.count(codec.control.think_end) == 1
        parsed = codec.parse(prompt, sample.ids[len(prompt.ids) :])
        assert parsed.reasoning_content.strip() == messages[1]["reasoning_content"]
        assert is_right(problem, parsed.content)


def test_thinking_samples_learn_the_thought_with_and_without_a_switch(codec):
    made = fused(codec, 200, thinking=1)
    for sample in made:
        assert sample.mode.thinking and learnt(codec, sample)[0] == codec.control.think
    switched = [s for s in made if s.mode.source == "soft_switch"]
    assert all("/think" in question_of(codec, s) for s in switched)
    assert not any("/think" in question_of(codec, s) for s in made if s not in switched)
    assert 0.2 < len(switched) / len(made) < 0.4
    by_system = [s for s in switched if text(codec, s.ids).startswith("<|im_start|>system\n/think<|im_end|>")]
    assert 0 < len(by_system) < len(switched) / 2


def test_direct_samples_learn_the_empty_block_only_where_the_text_asks_for_it(codec):
    made = fused(codec, 200, direct=1)
    for sample in made:
        own, asked = learnt(codec, sample), "/no_think" in question_of(codec, sample)
        assert not sample.mode.thinking and sample.mode.source == ("model" if asked else "request")
        assert text(codec, own).startswith("<think>\n\n</think>\n\n") == asked
        assert codec.control.think in sample.ids  # the block is there, whoever wrote it
        if asked:
            own = own[own.index(codec.control.think_end) + 2 :]
        assert "think" not in text(codec, own) and text(codec, own).endswith("<|im_end|>")
    asked = [s for s in made if s.mode.source == "model"]
    assert 0.4 < len(asked) / len(made) < 0.6


def test_direct_samples_stand_as_they_are_served(codec):
    for problem, sample in zip(problems(), fused(codec, 40, direct=1), strict=False):
        if sample.mode.source == "request":
            prompt = codec.render([{"role": "user", "content": problem.question}], enable_thinking=False)
            assert served(codec, sample, prompt.ids)
            assert text(codec, learnt(codec, sample)) == f"{answered(problem)[1]['content']}<|im_end|>"


def test_cut_samples_stop_at_a_budget_and_learn_the_answer_alone(codec):
    count, asked = 150, problems()
    end_sequence = list(codec.thinking_ids.end_sequence)
    shares = []
    for sample in fused(codec, count, cut=1):
        messages = answered(next(asked))
        prompt = codec.render(messages[:1], open_thought=True).ids
        own = learnt(codec, sample)
        assert served(codec, sample, prompt) and sample.mode.thinking
        assert text(codec, own) == f"{messages[1]['content']}<|im_end|>"
        inside = sample.ids[sample.ids.index(codec.control.think) + 1 : sample.loss_mask.index(1)]
        thought = codec.tokenizer.encode("\n") + codec.tokenizer.encode(messages[1]["reasoning_content"] + "\n")
        if inside[-len(end_sequence) :] == end_sequence:
            kept = inside[: -len(end_sequence)]
            assert kept == thought[: len(kept)] and kept
            shares.append(len(kept) / len(thought))
        else:  # a budget that the thought does not reach leaves it whole
            assert inside[: len(thought)] == thought
    assert len(shares) > 0.9 * count
    assert min(shares) < 0.1 and max(shares) > 0.8  # from the first tokens to nearly all


def test_in_several_turns_the_last_switch_counts_and_the_last_answer_is_learnt(codec):
    modes = set()
    for sample in fused(codec, 60, several_turns=1):
        whole = text(codec, sample.ids)
        assert whole.count("<|im_start|>user") == 2
        first, last = (part.split("<|im_end|>")[0] for part in whole.split("<|im_start|>user\n")[1:])
        modes.add((first.endswith(" /think"), last.endswith(" /think")))
        assert sample.mode.thinking == last.endswith(" /think")
        own = text(codec, learnt(codec, sample))
        assert own.startswith("<think>\n") and own.startswith("<think>\n\n</think>") != sample.mode.thinking
        assert own == whole.split("<|im_start|>assistant\n")[2].removesuffix("\n")
    assert len(modes) == 4


def test_small_talk_comes_in_both_modes(codec):
    made = fused(codec, 60, small_talk=1)
    answers = {answer for _, _, answer in SMALL_TALK}
    for sample in made:
        own = text(codec, learnt(codec, sample)).removesuffix("<|im_end|>")
        assert own.startswith("<think>") == sample.mode.thinking
        assert own.split("</think>\n\n")[-1] in answers
    assert 0.3 < sum(s.mode.thinking for s in made) / len(made) < 0.7


def kind(codec: Codec, sample: TrainingSample) -> str:
    whole, phrase = text(codec, sample.ids), text(codec, list(codec.thinking_ids.end_sequence))
    if whole.count("<|im_start|>user") == 2:
        return "several_turns"
    if any(f"user\n{question}<" in whole for question, _, _ in SMALL_TALK):
        return "small_talk"
    if not sample.mode.thinking:
        return "direct"
    return "cut" if phrase in whole else "thinking"


def test_shares_are_those_of_the_mix(codec):
    kinds = [kind(codec, sample) for sample in fused(codec, 800)]
    for name, share in vars(FusionMix()).items():
        assert kinds.count(name) / len(kinds) == pytest.approx(share, abs=0.05), name
    assert set(kinds) == set(vars(FusionMix()))


def test_the_same_seed_gives_the_same_samples(codec):
    assert fused(codec, 30, seed=1) == fused(codec, 30, seed=1) != fused(codec, 30, seed=2)


def test_an_impossible_mix_is_named(codec):
    with pytest.raises(SansiError, match='"cut" is a share'):
        fused(codec, 1, cut=-0.5, direct=1)
    with pytest.raises(SansiError, match="at least one kind"):
        list(fusion_samples(codec, problems(), 1, 0, NONE))
