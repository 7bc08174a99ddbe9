"""Verifiers by name, for problems of one's own: how an answer's text is compared with the expected one.

Each reads the final answer by one rule (`sansi.data.problems.answers`): the last `<answer>…</answer>`, else the last
`\\boxed{…}`, else the whole text.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.installing import install_command
from sansi.base.strict_json import parse_json
from sansi.data.problems.answers import final_answer
from sansi.data.problems.task import RIGHT, WRONG, Verdict

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Verifier:
    """One way to compare."""

    about: str
    judge: Callable[[Any, str, Options], Verdict]
    """(expected answer, text of the message, options)."""
    check: Callable[[Any, Options], str | None]
    """What is wrong with an expected answer; None: nothing."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Names and defaults; a value given must have its default's type."""
    trusted: bool = False
    """Its work is bounded by the length of the texts: it runs in this process."""


def verifier_of(spec: str | Mapping[str, Any]) -> tuple[str, Verifier, dict[str, Any]]:
    """Name, verifier and options of `"numeric"` or `{"name": "numeric", "absolute_tolerance": 0.01}`.

    Raises SansiError for an unknown name or option, and for an option of the wrong type.
    """
    if isinstance(spec, str):
        name, given = spec, {}
    elif isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
        name, given = spec["name"], {key: value for key, value in spec.items() if key != "name"}
    else:
        raise SansiError(f'verifier {spec!r:.80} must be a name, or an object of "name" and options', param="verifier")
    if name not in VERIFIERS:
        raise SansiError(
            f'there is no verifier "{name}"{did_you_mean(name, VERIFIERS)} (or module:function)', param="verifier"
        )
    verifier = VERIFIERS[name]
    return name, verifier, {**verifier.options, **_checked_options(name, verifier, given)}


def _checked_options(name: str, verifier: Verifier, given: Options) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        if key not in verifier.options:
            raise SansiError(f'verifier "{name}" has no option "{key}"{did_you_mean(key, verifier.options)}')
        default = verifier.options[key]
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not type(default):
            raise SansiError(f'"{key}" of verifier "{name}" must be {type(default).__name__}, not {value!r:.80}')
        if isinstance(value, float) and not 0 <= value < float("inf"):
            raise SansiError(f'"{key}" of verifier "{name}" must be a number of at least 0, not {value}')
        found[key] = value
    return found


# --- texts ---------------------------------------------------------------------------------------------------------


def _texts(answer: Any) -> list[str]:
    return [str(text) for text in (answer if isinstance(answer, list) else [answer])]


def _check_texts(answer: Any, options: Options) -> str | None:
    values = answer if isinstance(answer, list) else [answer]
    if not values or not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in values):
        return "must be a text or a number, or a list of them"
    return None if all(str(v).strip() for v in values) else "must not be empty"


def _folded(text: str, options: Options) -> str:
    text = " ".join(text.split())
    return text.casefold() if options["ignore_case"] else text


def _exact(answer: Any, text: str, options: Options) -> Verdict:
    said = _folded(final_answer(text), options)
    return RIGHT if said in [_folded(wanted, options) for wanted in _texts(answer)] else WRONG


def _contains(answer: Any, text: str, options: Options) -> Verdict:
    said = _folded(text, options)
    wanted = [_folded(part, options) for part in _texts(answer)]
    found = sum(part in said for part in wanted)
    enough = found > 0 if options["any"] else found == len(wanted)
    return Verdict(1.0 if enough else 0.0, "right" if enough else "wrong", {"found": found / len(wanted)})


# --- numbers -------------------------------------------------------------------------------------------------------

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(rf"(?<![\w.])[-+−]?\s?(?:{_DIGITS})(?:[eE][-+]?\d{{1,4}})?(?:\s?/\s?\d+(?![\d.]))?(\s?%)?(?!\w)")
LONGEST_NUMBER = 1_000  # characters


def read_number(text: str) -> Fraction | None:
    """The number that a text is, or the last one in it: 1,234.5, -3/4, 1e-3, 12 %. None where there is none."""
    found = list(_NUMBER.finditer(text.translate({0x2212: "-", ord("$"): " ", ord("\\"): " "})))
    if not found:
        return None
    written = found[-1].group(0)
    if len(written) > LONGEST_NUMBER:
        return None
    value = re.sub(r"[\s,%]", "", written)
    top, _, bottom = value.partition("/")
    try:
        number = Fraction(Decimal(top)) / (int(bottom) if bottom else 1)
    except (InvalidOperation, ZeroDivisionError, ValueError):
        return None
    return number / 100 if found[-1].group(1) else number


def _check_number(answer: Any, options: Options) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float | str) or read_number(str(answer)) is None:
        return "must be a number"
    return None


def _numeric(answer: Any, text: str, options: Options) -> Verdict:
    said, wanted = read_number(final_answer(text)), read_number(str(answer))
    if said is None or wanted is None:
        return Verdict(0.0, "malformed", detail="no number in the answer")
    allowed = max(Fraction(options["absolute_tolerance"]), Fraction(options["relative_tolerance"]) * abs(wanted))
    return RIGHT if abs(said - wanted) <= allowed else WRONG


# --- mathematics ---------------------------------------------------------------------------------------------------

LONGEST_FORMULA = 5_000  # characters


def _check_math(answer: Any, options: Options) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float | str):
        return "must be a formula as text, or a number"
    return None if _parsed(str(answer)) else "can not be read as mathematics"


def _math(answer: Any, text: str, options: Options) -> Verdict:
    from math_verify import verify

    said = final_answer(text)
    if len(said) > LONGEST_FORMULA or not (parsed := _parsed(said)):
        return Verdict(0.0, "malformed", detail="no mathematics in the answer")
    # Time is bounded around us: its own limit needs the main thread.
    return RIGHT if verify(_parsed(str(answer)), parsed, timeout_seconds=None, raise_on_error=True) else WRONG


_NAMES = re.compile(r"(?<![\\A-Za-z])(arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|exp|pi)(?![A-Za-z])")


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    try:
        from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse
    except ModuleNotFoundError as error:
        raise SansiError(f'verifier "math" needs math-verify: {install_command("train")}', param="verifier") from error

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time is not bounded: by it, that is
    if not any(mark in text for mark in ("$", "\\(", "\\[")):
        # A formula is one without its dollars too, also as programs write it, where no words stand beside it.
        latex = _NAMES.sub(r"\\\1", re.sub(r"sqrt\(([^()]*)\)", r"\\sqrt{\1}", text.replace("**", "^")))
        if not re.search("[A-Za-z]{3}", re.sub(r"\\[A-Za-z]+", "", latex)):
            text = f"${latex}$"
    return parse(text, [LatexExtractionConfig(), ExprExtractionConfig()], parsing_timeout=None)


# --- choices -------------------------------------------------------------------------------------------------------

_LETTER = r"[\[(*_\s]*([A-Z])[\])*_.:]*"
_ONLY = re.compile(rf"{_LETTER}(?:\s.*)?", re.DOTALL)
_SAID = re.compile(rf"(?:answer|option|choice|答案|选)\w*\s*(?:is|:|：|=|是|为)*\s*{_LETTER}(?![\w'’])", re.IGNORECASE)


def _check_choice(answer: Any, options: Options) -> str | None:
    if not isinstance(answer, str) or not re.fullmatch("[A-Z]", answer.strip()):
        return "must be one letter from A to Z"
    number = len(options["choices"])
    if number and not all(isinstance(choice, str) and choice.strip() for choice in options["choices"]):
        return 'needs "choices" that are texts'
    return f"must be one of the {number} choices" if number and ord(answer.strip()) - ord("A") >= number else None


def read_choice(text: str, choices: list[str]) -> str | None:
    """The letter that an answer chooses: alone or first ("B", "(B)", "B. Paris"), after "answer"; or a choice's text.

    None where it names none, or where the last that it names are two.
    """
    said = final_answer(text)
    for letter, choice in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", choices, strict=False):
        if said.strip(" .*").casefold() == choice.strip().casefold():
            return letter
    if (only := _ONLY.fullmatch(said)) and not re.match(r"(?:A|I)\s+[a-z]", said):
        return only.group(1)
    found = [m.group(1) for m in _SAID.finditer(said) if m.group(1).isupper()]
    return found[-1] if found else None


def _choice(answer: Any, text: str, options: Options) -> Verdict:
    said = read_choice(text, options["choices"])
    if said is None:
        return Verdict(0.0, "malformed", detail="no choice in the answer")
    return RIGHT if said == answer.strip() else Verdict(0.0, "wrong", detail=f"read as {said}")


# --- patterns and schemas ------------------------------------------------------------------------------------------


def _check_regex(answer: Any, options: Options) -> str | None:
    if not isinstance(answer, str):
        return "must be a regular expression as text"
    try:
        re.compile(answer)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    return None


def _regex(answer: Any, text: str, options: Options) -> Verdict:
    pattern = re.compile(answer, re.DOTALL | (re.IGNORECASE if options["ignore_case"] else 0))
    matches = pattern.fullmatch(final_answer(text)) if options["full"] else pattern.search(text)
    return RIGHT if matches else WRONG


_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n\s*```\s*", re.DOTALL)


def _check_schema(answer: Any, options: Options) -> str | None:
    if not isinstance(answer, Mapping | bool):
        return "must be a JSON schema"
    try:
        _validator(json.dumps(answer))
    except ValueError as error:  # jsonschema_rs.ValidationError is one
        return f"is no JSON schema: {str(error).splitlines()[0]}"
    return None


@functools.lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for(json.loads(schema), offline=True)


def _json_schema(answer: Any, text: str, options: Options) -> Verdict:
    said = final_answer(text)
    fenced = _FENCE.fullmatch(said)
    try:
        value = parse_json(fenced.group(1) if fenced else said, unique_keys=True)
    except ValueError as error:
        return Verdict(0.0, "malformed", detail=f"not JSON: {error}")
    wrong = next(iter(_validator(json.dumps(answer)).iter_errors(value)), None)
    return RIGHT if wrong is None else Verdict(0.0, "wrong", detail=wrong.message)


VERIFIERS: dict[str, Verifier] = {
    "exact": Verifier(
        "the final answer is the text, or one of a list of texts; spaces count as one",
        _exact,
        _check_texts,
        {"ignore_case": False},
        trusted=True,
    ),
    "contains": Verifier(
        "the answer holds the text, or all texts of a list",
        _contains,
        _check_texts,
        {"ignore_case": False, "any": False},
        trusted=True,
    ),
    "numeric": Verifier(
        "the final answer, or the last number in it, is the number: 1,234.5, -3/4, 1e-3 and 12 % are read",
        _numeric,
        _check_number,
        {"absolute_tolerance": 0.0, "relative_tolerance": 1e-9},
        trusted=True,
    ),
    "math": Verifier("the final answer is mathematically equal (LaTeX or plain), by math-verify", _math, _check_math),
    "choice": Verifier(
        "the answer chooses the letter, or writes out its choice", _choice, _check_choice, {"choices": []}, trusted=True
    ),
    "regex": Verifier(
        "the regular expression is found in the answer (full: it is the whole final answer)",
        _regex,
        _check_regex,
        {"ignore_case": False, "full": False},
    ),
    "json_schema": Verifier("the final answer is JSON that fits the schema", _json_schema, _check_schema),
}
"""What a problem may name as its verifier; `module:function` names a verifier of one's own."""
