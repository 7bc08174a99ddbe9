import time
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.base import ConfigError, SansiError, config_to_dict, load_config
from sansi.base.config import check_config
from sansi.base.errors import did_you_mean


@dataclass(frozen=True)
class Schedule:
    kind: Literal["cosine", "linear"] = "cosine"
    warmup: int = 0


@dataclass(frozen=True)
class Config:
    name: str
    steps: int = 10
    rate: float = 0.1
    compile: bool = False
    betas: tuple[float, float] = (0.9, 0.95)
    layers: list[int] = field(default_factory=list)
    limit: int | None = None
    schedule: Schedule = Schedule()
    stages: tuple[Schedule, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    extra: Any = None
    level: Literal[1, 2] = 1

    def problems(self) -> list[str]:
        return [f'"steps" must be at least 1, not {self.steps}'] if self.steps < 1 else []


def problems(values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(Config, values, "config.json")
    assert str(caught.value) == "config.json: " + "; ".join(caught.value.problems)
    return caught.value.problems


def test_defaults_and_coercions():
    loaded = load_config(
        Config,
        {
            "name": "x",
            "rate": 1,
            "betas": [0, 1],
            "layers": (1, 2),
            "schedule": {"kind": "linear"},
            "stages": [{"warmup": 3}],
            "weights": {"a": 2},
        },
    )
    assert loaded == Config(
        "x",
        rate=1.0,
        betas=(0.0, 1.0),
        layers=[1, 2],
        schedule=Schedule("linear"),
        stages=(Schedule(warmup=3),),
        weights={"a": 2.0},
    )
    assert (type(loaded.rate), type(loaded.betas), type(loaded.betas[0])) == (float, tuple, float)


def test_every_problem_is_reported_at_once():
    found = problems({"step": 5, "steps": "many", "compile": 1, "schedule": {"kind": "cosin", "warm": 1}})
    assert found == [
        'unknown key "step"; did you mean "steps"?',
        '"name" is missing',
        '"steps" must be a whole number, not "many"',
        '"compile" must be true or false, not 1',
        'schedule: unknown key "warm"; did you mean "warmup"?; "kind" is "cosin"; did you mean "cosine"?',
    ]


def test_every_item_of_a_sequence_or_mapping_is_reported():
    found = problems({"name": "x", "layers": ["a", 1, "b"], "weights": {"u": "v", "w": 1, "y": None}})
    assert found == [
        '"layers[0]" must be a whole number, not "a"',
        '"layers[2]" must be a whole number, not "b"',
        '"weights.u" must be a number, not "v"',
        '"weights.y" must be a number, not null',
    ]


def test_impossible_combinations_come_with_unknown_keys():
    found = problems({"name": "x", "steps": 0, "colour": 1})
    assert found[0].startswith('unknown key "colour"; known: ')
    assert found[1] == '"steps" must be at least 1, not 0'


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", True),
        ("steps", 1.0),
        ("steps", None),
        ("rate", True),
        ("rate", "0.1"),
        ("compile", "true"),
        ("betas", [0.9]),
        ("betas", [0.9, 0.95, 0.99]),
        ("betas", 0.9),
        ("layers", "12"),
        ("limit", "none"),
        ("schedule", "cosine"),
        ("stages", {"warmup": 3}),
        ("weights", [1]),
        ("level", True),
        ("level", 1.0),
        ("level", [1]),
    ],
)
def test_wrong_types_name_the_key(key, value):
    (found,) = problems({"name": "x", key: value})
    assert f'"{key}"' in found


def test_optional_is_none_or_its_type():
    assert load_config(Config, {"name": "x", "limit": None}).limit is None
    assert load_config(Config, {"name": "x", "limit": 3}).limit == 3


@pytest.mark.parametrize("values", [[("name", "x")], "name", None])
def test_what_is_no_mapping_is_refused(values):
    assert "mapping" in problems(values)[0]


def test_keys_that_are_no_text_are_refused():
    assert problems({"name": "x", 5: 1})[0].startswith('unknown key "5"')


def test_nested_instances_are_taken_as_they_are():
    schedule = Schedule(warmup=7)
    assert load_config(Config, {"name": "x", "schedule": schedule}).schedule is schedule


def test_check_config_raises_what_problems_names():
    check_config(Config("x"))
    check_config(Schedule())
    with pytest.raises(SansiError, match='here: "steps" must be at least 1'):
        check_config(Config("x", steps=0), "here")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from([*Config.__dataclass_fields__, "other"])


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_json_gives_a_configuration_or_a_config_error(values):
    try:
        loaded = load_config(Config, {"name": "x", **values})
    except ConfigError:
        return
    assert load_config(Config, config_to_dict(loaded)) == loaded


def test_did_you_mean():
    assert did_you_mean("hiden_size", ["hidden_size", "head_dim"]) == '; did you mean "hidden_size"?'
    assert did_you_mean("zzz", ["b", "a"]) == "; known: a, b"
    assert did_you_mean("zzz", []) == "; known: none"


def test_a_field_may_be_called_problems():
    @dataclass(frozen=True)
    class Report:
        problems: int

    assert load_config(Report, {"problems": 1000}) == Report(1000)


def test_did_you_mean_takes_no_time_for_what_is_no_name():
    begun = time.process_time()
    told = did_you_mean("x" * 2_000_000, [f"name_{i}" + "y" * 50 for i in range(5_000)])
    assert len(told) < 10_000 and "4920 more" in told
    assert time.process_time() - begun < 30, "comparing megabytes with all names takes minutes"
