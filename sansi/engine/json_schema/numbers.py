r"""Expressions for the numbers within bounds, exact at any size: no bound of whole numbers passes through a float.

What has no bound is bounded all the same (MAX_DIGITS, FREE_NUMBER), so that every number that is written can be read.
A bound of other numbers is moved inwards to the next one that a reader, whose numbers are floats, finds within it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

MAX_DIGITS = 64  # of a whole number without a bound on that side
MAX_BOUND_DIGITS = 400
FLOAT_DIGITS = 15  # decimal digits that a float keeps, whatever they are
MAX_PLACES = 40  # digits after the point
BINDING = 10**308  # nothing that is written reaches it, so a bound beyond it binds nothing
MOST_LISTED = 512  # multiples that are listed one by one
FAR = 10**FLOAT_DIGITS

WHOLE = rf"(0|-?[1-9][0-9]{{0,{MAX_DIGITS - 1}}})"
# A mantissa of any usual length with an exponent below 100, or one digit with any exponent that a float can have.
FREE_POSITIVE = (
    rf"((0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})(\.[0-9]{{1,{MAX_PLACES}}})?([eE][+\-]?[0-9]{{1,2}})?"
    rf"|[0-9](\.[0-9]{{1,{MAX_PLACES}}})?[eE][+\-]?([0-2][0-9]{{2}}|30[0-7]))"
)
FREE = f"-?{FREE_POSITIVE}"


class NotHeld(ValueError):
    """No expression here can hold a number to this bound or multiple."""


@dataclass(frozen=True)
class Range:
    """The numbers between two bounds; None where there is none."""

    low: Fraction | None = None
    high: Fraction | None = None
    above: bool = False
    """`low` itself is outside."""
    below: bool = False
    """`high` itself is outside."""
    whole: bool = False
    step: Fraction | None = None
    """Multiples of it alone; 0: nothing but 0."""

    def within(self, other: Range) -> Range:
        """The numbers that are in both."""
        lows = [(r.low, r.above) for r in (self, other) if r.low is not None]
        highs = [(r.high, not r.below) for r in (self, other) if r.high is not None]
        steps = [r.step for r in (self, other) if r.step is not None]
        low, above = max(lows, default=(None, False))
        high, closed = min(highs, default=(None, True))
        step = _common(steps) if steps else None
        return Range(low, high, above, not closed, self.whole or other.whole, step)


def range_of(keywords: Mapping[str, Any]) -> Range:
    """What a schema's own keywords say of numbers. In old drafts an exclusive bound is a boolean beside the other."""
    low, high = _bound(keywords.get("minimum"), max), _bound(keywords.get("maximum"), min)
    found = Range(low, high, keywords.get("exclusiveMinimum") is True, keywords.get("exclusiveMaximum") is True)
    above, below = _bound(keywords.get("exclusiveMinimum"), max), _bound(keywords.get("exclusiveMaximum"), min)
    found = found.within(Range(above, below, above is not None, below is not None))
    return found.within(Range(step=_decimal(keywords.get("multipleOf"))))


def holds(numbers: Range, value: float) -> bool:
    """Whether a number is in the range."""
    exact = Fraction(value)
    over = numbers.low is None or (exact > numbers.low if numbers.above else exact >= numbers.low)
    under = numbers.high is None or (exact < numbers.high if numbers.below else exact <= numbers.high)
    step = numbers.step
    multiple = step is None or (_decimal(value) % step == 0 if step else exact == 0)  # type: ignore[operator]
    return over and under and multiple and (not numbers.whole or exact.denominator == 1)


@dataclass(frozen=True)
class Multiples:
    """Multiples that no expression of this module can hold: the keywords of a schema that the compiler can."""

    keywords: dict[str, Any]


def written(numbers: Range) -> str | Multiples | None:
    """What matches the texts of these numbers; None where there are none. Raises NotHeld."""
    if numbers.step == 0:
        return "0" if holds(numbers, 0) else None
    step = _common([numbers.step or Fraction(1), Fraction(1)]) if numbers.whole else numbers.step
    whole = step is not None and step.denominator == 1
    low, high = _inward(numbers.low, numbers.above, whole, 1), _inward(numbers.high, numbers.below, whole, -1)
    if low is not None and high is not None and low > high:
        return None
    if step is None:
        return _any_number(low, high)
    return _whole_number(low, high) if step == 1 else _multiples(low, high, step)


# --- bounds ----------------------------------------------------------------------------------------------------------


def _bound(value: Any, inner: Callable[[list[Fraction]], Fraction]) -> Fraction | None:
    """Readers differ on what a large float is: its exact value, or what is written. Within both is right for all."""
    written = _decimal(value)
    if written is None or isinstance(value, int):
        return written
    return inner(_reads(value, 1))


def _decimal(value: Any) -> Fraction | None:
    """A step is what its author wrote: no float is 0.01."""
    return None if isinstance(value, bool) or not isinstance(value, int | float) else Fraction(repr(value))


def _common(steps: list[Fraction]) -> Fraction:
    """The smallest number that all are parts of, without a remainder."""
    if not all(steps):
        return Fraction(0)
    first, *others = [abs(step) for step in steps]
    for other in others:
        first = Fraction(math.lcm(first.numerator, other.numerator), math.gcd(first.denominator, other.denominator))
    return first


def _inward(bound: Fraction | None, exclusive: bool, whole: bool, towards: int) -> Fraction | None:
    """The last number within a bound, which may be written; None where the bound binds nothing that is written.

    towards: 1 for a lower bound, -1 for an upper one.
    """
    if bound is None or bound * towards <= -BINDING:
        return None
    if abs(bound) >= 10**MAX_BOUND_DIGITS:
        raise NotHeld(f"a bound of more than {MAX_BOUND_DIGITS} digits")
    if whole:
        last = Fraction(math.ceil(bound * towards)) * towards
        return last + towards if exclusive and last == bound else last
    if abs(bound) >= BINDING:
        raise NotHeld("a bound that no float reaches")
    value = float(bound)
    while not all(
        read > bound * towards or (read == bound * towards and not exclusive) for read in _reads(value, towards)
    ):
        value = math.nextafter(value, math.inf * towards)
    return max(_reads(value, towards)) * towards if abs(value) >= 2**53 else Fraction(repr(value))


def _reads(value: float, sign: int) -> list[Fraction]:
    """What a float may be taken for, times a sign."""
    exact = Fraction(value)
    return [exact * sign, Fraction(repr(value)) * sign] if abs(value) >= 2**53 else [exact * sign]


# --- whole numbers ---------------------------------------------------------------------------------------------------


def _whole_number(low: Fraction | None, high: Fraction | None) -> str:
    if low is None and high is None:
        return WHOLE
    return _signed(None if low is None else int(low), None if high is None else int(high), _naturals)


def _signed(low: int | None, high: int | None, unsigned: Any) -> str:
    """The same expression for numbers on both sides of 0; `unsigned` makes that of those between two, from 0 on."""
    parts = []
    if low is None or low < 0:
        parts.append("-" + unsigned(1 if high is None or high >= 0 else -high, None if low is None else -low))
    if high is None or high >= 0:
        parts.append(unsigned(max(low or 0, 0), high))
    return _either(parts)


def _naturals(low: int, high: int | None) -> str:
    """Whole numbers from `low` to `high`, or of any usual length."""
    least = len(str(low))
    if high is None:
        most = max(MAX_DIGITS, least + 1)
        return _either([_digits(str(low), "9" * least), f"[1-9][0-9]{{{least},{most - 1}}}"])
    most = len(str(high))
    if least == most:
        return _digits(str(low), str(high))
    parts = [_digits(str(low), "9" * least), _digits("1" + "0" * (most - 1), str(high))]
    if most - least > 1:
        parts.append(f"[1-9][0-9]{{{least},{most - 2}}}")
    return _either(parts)


def _digits(low: str, high: str) -> str:
    """Digits between two numbers of the same length."""
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=True)) if a != b), len(low))
    prefix, low, high = low[:same], low[same:], high[same:]
    if not low:
        return prefix
    free = f"[0-9]{{{len(low) - 1}}}" if len(low) > 1 else ""
    first, last = int(low[0]), int(high[0])
    parts = []
    if set(low[1:]) - {"0"}:
        parts.append(low[0] + _above(low[1:]))
        first += 1
    if set(high[1:]) - {"9"}:
        parts.append(high[0] + _below(high[1:]))
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}]{free}")
    return prefix + _either(parts)


def _above(low: str) -> str:
    """Digits from `low` on, as many as it has."""
    parts = [low]
    for i, digit in enumerate(low):
        if digit != "9":
            parts.append(f"{low[:i]}[{int(digit) + 1}-9][0-9]{{{len(low) - i - 1}}}")
    return _either(parts)


def _below(high: str) -> str:
    parts = [high]
    for i, digit in enumerate(high):
        if digit != "0":
            parts.append(f"{high[:i]}[0-{int(digit) - 1}][0-9]{{{len(high) - i - 1}}}")
    return _either(parts)


# --- other numbers ---------------------------------------------------------------------------------------------------


def _any_number(low: Fraction | None, high: Fraction | None) -> str:
    if low is None and high is None:
        return FREE
    if low == 0 and high is None:
        return FREE_POSITIVE
    return _decimals(low, high, _places(low, high))


def _places(low: Fraction | None, high: Fraction | None) -> int:
    """How many digits may stand after the point."""
    wanted = [_places_of(bound) for bound in (low, high) if bound is not None]
    return min(max(FLOAT_DIGITS, *wanted), MAX_PLACES)


def _places_of(number: Fraction) -> int:
    """The digits after the point of a decimal number; one more than MAX_PLACES for more."""
    return next((n for n in range(MAX_PLACES + 1) if (number * 10**n).denominator == 1), MAX_PLACES + 1)


def _decimals(low: Fraction | None, high: Fraction | None, places: int) -> str:
    """Numbers with so many digits after the point at most. Raises NotHeld where the bounds are closer than that."""
    scale = 10**places
    least = None if low is None else math.ceil(low * scale)
    most = None if high is None else math.floor(high * scale)
    if least is not None and most is not None and least > most:
        raise NotHeld(f"bounds that lie closer than the {places} digits after a point that are written")
    return _signed(least, most, lambda a, b: _positive_decimals(a, b, places))


def _positive_decimals(low: int, high: int | None, places: int) -> str:
    """As `_decimals`; the bounds are in units of the last place."""
    first, start = _split(low, places)
    if high is None:
        return _either([f"{first}{_fraction(start, None, places)}", _naturals(first + 1, None) + _free(places)])
    last, end = _split(high, places)
    if first == last:
        return f"{first}{_fraction(start, end, places)}"
    parts = [f"{first}{_fraction(start, None, places)}", f"{last}{_fraction(None, end, places)}"]
    if first + 1 < last:
        parts.append(_naturals(first + 1, last - 1) + _free(places))
    return _either(parts)


def _split(number: int, places: int) -> tuple[int, str]:
    """The whole part, and the digits after the point."""
    whole, rest = divmod(number, 10**places)
    return whole, f"{rest:0{places}}" if places else ""


def _free(places: int) -> str:
    return rf"(\.[0-9]{{1,{places}}})?" if places else ""


def _fraction(low: str | None, high: str | None, places: int) -> str:
    """What stands after the whole part: nothing, or a point and digits that, with noughts added, lie between two."""
    if not places:
        return ""
    some = rf"\.{_some(low, high)}"
    return some if (low or "").strip("0") else f"({some})?"


def _some(low: str | None, high: str | None) -> str:
    """One digit or more, as many as the bounds have at most; one of them may be None, which does not bind."""
    length = len(low or high or "")
    if not length:
        return ""
    first, last = int(low[0]) if low else 0, int(high[0]) if high else 9
    if first == last:
        return f"{first}{_more(low and low[1:], high and high[1:])}"
    parts = []
    if low:
        parts.append(f"{first}{_more(low[1:], None)}")
        first += 1
    if high:
        parts.append(f"{last}{_more(None, high[1:])}")
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}][0-9]{{0,{length - 1}}}")
    return _either(parts)


def _more(low: str | None, high: str | None) -> str:
    """The same, or no digit where noughts are within the bounds."""
    some = _some(low, high)
    return f"({some})?" if some and not (low or "").strip("0") else some


def _multiples(low: Fraction | None, high: Fraction | None, step: Fraction) -> str | Multiples | None:
    least = None if low is None else math.ceil(low / step)
    most = None if high is None else math.floor(high / step)
    if least is not None and most is not None:
        if least > most:
            return None
        if most - least < MOST_LISTED:
            return _either([_text(n * step).replace(".", r"\.") for n in range(least, most + 1)])
    places = len(str(step.denominator)) - 1
    if step == Fraction(1, 10**places) and places < FLOAT_DIGITS:
        far = Fraction(10 ** (FLOAT_DIGITS - places))  # beyond it a float has not so many digits after the point
        return _decimals(-far if low is None else low, far if high is None else high, places)
    return _compiled(least, most, step)


def _compiled(least: int | None, most: int | None, step: Fraction) -> Multiples:
    value, scaled, places = float(step), float(step), 0
    while scaled % 1 and places < FLOAT_DIGITS:  # as the compiler does it, which may not find the digits again
        scaled, places = scaled * 10, places + 1
    if Fraction(int(scaled), 10**places) != step or scaled >= 2**32:
        raise NotHeld(f"multiples of {_text(step)}")
    far = math.floor(FAR / 10**places / step)
    least, most = -far if least is None else least, far if most is None else most
    if max(abs(least), abs(most)) > far:
        raise NotHeld(f"multiples of {_text(step)} between bounds of more than {FLOAT_DIGITS} digits")
    whole = step.denominator == 1
    low, high = (int(n * step) if whole else float(n * step) for n in (least, most))
    kind = "integer" if whole else "number"
    return Multiples({"type": kind, "multipleOf": int(step) if whole else value, "minimum": low, "maximum": high})


def _text(number: Fraction) -> str:
    """A decimal number, in full."""
    with localcontext() as context:
        context.prec = 2 * MAX_BOUND_DIGITS
        return f"{(Decimal(number.numerator) / Decimal(number.denominator)).normalize():f}"


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"
