"""Several adapters over one base in one engine."""

import asyncio

import pytest
import torch
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams
from sansi.model import ModelConfig, Transformer, save
from sansi.model.adapters import merged
from sansi.model.formats.weights import ModelWeights, fill_model
from sansi.model.quantize import quantize

from adapter_folders import factors, folder_of, random_adapter

PROMPTS = [list(range(3, 3 + n)) for n in (5, 20, 1, 33, 20)]
WHO = [None, "a", "b", "a", None]


def params(adapter=None, **more):
    return SamplingParams(temperature=0, max_tokens=12, logprobs=True, adapter=adapter, **more)


VARIANTS = {
    "dense": {},
    "dense-tied": {"tie_word_embeddings": True},
    "moe": {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": True},
}
SHAPE = {
    **{"vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": False, "max_position_embeddings": 128},
}


def model_of(variant, **shape):
    """Weights five times the usual ones, so that tokens differ."""
    model = Transformer(ModelConfig.preset("nano", **{**SHAPE, **VARIANTS[variant], **shape}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5 if parameter.dim() > 1 else 1)
    return model.eval()


def folders(path, config, dora=False):
    return {name: random_adapter(path / name, config, seed, dora=dora) for seed, name in enumerate("ab")}


def merged_model(model, folder):
    source = merged(ModelWeights(model), folder)
    both = Transformer(source.config)
    fill_model(both, source)
    return both.eval()


@pytest.mark.parametrize("backend", ["native", "torch"])
@pytest.mark.parametrize("variant", ["dense-tied", "moe"])
def test_requests_of_several_adapters_share_steps(tmp_path, variant, backend):
    model = model_of(variant)
    adapters = folders(tmp_path, model.config, dora=variant == "dense-tied")
    with Engine(model, adapters=adapters, backend=backend) as engine:
        found = engine.generate(PROMPTS, [params(name) for name in WHO])
        alone = [engine.generate([ids], params(name))[0] for ids, name in zip(PROMPTS, WHO, strict=True)]
    for name in (None, "a", "b"):
        with Engine(merged_model(model, adapters[name]) if name else model, backend=backend) as engine:
            mine = [n for n, who in enumerate(WHO) if who == name]
            expected = engine.generate([PROMPTS[n] for n in mine], params())
        for n, completion in zip(mine, expected, strict=True):
            assert found[n].ids == completion.ids == alone[n].ids
            tolerance = dict.fromkeys(("rtol", "atol"), 1e-4 if backend == "torch" else 1e-5)
            torch.testing.assert_close(torch.tensor(found[n].logprobs), torch.tensor(completion.logprobs), **tolerance)
    assert len({completion.ids for completion in found[1:5:3]}) == 2  # the same prompt by "a" and by the base


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_the_prefix_cache_is_each_adapters_own(tmp_path, backend):
    model = model_of("dense")
    with Engine(model, adapters=folders(tmp_path, model.config), backend=backend) as engine:
        prompt = list(range(40))
        first = {name: engine.generate([prompt], params(name))[0] for name in (None, "a", "b")}
        again = {name: engine.generate([prompt], params(name))[0] for name in ("b", None, "a")}
    assert [completion.usage.cached_tokens for completion in first.values()] == [0, 0, 0]
    assert [completion.usage.cached_tokens for completion in again.values()] == [32, 32, 32]
    assert all(first[name].ids == again[name].ids for name in first)
    assert len({completion.ids for completion in first.values()}) == 3


def test_streams_drafts_and_scores_are_the_adapters(tmp_path):
    model = model_of("dense")
    adapters = folders(tmp_path, model.config)

    async def streamed(engine, chosen):
        return [id_ async for delta in engine.stream(PROMPTS[1], chosen) for id_ in delta.ids]

    with Engine(model, adapters=adapters) as engine, Engine(merged_model(model, adapters["b"])) as both:
        expected = both.generate([PROMPTS[1]], params(prompt_logprobs=True))[0]
        assert asyncio.run(streamed(engine, params("b"))) == list(expected.ids)
        assert engine.generate([PROMPTS[1]], params("b", speculation=4))[0].ids == expected.ids
        scores = engine.generate([PROMPTS[1]], params("b", prompt_logprobs=True))[0].prompt_logprobs[1:]
    torch.testing.assert_close(torch.tensor(scores), torch.tensor(expected.prompt_logprobs[1:]), rtol=1e-5, atol=1e-5)


def test_a_folder_with_adapters_over_quantised_weights(tmp_path):
    model = model_of("dense", hidden_size=64, intermediate_size=96)
    quantize(model, "int8").save(tmp_path / "model")
    adapters = folders(tmp_path, model.config)
    with Engine.from_pretrained(tmp_path / "model", device="cpu", adapters=adapters) as engine:
        assert engine.backend.name == "native int8"
        bare = sum(t.numel() for t in model.parameters())
        assert engine.backend.weight_bytes > bare  # 8.5 bits each, and the adapters
        a, base = (engine.generate([PROMPTS[1]], params(name))[0].ids for name in ("a", None))
    assert a != base


def test_what_the_kernels_do_not_do_is_done_by_torch(tmp_path, caplog):
    model = model_of("dense")
    tensors = factors("model.layers.0.self_attn.q_proj", 64, 48)
    tensors["base_model.model.model.embed_tokens.weight"] = torch.randn(97, 48)
    folder = folder_of(tmp_path / "whole", tensors, modules_to_save=["embed_tokens"])
    save(model, tmp_path / "model")
    with Engine.from_pretrained(tmp_path / "model", device="cpu", adapters={"whole": folder}) as engine:
        assert engine.backend.name == "torch" and "embed_tokens.weight as a whole" in caplog.text
        found = engine.generate(PROMPTS, [params(name) for name in (None, "whole", None, "whole", "whole")])
    with Engine(merged_model(model, folder)) as both, Engine(model) as base:
        assert [c.ids for c in both.generate(PROMPTS, params())[3:]] == [c.ids for c in found[3:]]
        assert base.generate(PROMPTS[:1], params())[0].ids == found[0].ids
    for more in ({"backend": "native"}, {"quantize": "int8"}):
        with pytest.raises(SansiError, match=r'backend "torch", or merge'):
            Engine(model, adapters={"whole": folder}, **more)


def test_wrong_names_and_folders_are_told_before_the_weights_are_read(tmp_path):
    model = model_of("dense")
    adapters = folders(tmp_path, model.config)
    with Engine(model, adapters=adapters) as engine:
        with pytest.raises(SansiError, match='no adapter "c"; known: a, b') as caught:
            engine.generate([[1, 2]], params("c"))
        assert caught.value.param == "adapter"
        with pytest.raises(SansiError, match="adapter must be a name, not 3"):
            engine.generate([[1, 2]], params(3))
        with pytest.raises(SansiError, match="no adapter"):
            engine.stream([1, 2], params("c"))
    with Engine(model) as engine, pytest.raises(SansiError, match="was made without any"):
        engine.generate([[1, 2]], params("a"))
    with pytest.raises(SansiError, match="no name for an adapter"):
        Engine(model, adapters={" ": adapters["a"]})
    with pytest.raises(SansiError, match="no such folder"):
        Engine(model, adapters={"a": tmp_path / "nowhere"})
    with pytest.raises(SansiError, match="another base"):
        Engine(model_of("dense", hidden_size=64), adapters=adapters)
    save(model, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(SansiError, match="no such folder"):
        Engine.from_pretrained(tmp_path / "model", adapters={"a": tmp_path / "nowhere"})
    with pytest.raises(SansiError, match="adapters choose a backend by name"), Engine(model) as engine:
        Engine(model, backend=engine.backend, adapters=adapters)


def test_a_trainer_may_change_the_base_under_an_adapter(tmp_path):
    model = model_of("dense")
    adapters = folders(tmp_path, model.config, dora=True)
    for backend in ("native", "torch"):
        with Engine(model, adapters=adapters, backend=backend) as engine:
            engine.generate(PROMPTS[:1], params("a"))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(1.05)
            found = engine.generate(PROMPTS[1:2], params("a"))[0]
        with Engine(merged_model(model, adapters["a"]), backend=backend) as both:
            assert both.generate(PROMPTS[1:2], params())[0].ids == found.ids
