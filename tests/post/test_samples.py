"""Training samples: what is learnt, and that they stand token for token as they are served."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from sansi.base import SansiError
from sansi.data.problems import FAMILIES, Problem, evaluation_set, is_right, training_problems
from sansi.post.requests import Requests
from sansi.post.samples import (
    Exchange,
    FusionMix,
    Shares,
    answered,
    cold_start_samples,
    exchange_of,
    exchanges,
    fusion_samples,
    plain_document,
    plain_question,
    talk,
)
from sansi.post.small_talk import ABOUT, REPLIES
from sansi.text import Codec, TrainingSample
from tiny_policy import make_codec

NONE = {"thinking": 0, "cut": 0, "direct": 0, "several_turns": 0}


@pytest.fixture(scope="module")
def codec() -> Codec:
    return make_codec()


def problems() -> Iterator[Problem]:
    return training_problems(0, ("gcd", "chain_sum"))


def solved() -> Iterator[Exchange]:
    return map(exchange_of, problems())


def fused(codec: Codec, count: int, seed: int = 0, **mix: float) -> list[TrainingSample]:
    """Samples without system messages, so that one turn is one turn."""
    chosen = FusionMix(**{**NONE, **mix}) if mix else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sansi.post.samples.SYSTEM_SHARE", 0.0)
        return list(fusion_samples(codec, solved(), count, seed, chosen))


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
        exchange = exchange_of(problem)
        with_thought, without = plain_document(exchange), plain_question(exchange)
        assert with_thought.startswith(f"Question: {problem.question}\nReasoning: ")
        assert is_right(problem, with_thought.split("\nAnswer: ")[1])
        assert without == f"Question: {problem.question}\nAnswer: {problem.answer}"


def test_cold_start_learns_thought_and_answer_after_the_served_prompt(codec):
    chosen = list(itertools.islice(problems(), 20))
    for problem, sample in zip(chosen, cold_start_samples(codec, map(exchange_of, chosen)), strict=True):
        messages = answered(exchange_of(problem))
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
    for exchange, sample in zip(solved(), fused(codec, 40, direct=1), strict=False):
        if sample.mode.source == "request":
            prompt = codec.render([{"role": "user", "content": exchange.question}], enable_thinking=False)
            assert served(codec, sample, prompt.ids)
            assert text(codec, learnt(codec, sample)) == f"{exchange.answer}<|im_end|>"


def test_cut_samples_stop_at_a_budget_and_learn_the_answer_alone(codec):
    count, asked = 150, solved()
    end_sequence = list(codec.thinking_ids.end_sequence)
    shares = []
    for sample in fused(codec, count, cut=1):
        messages = answered(next(asked))
        prompt = codec.render(messages[:1], open_thought=True).ids
        own = learnt(codec, sample)
        assert served(codec, sample, prompt) and sample.mode.thinking
        assert text(codec, own) == f"{messages[1]['content']}<|im_end|>"
        inside = sample.ids[sample.ids.index(codec.control.think) + 1 : sample.loss_mask.index(1)]
        thought = codec.tokenizer.encode(messages[1]["reasoning_content"] + "\n")
        assert inside[:1] == codec.tokenizer.encode("\n")
        inside = inside[1:]
        if inside[-len(end_sequence) :] == end_sequence:
            kept = inside[: -len(end_sequence)]
            assert kept == thought[: len(kept)] and kept
            shares.append(len(kept) / len(thought))
        else:  # a budget that the thought does not reach leaves it whole
            assert inside[: len(thought)] == thought
    assert len(shares) > 0.9 * count
    assert min(shares) < 0.1 and max(shares) > 0.8  # from the first tokens to nearly all


def test_in_several_turns_the_last_answer_is_learnt_as_it_is_served(codec):
    turns = set()
    for sample in fused(codec, 120, several_turns=1, thinking=1e-9, direct=1e-9):
        whole = text(codec, sample.ids)
        questions = [part.split("<|im_end|>")[0] for part in whole.split("<|im_start|>user\n")[1:]]
        turns.add(len(questions))
        answers = [part.split("<|im_end|>")[0] for part in whole.split("<|im_start|>assistant\n")[1:]]
        history = [
            {"role": role, "content": content}
            for question, answer in zip(questions, answers, strict=True)
            for role, content in (("user", question), ("assistant", answer))
        ]
        assert not any("<think>" in answer for answer in answers[:-1])  # as the published template leaves them out
        switch = {"soft_switch": "model"} if sample.mode.source in ("model", "soft_switch") else {}
        prompt = codec.render(history[:-1], enable_thinking=sample.mode.thinking or None, **switch)
        assert served(codec, sample, prompt.ids)
        assert text(codec, learnt(codec, sample)).removesuffix("<|im_end|>") in answers[-1]
    assert turns >= {2, 3, 4, 5}


def test_an_earlier_switch_never_decides_the_mode_of_what_is_learnt(codec):
    """A thought under a /no_think of an earlier turn would be refused; all kinds of histories must do."""
    made = fused(codec, 300, several_turns=1, thinking=1, cut=1, direct=1)
    for sample in made:
        last = question_of(codec, sample).split("<|im_start|>user\n")[-1].split("<|im_end|>")[0]
        if sample.mode.source == "soft_switch":
            by_system = text(codec, sample.ids).startswith("<|im_start|>system\n/think<|im_end|>")
            assert (last.endswith("/think") or by_system) and sample.mode.thinking
    assert {sample.mode.thinking for sample in made} == {True, False}


def test_system_messages_come_now_and_then(codec):
    texts = [text(codec, s.ids) for s in fusion_samples(codec, solved(), 400, 0, FusionMix(**{**NONE, "direct": 1}))]
    told = [t for t in texts if t.startswith("<|im_start|>system\n") and not t.startswith("<|im_start|>system\n/")]
    assert 0.03 < len(told) / len(texts) < 0.12


# --- what the stream of exchanges holds -----------------------------------------------------------------------------


def stream(seed: int, held_out=frozenset(), shares: Shares | None = None) -> Iterator[Exchange]:
    return exchanges(
        seed, held_out, Requests(["# Heading\n\nA text of a corpus that is long enough to paste from it."]), shares
    )


def test_exchanges_are_problems_in_both_kinds_of_words_and_talk():
    made = list(itertools.islice(stream(3), 600))
    talked = [e for e in made if not e.is_problem]
    assert 0.2 < len(talked) / len(made) < 0.34
    assert {e.answer for e in talked} <= {reply.answer for reply in REPLIES.values()}
    gym = [
        e for e in made if e.question.startswith(("State the final", "How many 1 bits are there", "Spell this word"))
    ]
    assert 0.1 < len(gym) / len(made) < 0.4
    assert made == list(itertools.islice(stream(3), 600)) != list(itertools.islice(stream(4), 600))


def test_a_held_out_problem_is_held_out_in_every_wording():
    held_out = frozenset(p.key for p in evaluation_set(600))
    free = list(itertools.islice(stream(0, shares=Shares(0.5, 0.5, 0)), 4000))
    kept = {e.question for e in itertools.islice(stream(0, held_out, Shares(0.5, 0.5, 0)), 4000)}
    gone = [e for e in free if e.question not in kept]
    assert gone, "nothing was held out"
    # Whatever was left out asks for what a held-out problem asks for: its operands are those of one.
    answers = {p.answer for p in evaluation_set(600)}
    assert sum(e.answer in answers for e in gone[:20]) >= 18


def test_every_kind_of_talk_has_one_reply_in_each_language():
    kinds = {kind for kind, _ in REPLIES}
    assert {(kind, language) for kind in kinds for language in ("en", "zh")} == set(REPLIES)
    for language, sentence in ABOUT.items():
        assert "sansi serve Qwen/Qwen3-0.6B" in sentence and ("a million parameters" in sentence or language == "zh")
        assert "\n" not in sentence


def test_talk_answers_in_the_language_it_is_spoken_to(codec):
    import random

    requests, rng = Requests(), random.Random(0)
    for _ in range(300):
        request = requests.draw(rng)
        exchange = talk(request)
        chinese = any("\u4e00" <= c <= "\u9fff" for c in exchange.answer)
        assert chinese == (request.language == "zh") and not exchange.is_problem
        assert request.text.strip()


def test_all_families_are_among_the_exchanges():
    made = itertools.islice(stream(5, shares=Shares(0, 1, 0)), 300)
    assert all(e.thought and e.answer for e in made)
    assert len(FAMILIES) == 6


def test_the_same_seed_gives_the_same_samples(codec):
    assert fused(codec, 30, seed=1) == fused(codec, 30, seed=1) != fused(codec, 30, seed=2)


def test_an_impossible_mix_is_named(codec):
    with pytest.raises(SansiError, match='"cut" is a share'):
        fused(codec, 1, cut=-0.5, direct=1)
    for make in (lambda: FusionMix(**NONE), lambda: list(fusion_samples(codec, solved(), 1, 0, NONE))):
        with pytest.raises(SansiError, match="one share at least of thinking, cut, direct, several_turns"):
            make()
    with pytest.raises(SansiError, match="one share at least of gym, ordinary, talk"):
        Shares(0, 0, 0)
