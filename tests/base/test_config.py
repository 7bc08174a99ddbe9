"""Configuration checks itself when it is made, by whatever way."""

import copy
import dataclasses
import math
import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.base import ConfigError, SansiError, config_to_dict, load_config
from sansi.base.config import Config, as_config


@dataclass(frozen=True)
class Inner(Config):
    kind: Literal["cosine", "linear"] = "cosine"
    share: float = 0.5

    def problems(self) -> list[str]:
        return [] if 0 <= self.share <= 1 else [f'"share" must lie between 0 and 1, not {self.share}']


@dataclass(frozen=True)
class Outer(Config):
    steps: int
    rate: float = 0.1
    compile: bool = False
    name: str = ""
    folder: Path | None = None
    inner: Inner = Inner()
    betas: tuple[float, float] = (0.9, 0.95)
    layers: list[int] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    roles: Collection[str] = ()
    stops: Sequence[int] = ()
    measure: Callable[[int], float] | None = None
    key: int | None = field(default=None, repr=False)
    extra: Any = None

    def problems(self) -> list[str]:
        return [] if self.steps > 0 else [f'"steps" must be above 0, not {self.steps}']


def refused(make: Callable[[], Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        make()
    return caught.value.problems


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": "3"}, '"steps" must be a whole number, not "3"; write 3, without quotation marks'),
        ({"steps": 3.0}, '"steps" must be a whole number, not 3.0; write 3'),
        ({"steps": True}, '"steps" must be a whole number, not true'),
        ({"steps": None}, '"steps" must be a whole number, not null'),
        ({"rate": "0.1"}, '"rate" must be a number, not "0.1"; write 0.1, without quotation marks'),
        ({"rate": math.nan}, '"rate" must be a finite number, not nan'),
        ({"rate": math.inf}, '"rate" must be a finite number, not inf'),
        ({"rate": 10**400}, '"rate" must be a finite number'),
        ({"rate": np.float32("nan")}, '"rate" must be a finite number'),
        ({"compile": 1}, '"compile" must be true or false, not 1'),
        ({"name": b"x"}, "\"name\" must be a text, not b'x'"),
        ({"folder": 3}, '"folder" must be a path, not 3'),
        ({"inner": 3}, '"inner" must be of type Inner, or a mapping of its fields, not 3'),
        ({"inner": {"kind": "cosin"}}, 'inner: "kind" is "cosin"; did you mean "cosine"?'),
        ({"inner": {"share": 2}}, 'inner: "share" must lie between 0 and 1, not 2.0'),
        ({"betas": (0.9, math.nan)}, '"betas[1]" must be a finite number, not nan'),
        ({"betas": (0.9,)}, '"betas" must have 2 values, not 1'),
        ({"layers": "12"}, '"layers" must be a list, not "12"'),
        ({"layers": ["a", 1, "b"]}, '"layers[0]" must be a whole number, not "a"'),
        ({"weights": {"a": "b"}}, '"weights.a" must be a number, not "b"'),
        ({"limits": {"a": 0.5}}, '"limits.a" must be a whole number, not 0.5'),
        ({"roles": "user"}, '"roles" must be a list, not "user"'),
        ({"stops": 5}, '"stops" must be a list, not 5'),
        ({"measure": "accuracy"}, '"measure" must be a function, not "accuracy"'),
        ({"steps": 0}, '"steps" must be above 0, not 0'),
        ({"stesp": 5}, 'unknown key "stesp"; did you mean "steps"?'),
    ],
)
def test_a_wrong_value_is_refused_by_every_way_of_making_it(values, message):
    whole = {"steps": 1, **values}
    for make in (
        lambda: Outer(**whole),
        lambda: load_config(Outer, whole, "Outer"),
        lambda: dataclasses.replace(Outer(1), **values),
    ):
        assert refused(make)[0].startswith(message)


def test_all_problems_come_together():
    assert refused(lambda: Outer("x", "y", nmae="z")) == [
        'unknown key "nmae"; did you mean "name"?',
        '"steps" must be a whole number, not "x"',
        '"rate" must be a number, not "y"',
    ]
    assert refused(lambda: Outer()) == ['"steps" is missing']
    with pytest.raises(ConfigError, match=r"^Outer: "):
        Outer("x")


def test_what_can_be_taken_for_the_type_is_taken():
    made = Outer(
        np.int64(3),
        1,
        folder="a/b",
        inner={"kind": "linear"},
        betas=[0, np.float64(1)],
        layers=(1, 2),
        weights={"a": 2},
    )
    assert made == Outer(
        3, 1.0, folder=Path("a/b"), inner=Inner("linear"), betas=(0.0, 1.0), layers=[1, 2], weights={"a": 2.0}
    )
    kinds = [type(value) for value in (made.steps, made.rate, made.betas, made.betas[0], made.layers)]
    assert kinds == [int, float, tuple, float, list]
    assert load_config(Outer, config_to_dict(made)) == made


def test_the_list_that_a_configuration_was_made_of_may_change():
    layers = [1]
    made = Outer(1, layers=layers)
    layers.append(2)
    assert made.layers == [1]


def test_a_field_that_is_not_shown_is_not_shown_in_an_error():
    assert refused(lambda: Outer(1, key="a-secret"))[0].startswith('"key" is not of the type')
    assert "a-secret" not in str(refused(lambda: load_config(Outer, {"steps": 1, "key": "a-secret"})))


def test_as_config_takes_an_instance_or_a_mapping():
    made = Outer(1)
    assert as_config(Outer, made) is made and as_config(Outer, {"steps": 1}) == made
    for value in (None, [("steps", 1)], Inner(), "Outer"):
        with pytest.raises(SansiError, match="here: must be of type Outer, or a mapping of its fields"):
            as_config(Outer, value, "here")


def test_copies_are_equal():
    made = Outer(1, inner=Inner("linear"))
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*Outer.__dataclass_fields__, "other"]), VALUES, max_size=5))
def test_constructor_and_mapping_agree_and_what_is_made_is_of_its_types(values):
    outcomes = []
    for make in (lambda: Outer(**values), lambda: load_config(Outer, values, "Outer")):
        try:
            outcomes.append(make())
        except ConfigError as error:
            outcomes.append(str(error))
    made = outcomes[0]
    if isinstance(made, str):
        assert made == outcomes[1]
        return
    assert repr(made) == repr(outcomes[1])  # NaN in a field of any type is not equal to itself
    assert type(made.steps) is int and type(made.rate) is float and math.isfinite(made.rate)
    assert type(made.betas) is tuple and all(type(item) is float for item in made.betas)


def test_a_constructor_asks_for_no_annotation_twice(monkeypatch):
    """Evaluating annotations takes a hundred times as long as checking values."""
    Outer(1)
    monkeypatch.setattr("typing.get_type_hints", None)
    Outer(2, inner={"share": 0.25})
