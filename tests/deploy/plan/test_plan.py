"""The planner: against published measurements, and against the arithmetic of the formats."""

import json
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import ConfigError, SansiError
from sansi.deploy.plan import DEVICES, Ask, device_called, make_plan, precision_called
from sansi.deploy.plan.fit import Fit
from sansi.deploy.plan.memory import transformers_bytes
from sansi.deploy.plan.precision import legal_splits, weight_bytes, why_not_split
from sansi.deploy.plan.published import h20_rows, here_rows, local_rows, serving_rows
from sansi.deploy.plan.report import as_dict, described
from sansi.deploy.plan.speed import first_calibration, h20_calibration, local_calibration, token_calibration
from sansi.deploy.plan.training import lora_parameters, training_memory
from sansi.deploy.plan.work import Work
from sansi.model.config import ModelConfig
from sansi.model.presets import PRESETS

PUBLISHED = [name for name in PRESETS if name != "nano"]


def plan_of(model, **asked):
    return make_plan(ModelConfig.preset(model), Ask(**asked), model)


# ---- against measurements --------------------------------------------------------------------------------------------


def test_every_published_row_is_read():
    assert (len(h20_rows()), len(serving_rows()), len(here_rows())) == (212, 577, 2)  # four rows of H20 have no figure
    assert len(local_rows()) == 59  # of 91: the others are split over devices, or of hardware that is not in the list


def test_memory_is_that_of_the_official_benchmark():
    """BF16: 1% is asked. One row is below weights and cache together: nothing that keeps all keys can be so small."""
    errors = {}
    for row in h20_rows():
        if row.memory and row.precision.name in ("bf16", "fp8"):
            predicted = transformers_bytes(Work(row.config, row.precision), row.input_length + 2048)
            errors[row.model, row.precision.name, row.input_length] = abs(predicted / row.memory - 1)
    assert errors.pop(("Qwen3-1.7B", "bf16", 1)) > 0.03
    bf16 = {key: error for key, error in errors.items() if key[1] == "bf16"}
    assert len(bf16) == 27 and max(bf16.values()) < 0.01
    assert max(error for key, error in bf16.items() for error in [error] if key[2] >= 6144) < 0.001
    assert max(error for key, error in errors.items() if key[1] == "fp8" and key[2] >= 6144) < 0.012


def test_speed_of_a_model_that_the_fit_has_not_seen():
    found = h20_calibration()
    errors = {model: found.without(model).error for model in dict.fromkeys(row.model for row, _, _ in found.rows)}
    dense = ("Qwen3-4B", "Qwen3-8B", "Qwen3-14B", "Qwen3-32B")
    assert all(errors[model] <= 0.10 for model in dense)
    assert all(errors[model] <= 0.20 for model in ("Qwen3-0.6B", "Qwen3-1.7B"))
    large = [error for model, error in errors.items() if model not in ("Qwen3-0.6B", "Qwen3-1.7B")]
    assert sum(large) / len(large) <= 0.10 and max(large) <= 0.14  # the two with experts are the worst


@pytest.mark.parametrize(
    ("calibration", "most"),
    [(h20_calibration, 0.05), (token_calibration, 0.17), (first_calibration, 0.23), (local_calibration, 0.21)],
)
def test_a_fit_is_as_near_to_its_rows_as_the_documents_say(calibration, most):
    found = calibration()
    assert found.error <= most
    assert all(weight >= 0 for weight in found.fit.weights.values())


def test_the_announcement_s_claim_of_four_h20():
    fp8, bf16 = (plan_of("Qwen3-235B-A22B", gpu="h20", count=4, dtype=dtype) for dtype in ("fp8", "bf16"))
    assert fp8.fits and fp8.layout.tp == 4
    assert not bf16.fits and bf16.speed is None and any("fits" in advice for advice in bf16.advice)
    assert max(abs(receipt.error) for receipt in fp8.speed.receipts) < 0.05


# ---- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", PUBLISHED)
def test_weights_in_bf16_are_two_bytes_a_parameter(model):
    config = ModelConfig.preset(model)
    assert weight_bytes(config, precision_called("bf16")) == 2 * config.num_parameters()
    assert weight_bytes(config, precision_called("fp32")) == 4 * config.num_parameters()


def test_an_fp8_file_of_a_tied_model_has_a_head_of_its_own():
    config = ModelConfig.preset("Qwen3-0.6B")
    tables = 2 * config.vocab_size * config.hidden_size * 2
    matrices = config.num_parameters(embedding=False)
    assert tables + matrices < weight_bytes(config, precision_called("fp8")) < tables + 1.01 * matrices


@pytest.mark.parametrize(
    ("model", "dtype", "legal"),
    [
        ("Qwen3-235B-A22B", "fp8", {1, 2, 4}),  # 1,536 / 8 = 192 tears blocks of 128
        ("Qwen3-30B-A3B", "fp8", {1, 2}),
        ("Qwen3-4B", "fp8", {1, 2, 4}),  # 9,728 / 8 = 1,216
        ("Qwen3-0.6B", "fp8", {1, 2, 4, 8}),
        ("Qwen3-32B", "fp8", {1, 2, 4, 8}),
        ("Qwen3-235B-A22B", "gptq-int4", {1, 2, 4}),  # eight start, and fail at the first request
        ("Qwen3-235B-A22B", "bf16", {1, 2, 4, 8}),
    ],
)
def test_legal_splits(model, dtype, legal):
    assert set(legal_splits(ModelConfig.preset(model), precision_called(dtype), 8)) == legal


def test_why_a_split_is_not_possible():
    config = ModelConfig.preset("Qwen3-235B-A22B")
    assert "192" in why_not_split(config, precision_called("fp8"), 8)
    assert "heads" in why_not_split(config, precision_called("bf16"), 3)


def test_a_card_without_kernels_for_fp8_is_told():
    made = plan_of("Qwen3-0.6B", gpu="rtx2080", dtype="fp8")
    assert not made.fits and made.speed is None and "no kernels for FP8" in made.warnings[0]
    assert "W8A16" in " ".join(plan_of("Qwen3-0.6B", gpu="a100", dtype="fp8").warnings)


# ---- the plan --------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.sampled_from(PUBLISHED),
    st.sampled_from(sorted(DEVICES)),
    st.integers(1, 12),
    st.sampled_from(["bf16", "fp8", "awq", "q4_k_m", "mlx-4bit", "int4"]),
    st.sampled_from([1024, 8192, 32_768]),
    st.integers(1, 64),
)
def test_a_plan_holds_together(model, gpu, count, dtype, context, concurrency):
    ask = {"gpu": gpu, "count": count, "dtype": dtype, "concurrency": concurrency}
    made = plan_of(model, context=context, output=context // 4, **ask)
    more = plan_of(model, context=2 * context if context < 20_000 else context, output=context // 4, **ask)
    assert made.layout.devices * made.layout.replicas <= count
    assert made.memory.fits == (made.memory.left >= 0)
    assert (made.speed is not None) == made.fits
    assert made.fits or not more.fits  # what does not fit fits no better with a longer context
    assert made.memory.fits or made.advice
    if made.speed:
        assert made.speed.first_token > 0 and made.speed.per_token > 0 and made.tokens_per_second > 0
        assert made.speed.basis and described(made)
    json.dumps(as_dict(made), allow_nan=False)


def test_replicas_where_there_are_requests_for_them():
    few, many = (plan_of("Qwen3-8B", gpu="h100", count=8, concurrency=n) for n in (1, 64))
    assert (few.layout.tp, few.layout.replicas) == (8, 1)
    assert (many.layout.tp, many.layout.replicas) == (1, 8)


def test_experts_are_dealt_out_whole_where_they_can_not_be_split():
    made = plan_of("Qwen3-235B-A22B", gpu="a100-40g", count=8, dtype="gptq-int8", context=2048, output=512)
    assert made.fits and made.layout.expert_parallel and made.layout.tp == 8
    assert any("TP 8 is not possible" in warning for warning in made.warnings)


def test_a_context_beyond_training_says_what_yarn_costs():
    made = plan_of("Qwen3-8B", gpu="h200", context=131_072)
    assert any("YaRN with factor 4" in warning for warning in made.warnings)
    with pytest.raises(SansiError, match="131,072 with YaRN"):
        plan_of("Qwen3-8B", gpu="h200", context=200_000)


def test_cost_is_told_where_a_price_is_given():
    made = plan_of("Qwen3-8B", gpu="h100", price=2.0)
    assert made.cost_per_million == pytest.approx(2.0 / (made.tokens_per_second * 3600) * 1e6)
    assert plan_of("Qwen3-8B", gpu="h100").cost_per_million is None


def test_this_machine_is_measured():
    made = plan_of("Qwen3-0.6B", gpu="here", dtype="int4", context=1024, output=128)
    assert made.fits and 0.01 < made.device.bandwidth < 10_000 and "just measured" in made.speed.basis


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"count": 0}, "count"),
        ({"context": 100, "output": 100}, "leave room"),
        ({"engine": "vlm"}, "engine"),
        ({"price": -1.0}, "price"),
        ({"context": "32k"}, "whole number"),
    ],
)
def test_an_impossible_question(asked, told):
    with pytest.raises(ConfigError, match=told):
        Ask(**asked)


@pytest.mark.parametrize("name", ["RTX 4090", "rtx-4090", "GeForce RTX 4090 24 GB", "H100 SXM", "M4-Max"])
def test_devices_by_the_names_that_people_write(name):
    assert device_called(name).name in ("rtx4090", "h100", "m4-max")


def test_unknown_names_give_the_nearest():
    with pytest.raises(SansiError, match='did you mean "rtx4090"'):
        device_called("rtx409")
    with pytest.raises(SansiError, match='did you mean "q4_k_m"'):
        precision_called("q4_k_n")


# ---- training --------------------------------------------------------------------------------------------------------


def test_training_takes_sixteen_bytes_a_parameter_and_lora_two():
    config, h100 = ModelConfig.preset("Qwen3-8B"), DEVICES["h100"]
    full, lora = (training_memory(config, h100, kind=kind) for kind in ("train", "lora"))
    assert full.states == 16 * config.num_parameters() and not full.fits
    assert lora.states == 2 * config.num_parameters() + 16 * lora_parameters(config, 16) and lora.fits
    assert training_memory(config, h100, count=4).states == full.states // 4
    assert training_memory(config, h100, kind="rl").engine > 2 * config.num_parameters()


def test_lora_parameters_are_counted_as_the_matrices_are():
    config = ModelConfig.preset("nano")
    query, key, hidden, width = 4 * 32, 2 * 32, 128, 384
    each = (hidden + query) * 2 + (hidden + key) * 2 + 3 * (hidden + width)
    assert lora_parameters(config, 8) == 8 * each * config.num_hidden_layers


# ---- the fit ---------------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.integers(0, 999))
def test_a_fit_finds_the_weights_that_made_its_rows(weights, seed):
    names, random = ("a", "b", "c"), Random(seed)  # drawn values may be alike, and then many weights fit
    rows = [{name: random.uniform(0.1, 5) for name in names} for _ in range(12)]
    truth = Fit(dict(zip(names, weights, strict=True)))
    found = Fit.of([(terms, truth.seconds(terms)) for terms in rows])
    assert all(found.weights[name] == pytest.approx(truth.weights[name], rel=1e-4) for name in names)


def test_a_fit_has_no_weight_below_zero():
    found = Fit.of([({"a": 1.0, "b": 1.0}, 1.0), ({"a": 2.0, "b": 1.0}, 2.5), ({"a": 3.0, "b": 1.0}, 4.0)])
    assert "b" not in found.weights and found.weights["a"] > 0
    assert Fit.of([]).weights == {}


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sansi(sansi):
    return partial(sansi, "plan")


def test_the_command_tells_verdict_parts_and_error(sansi):
    result = sansi("Qwen3-235B-A22B", "--gpu", "h20", "--count", 4, "--dtype", "fp8")
    assert result.code == 0 and ": fits" in result.out and "expect ±" in result.out and "measured" in result.out
    result = sansi("Qwen3-235B-A22B", "--gpu", "h20", "--count", 4)
    assert result.code == 1 and "does not fit" in result.out and "instead" in result.out


def test_the_command_as_json(sansi):
    told = json.loads(sansi("Qwen3-8B", "-g", "h100", "-c", "32k", "--json").out)
    assert told["fits"] is True and told["ask"]["context"] == 32_768 and told["speed"]["receipts"]


def test_the_command_lists_devices(sansi):
    assert all(name in sansi("--devices").out for name in DEVICES)
    assert "too large" in sansi("Qwen3-32B", "--devices", "--dtype", "q4_k_m").out


def test_the_command_plans_training(sansi):
    assert sansi("Qwen3-8B", "-g", "h100", "--for", "lora").code == 0
    assert sansi("Qwen3-8B", "-g", "h100", "--for", "rl", "--json").code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name a model"),
        (["Qwen3-8B", "-g", "h10"], "h100"),
        (["Qwen3-8B", "-c", "much"], "32k"),
        (["Qwen3-8B", "--for", "fun"], "lora"),
        (["Qwen3-8B", "-g", "h100", "-n", "0"], "count"),
    ],
)
def test_the_command_says_what_is_wrong(sansi, arguments, told):
    result = sansi(*arguments)
    assert result.code and told in result.err and result.err.count("\n") == 1


def test_a_model_with_a_short_context_is_planned_without_naming_one(sansi):
    done = sansi("nano", "--gpu", "h100")
    assert done.code == 0 and "1,024" in done.out, done.err + done.out
