"""RoPE in a config.json: `rope_theta` and `rope_scaling` of the hub, and `rope_parameters` of transformers 5."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sansi.base.shown import show

KINDS = ("yarn", "linear", "llama3")
OLD, NEW = "rope_scaling", "rope_parameters"
_NO_EFFECT: Mapping[str, tuple[Any, ...]] = {"finetuned": (True, False, None), "extrapolation_factor": (1, None)}
"""Keys that other programs write, and values with which they change nothing."""


def read_rope(fields: dict[str, Any], problems: list[str]) -> None:
    """Replace both spellings in `fields` by `rope_theta` and `rope_scaling`, the latter as fields of RopeScaling."""
    read = [_read(key, fields.pop(key, None), fields, problems) for key in (OLD, NEW)]
    given = [rope for rope in read if rope is not None]
    if len(given) == 2 and given[0] != given[1]:
        problems.append(
            f'"{OLD}" and "{NEW}" are two spellings of one thing and say different things; keep one of them'
        )
    if given and given[-1]:
        fields[OLD] = given[-1]


def write_rope(scaling: Mapping[str, Any]) -> dict[str, Any]:
    """The rope_scaling of a config.json. An attention factor is written in both spellings, each read by some."""
    values = {key: value for key, value in scaling.items() if value is not None}
    if values["rope_type"] != "yarn":
        return {key: value for key, value in values.items() if key != "truncate"}
    usual = _usual_attention(values)
    if "attention_factor" in values and usual:
        values["attn_factor"] = values["attention_factor"] / usual
    return values


def _read(where: str, rope: Any, fields: dict[str, Any], problems: list[str]) -> dict[str, Any] | None:
    """What one spelling says of scaling, {} for none at all; None if it is not there."""
    if rope is None or rope == {}:
        return None
    if not isinstance(rope, Mapping):
        problems.append(f'"{where}" must be a mapping, not {show(rope)}')
        return None
    scaling = {key: value for key, value in rope.items() if value is not None}
    _theta(where, scaling.pop("rope_theta", None), fields, problems)
    if (part := scaling.pop("partial_rotary_factor", 1.0)) != 1.0:
        problems.append(f'"partial_rotary_factor" is {show(part)}, but only 1.0 is implemented')
    kinds = [scaling.pop(key) for key in ("rope_type", "type") if key in scaling]
    if len(kinds) == 2 and kinds[0] != kinds[1]:
        problems.append(f'"{where}" has "rope_type" {kinds[0]!r:.40} and "type" {kinds[1]!r:.40}; keep one of them')
    return _scaling(where, kinds[0] if kinds else "default", scaling, fields, problems)


def _theta(where: str, theta: Any, fields: dict[str, Any], problems: list[str]) -> None:
    if theta is not None and fields.setdefault("rope_theta", theta) != theta:
        outside = show(fields["rope_theta"])
        problems.append(f'"rope_theta" is {outside}, and {show(theta)} in "{where}"; keep one of them')


def _scaling(
    where: str, kind: Any, scaling: dict[str, Any], fields: Mapping[str, Any], problems: list[str]
) -> dict[str, Any] | None:
    if kind == "default":
        problems += [f'"{key}" is set in "{where}", but the rope type is "default"' for key in scaling]
        return {}
    if kind not in KINDS:
        advice = f'{", ".join(KINDS)} are; without "{where}" the model has its own context'
        problems.append(f'"rope_type" is {show(kind)}, which is not implemented: {advice}')
        return None
    for key, values in _NO_EFFECT.items():
        if key in scaling and (value := scaling.pop(key)) not in values:
            problems.append(f'"{key}" is {show(value)} in "{where}", but only {show(values[0])} is implemented')
    if "factor" not in scaling:
        problems.append(f'"factor" is missing in "{where}"{_likely_factor(scaling, fields)}')
        return None
    if kind == "yarn":
        _attention(where, scaling, problems)
    return {**scaling, "rope_type": kind}


def _likely_factor(scaling: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    old, new = scaling.get("original_max_position_embeddings"), fields.get("max_position_embeddings")
    if type(old) is type(new) is int and 0 < old < new:  # type: ignore[operator]
        return f": {new:,} positions of {old:,} are a factor of {new / old:g}"
    return "; the scaling needs it: how many times longer the context becomes, 4.0 for example"


def _attention(where: str, scaling: dict[str, Any], problems: list[str]) -> None:
    """`attn_factor` multiplies the usual factor (as vLLM reads it), `attention_factor` takes its place (transformers).

    DeepSeek-R1-0528-Qwen3-8B has the former, 1 / (0.1 ln 4 + 1): its attention is not to be sharpened.
    """
    share = scaling.pop("attn_factor", None)
    if share is None:
        return
    usual = _usual_attention(scaling)
    if usual is None or type(share) not in (int, float) or not math.isfinite(share) or share <= 0:
        problems.append(f'"attn_factor" must be a number above 0, not {show(share)}; leave it out')
        return
    whole = scaling.setdefault("attention_factor", usual * share)
    if type(whole) in (int, float) and not math.isclose(whole, usual * share, rel_tol=1e-5):
        told = f'"attention_factor" {whole:g} and "attn_factor" {share:g} in "{where}" do not agree'
        problems.append(f"{told}: the first is {usual:g} times the second; keep one of them")


def _usual_attention(scaling: Mapping[str, Any]) -> float | None:
    """0.1 ln(factor) + 1, and None where the factor is none or mscale has its say."""
    factor = scaling.get("factor")
    if not isinstance(factor, int | float) or not 1 <= factor < math.inf or scaling.get("mscale"):
        return None
    return 0.1 * math.log(factor) + 1.0
