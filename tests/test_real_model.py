"""What random weights can not show: SmolLM2 on real English, beside llama.cpp. `make soak` runs it.

The figures of a run stand in docs/RESULTS.md; here are the bounds that they have to keep.
"""

import dataclasses

import numpy as np
import pytest
import torch
from sansi.chat import ChatModel, ChatOptions
from sansi.engine import Engine, SamplingParams, ThinkingLimits
from sansi.model.bundle import ModelBundle
from sansi.model.formats.folders import model_folder
from sansi.model.formats.gguf.write import write_gguf
from sansi.model.formats.source import open_source
from sansi.text import open_codec

import llama_cpp
from real_language import TIE, Native, greedy, prompts, qualities, reading, smollm2, windows

pytestmark = [pytest.mark.slow, llama_cpp.needs_llama_cpp]


@pytest.fixture(scope="module")
def file():
    found = smollm2()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="module")
def codec(file):
    codec = open_codec(model_folder(file))
    yield codec
    codec.close()


@pytest.fixture(scope="module")
def written(file, tmp_path_factory):
    """The model as files of other kinds, made of its rows."""
    folder = model_folder(file)
    source, bundle, out = open_source(folder), ModelBundle.from_folder(folder), tmp_path_factory.mktemp("kinds")
    for kind in ("F32", "F16", "Q4_K_M"):
        write_gguf(source, out / f"{kind}.gguf", kind, bundle)
    return {kind: out / f"{kind}.gguf" for kind in ("F32", "F16", "Q4_K_M")}


def test_texts_and_prompts_have_llama_cpps_ids(file, codec):
    text = codec.tokenizer.decode(reading(codec))
    with llama_cpp.Llama(file) as theirs:
        assert theirs.tokenize(text) == reading(codec)
        for ids in prompts(codec):
            assert theirs.tokenize(codec.tokenizer.decode(ids), special=True) == ids


def test_greedy_tokens_are_llama_cpps_on_a_hundred_prompts(written, codec):
    """A difference is one of rounding: where it begins, the two tokens are tied in llama.cpp's logits."""
    ours, equal, ties = Native(written["F16"], 512), 0, []
    with llama_cpp.Llama(written["F16"]) as theirs:

        def after(ids, known):
            if not known:
                theirs.forget()
            return torch.from_numpy(theirs.decode(ids[known:], every=False)[-1])

        for ids in prompts(codec):
            mine = greedy(ours.after, ids, codec.stop_ids, 48)
            other = greedy(after, ids, codec.stop_ids, 48)
            if mine == other:
                equal += 1
                continue
            at = next(i for i, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1])
            told = theirs.logits([*ids, *other[:at]])[-1]
            ties.append(abs(float(told[other[at]] - told[mine[at]])))
    print(f"{equal} of 100 equal; gaps of the others: {sorted(round(tie, 4) for tie in ties)}")
    assert equal + len(ties) == 100 and max(ties, default=0.0) < TIE
    assert equal >= 90


def test_perplexity_and_divergence_stay_what_they_are(file, written, codec):
    ours = {
        "as it is": Native(file, 512, cache_dtype=None),
        "int8": Native(file, 512, quantize="int8", cache_dtype=None),
        "int4": Native(file, 512, quantize="int4", cache_dtype=None),
        "Q4_K_M": Native(written["Q4_K_M"], 512, cache_dtype=None),
    }
    found = qualities(
        Native(written["F32"], 512).logits, {k: m.logits for k, m in ours.items()}, windows(codec, 4, 512)
    )
    for name, quality in found.items():
        print(f"{name}: {quality}")
    bounds = {"as it is": 0.006, "int8": 0.008, "Q4_K_M": 0.08, "int4": 0.45}
    assert all(found[name].divergence < most for name, most in bounds.items())
    assert found["as it is"].perplexity < 1.01 * found["reference"].perplexity


def test_speculation_changes_no_token_of_real_language(file, codec):
    story = "The old lighthouse keeper walked down to the shore each morning and counted the boats in the bay. " * 3
    asks = [f"Repeat this text: {story}", "List the numbers from 1 to 40.", "Write a poem about the sea."]
    ids = [codec.render([{"role": "user", "content": ask}]).ids for ask in asks]
    with Engine.from_pretrained(file) as engine:
        for temperature in (0.0, 0.8):
            plain = SamplingParams(temperature=temperature, seed=1, max_tokens=120, stop_ids=codec.stop_ids)
            drafted = dataclasses.replace(plain, speculation=8)
            alone, checked = ([engine.generate([one], [p])[0] for one in ids] for p in (plain, drafted))
            assert [one.ids for one in alone] == [one.ids for one in checked]
            print([f"{one.accepted_tokens} of {one.drafted_tokens} drafts, {len(one.ids)} tokens" for one in checked])
            assert temperature or sum(one.accepted_tokens for one in checked) > 40


def test_the_loop_breaker_ends_a_real_loop_and_no_honest_text(file, codec):
    """The engine knows ids only, so a model without thoughts has some: from the prompt's end to an id of no text."""
    names = codec.tokenizer.added
    limits = ThinkingLimits(
        start_id=names["<issue_start>"],
        end_ids=(names["<issue_closed>"],),
        end_sequence=(names["<issue_closed>"],),
        open=True,
        answer_reserve=8,
    )
    loop = codec.render([{"role": "user", "content": "What is the capital of France?"}]).ids
    table = codec.render([{"role": "user", "content": "List the numbers from 1 to 60, one on each line."}]).ids
    with Engine.from_pretrained(file) as engine:
        params = SamplingParams(temperature=0.0, max_tokens=700, thinking=limits, stop_ids=codec.stop_ids)
        looped, honest = (engine.generate([ids], [params])[0] for ids in (loop, table))
    print(looped.thinking, honest.thinking, codec.tokenizer.decode(looped.ids[:60]), codec.tokenizer.decode(honest.ids))
    assert looped.thinking.end_reason == "loop" and looped.thinking.tokens < 400
    assert honest.thinking.end_reason != "loop"


def test_eight_thousand_tokens_are_llama_cpps(written, codec):
    """Every hundredth position of a text that fills the context, and the last ones."""
    ids = reading(codec)[:8000]
    rows = sorted({*range(99, 8000, 100), *range(7990, 8000)})
    ours = Native(written["F16"], 8000).logits(ids, rows).log_softmax(-1)
    with llama_cpp.Llama(written["F16"], context=8192) as theirs:
        pieces = [theirs.decode(ids[at : at + 500], rows=_within(rows, at, at + 500)) for at in range(0, 8000, 500)]
        told = torch.from_numpy(np.concatenate(pieces)).log_softmax(-1)
    divergence = (told.exp() * (told - ours)).sum(-1)
    losses = [-float(ours[i, ids[row + 1]]) for i, row in enumerate(rows) if row + 1 < len(ids)]
    print(f"divergence mean {divergence.mean():.2e}, most {divergence.max():.2e}; loss {sum(losses) / len(losses):.3f}")
    assert divergence.max() < 1e-3


def _within(rows, first, last):
    return [row - first for row in rows if first <= row < last]


def test_a_chat_of_real_language_ends_its_turns(file):
    with ChatModel.from_pretrained(file) as chat:
        asked = [[{"role": "user", "content": text}] for text in ("Hello!", "What is 2 + 2?", "Name a colour.")]
        told = chat.complete_batch(asked, ChatOptions(temperature=0.0, max_tokens=200, repetition_penalty=1.1))
    print([one.message.content for one in told])
    assert [one.finish_reason for one in told] == ["stop"] * 3
    assert all(one.message.content and "<|im" not in one.message.content for one in told)
