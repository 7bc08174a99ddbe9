"""Rules, in llguidance's grammar language, for the JSON texts of the values that fit a schema.

Properties come in the schema's order, each at most once. An object that lists its properties and says nothing of others
gets no others, although the standard lets it have them: a model that may invent keys does so without end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from sansi.base.errors import SansiError
from sansi.engine.json_schema.alternatives import (
    Alternative,
    Alternatives,
    Schema,
    Schemas,
    bounds,
    is_closed,
    items,
    names,
    numbers,
    patterns,
    prefix,
    required,
    string_schema,
    together,
    types,
)
from sansi.engine.json_schema.expressions import RAW, is_known, searched
from sansi.engine.json_schema.numbers import Multiples, NotHeld, Range, written

MAX_STATES = 4096  # of an object whose properties are counted
MAX_PATTERNS = 4  # of one object's patternProperties: each combination of them is a rule
_ESCAPE = r'\\["\\bfnrt]'
_NEEDED = r"\\u(00[01][0-9a-f]|03[0-6][0-9a-f])"  # controls, and marks that would join the escape before them
_ANY = (  # any character as an escape, those beyond four digits as a pair
    r"\\u([0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_KEY = f'"({RAW}|{_ESCAPE})*"'  # a key has one spelling, so that a declared one cannot come twice


@dataclass(frozen=True)
class Style:
    """How JSON is written, in expressions: what separates items and keys, and what stands inside brackets."""

    comma: str
    colon: str
    unicode: str
    """Characters that are written as escapes with their number."""
    gap: str | None = None

    @classmethod
    def line(cls) -> Style:
        """On one line, as Python writes it, which is how models are trained to write calls."""
        return cls(", ", ": ", _NEEDED)

    @classmethod
    def free(cls) -> Style:
        """On one line, without spaces or with, or on several, within bounds: weak models write blanks without end."""
        gap = r"( |\n[ \t]{0,24})"
        return cls(f",{gap}?", ": ?", _ANY, gap)


class Rules:
    """Lines of a grammar; equal rules are one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[str, str] = {}

    def terminal(self, body: str) -> str:
        return self._named(body, "T")

    def rule(self, body: str) -> str:
        return self._named(body, "r")

    def reserve(self) -> str:
        """The name of a rule that is defined later."""
        self._names[f"reserved {len(self._names)}"] = ""
        return f"r{len(self._names)}"

    def define(self, name: str, body: str) -> None:
        self.lines.append(f"{name}: {body}")

    def _named(self, body: str, letter: str) -> str:
        if body not in self._names:
            self._names[body] = f"{letter}{len(self._names) + 1}"
            self.define(self._names[body], body)
        return self._names[body]


def schema_rules(schema: Schema, rules: Rules, style: Style, lenient: bool = False, of_type: str | None = None) -> str:
    """Adds rules for the values that fit `schema`; returns the name of the first.

    lenient: leave out what a grammar cannot hold a model to. of_type: the type that values must have, whatever the
    schema says. Raises SansiError for a schema that is wrong or that nothing fits, and Unsupported, which is one too,
    for parts that a grammar cannot hold a model to.
    """
    kind: list[Schema] = [] if of_type is None else [{"type": of_type}]
    name = _Writer(Alternatives(schema, lenient), rules, style).value(together([*kind, schema]))
    if name is None:
        raise SansiError("nothing can fit it" if of_type is None else f"no {of_type} can fit it")
    return name


class _Writer:
    """Each method adds rules and returns the name of one; None where nothing fits."""

    def __init__(self, alternatives: Alternatives, rules: Rules, style: Style):
        self._alternatives, self._rules, self._style = alternatives, rules, style
        self._values: dict[tuple[int, ...], str | None] = {}
        self._comma, self._colon = rules.terminal(f"/{style.comma}/"), rules.terminal(f"/{style.colon}/")

    def value(self, schemas: Schemas) -> str | None:
        key = tuple(map(id, schemas))
        if key not in self._values:
            possible = self._alternatives.any_fits(schemas)
            self._values[key] = name = self._rules.reserve() if possible else None
            if name is not None:  # else it is known already to whoever refers to it from inside
                bodies = [body for option in self._alternatives.of(schemas) for body in self._option(option)]
                self._rules.define(name, " | ".join(dict.fromkeys(bodies)) or self._nothing())
                self._values[key] = name if bodies else None
        return self._values[key]

    def _nothing(self) -> str:
        return self._rules.terminal('"a" & "b"')

    def _option(self, option: Alternative) -> list[str]:
        members = self._alternatives.members(option)
        if members is not None:
            texts = [_literal(json.dumps(value, ensure_ascii=False)) for value in members]
            return [self._rules.terminal(" | ".join(dict.fromkeys(texts)))] if texts else []
        found = [getattr(self, f"_{kind}")(option) for kind in types(option) if self._alternatives.fits_a(kind, option)]
        return [body for body in found if body is not None]

    # --- values without parts ----------------------------------------------------------------------------------------

    def _null(self, _: Alternative) -> str:
        return '"null"'

    def _boolean(self, _: Alternative) -> str:
        return self._rules.terminal('"true" | "false"')

    def _number(self, option: Alternative) -> str | None:
        wanted = numbers(option)
        for less in (wanted, replace(wanted, step=None), Range(whole=wanted.whole)):
            try:
                expression = written(less)
            except NotHeld as error:
                self._alternatives.unheld(str(error), option)
                continue
            if isinstance(expression, Multiples):
                return self._rules.rule(f"%json {json.dumps(expression.keywords)}")
            return None if expression is None else self._rules.terminal(f"/{expression}/")
        raise AssertionError(wanted)

    def _string(self, option: Alternative) -> str:
        self._report_unknown(option)
        schema = string_schema(option)
        if "allOf" in schema:
            return self._rules.rule(f"%json {json.dumps(schema)}")
        times = f"{{{schema['minLength']},{schema.get('maxLength', '')}}}"
        character = f"({RAW}|{_ESCAPE}|{self._style.unicode})"
        return self._rules.terminal(f'/"{character}{"*" if times == "{0,}" else times}"/')

    def _report_unknown(self, option: Alternative) -> None:
        """Expressions and formats that no string can be held to."""
        for part in option:
            for keyword in ("pattern", "format"):
                value = part.keywords.get(keyword)
                if value is not None and not is_known(keyword, value):
                    self._alternatives.unheld(f"{keyword} {json.dumps(value, ensure_ascii=False):.200}", (part,))

    # --- lists -------------------------------------------------------------------------------------------------------

    def _array(self, option: Alternative) -> str | None:
        least, most = bounds(option, "minItems", "maxItems")
        first = [
            self.value(items(option, i)) for i in range(prefix(option) if most is None else min(prefix(option), most))
        ]
        rest = self.value(items(option, prefix(option))) if most is None or most > len(first) else None
        if None in first:
            first, rest = first[: first.index(None)], None
        if rest is None and least > len(first):
            return None
        return self._listed(first, rest, least, most)  # type: ignore[arg-type]

    def _listed(self, first: list[str], rest: str | None, least: int, most: int | None) -> str:
        """Items, of which `first` have a rule each, and all others `rest`."""
        more = None if most is None else most - len(first)
        fewest = max(least - len(first), 0)
        tail = "" if rest is None else _repeated(f"{self._comma} {rest}", fewest, more)
        for i in range(len(first) - 1, 0, -1):
            tail = f"{self._comma} {first[i]} {tail}"
            tail = f"({tail})?" if i >= least else tail
        if first:
            inner = f"{first[0]} {tail}"
        elif rest is None:
            return '"[]"'
        else:
            others = _repeated(f"{self._comma} {rest}", max(fewest - 1, 0), None if more is None else more - 1)
            inner = f"{rest} {others}"
        whole = f'"[" {self._gap()} {inner} {self._gap()} "]"'
        return self._rules.rule(whole if least else f'"[]" | {whole}')

    # --- objects -----------------------------------------------------------------------------------------------------

    def _object(self, option: Alternative) -> str | None:
        needed = required(option)
        listed = self._alternatives.listed_names(option) or []
        declared = [name for part in option for name in part.keywords.get("properties", ())]
        taken = list(dict.fromkeys([*declared, *needed, *([] if is_closed(option) else listed)]))
        members = {name: self.value(self._alternatives.member(option, name)) for name in taken}
        if any(members[name] is None for name in needed):
            return None
        pairs = [(self._pair(_literal(_spelled(name)), rule), name in needed) for name, rule in members.items() if rule]
        least, most = bounds(option, "minProperties", "maxProperties")
        others = None if is_closed(option) and least <= len(pairs) else self._others(option, taken)
        counted = least > len(needed) or most is not None
        if counted and len(pairs) * min(max(least, most or 0), len(pairs)) > MAX_STATES:
            self._alternatives.unheld("minProperties or maxProperties beside so many properties", option)
            least, most = 0, None
        return _Object(self._rules, self._comma, self._gap(), pairs, others, least, most).rule()

    def _others(self, option: Alternative, named: list[str]) -> str | None:
        """Any property of another name."""
        if self._alternatives.listed_names(option) is not None:
            return None  # each has had its turn
        known, bounds_of_names = self._key_expressions(option), self._name_expressions(option)
        taken = " | ".join(_literal(_spelled(name)) for name in named)
        free = f" & ~({taken})" if taken else ""
        raw = [f'/"{RAW}*"/'] if known or bounds_of_names else [f"/{_KEY}/"]
        pairs = []
        for chosen in _subsets(list(known)):
            rule = self.value(self._of_pattern(option, chosen))
            if rule is not None:
                inside = [known[pattern] for pattern in chosen]
                outside = [f"~{known[pattern]}" for pattern in known if pattern not in chosen]
                key = " & ".join([*raw, *bounds_of_names, *inside, *outside])
                pairs.append(self._pair(self._rules.terminal(key + free), rule))
        return self._rules.rule(" | ".join(pairs)) if pairs else None

    def _key_expressions(self, option: Alternative) -> dict[str, str]:
        """The expressions that names of properties are searched for, each with one that matches the whole name."""
        known: dict[str, str] = {}
        for part in option:
            for pattern in part.keywords.get("patternProperties", ()):
                body = searched(pattern) if len(known) < MAX_PATTERNS else None
                if body is not None:
                    known[pattern] = f'/"{body}"/'
                else:
                    shown = json.dumps(pattern, ensure_ascii=False)
                    self._alternatives.unheld(f"patternProperties with {shown:.200}", (part,))
        return known

    def _name_expressions(self, option: Alternative) -> list[str]:
        """What the names of properties must all match."""
        wanted = names(option)
        found = [texts for texts in self._alternatives.of(wanted) if "string" in types(texts)]
        if len(found) != 1:
            self._alternatives.unheld("propertyNames with several options", option)
            return []
        self._report_unknown(found[0])
        least, most = bounds(found[0], "minLength", "maxLength")
        sizes = [f'/"{RAW}{{{least},{"" if most is None else most}}}"/'] if least or most is not None else []
        bodies = [searched(pattern) for pattern in patterns(found[0])]
        if None in bodies or any("format" in part.keywords for part in found[0]):
            self._alternatives.unheld("propertyNames with such an expression or format", option)
        return [*sizes, *(f'/"{body}"/' for body in bodies if body is not None)]

    def _of_pattern(self, option: Alternative, chosen: tuple[str, ...]) -> Schemas:
        """What a property fits that is not declared and in whose name these expressions are found."""
        found: list[Schema] = []
        for part in option:
            patterned = part.keywords.get("patternProperties", {})
            here = [patterned[pattern] for pattern in chosen if pattern in patterned]
            found += here or [part.keywords.get("additionalProperties", True)]
        return together(found)

    def _pair(self, key: str, value: str) -> str:
        return f"{key} {self._colon} {value}"

    def _gap(self) -> str:
        return "" if self._style.gap is None else self._rules.terminal(f"/{self._style.gap}/") + "?"


@dataclass(frozen=True)
class _Object:
    """The rules of one object. pairs: each with whether it must stand. others: any pair that is none of these."""

    rules: Rules
    comma: str
    gap: str
    pairs: list[tuple[str, bool]]
    others: str | None
    least: int
    most: int | None

    def rule(self) -> str | None:
        """From the last property back: what may follow once so many pairs are written."""
        top = max(1, min(max(self.least, self.most or 0), len(self.pairs)))  # more need not be told apart
        after = [self._end(count) for count in range(top + 1)]
        for i in range(len(self.pairs) - 1, -1, -1):
            pair, must = self.pairs[i]
            after = [self._from(pair, must, count, after) for count in range(min(i, top) + 1)]
        inner, empty = after[0], not self.least and not any(must for _, must in self.pairs)
        bodies = ['"{}"'] if empty else []
        if inner is not None:
            bodies.append(f'"{{" {self.gap} {inner} {self.gap} "}}"')
        return self.rules.rule(" | ".join(bodies)) if bodies else None

    def _end(self, count: int) -> str | None:
        """What follows the declared pairs: "" where nothing must, None where nothing can; none is not empty."""
        least, most = max(self.least - count, 0), None if self.most is None else self.most - count
        if self.others is None or (most is not None and most < 1):
            return "" if count and not least else None
        if count:
            return self.rules.rule(_repeated(f"{self.comma} {self.others}", least, most))
        more = _repeated(f"{self.comma} {self.others}", max(least - 1, 0), None if most is None else most - 1)
        return self.rules.rule(f"{self.others} {more}")

    def _from(self, pair: str, must: bool, count: int, after: list[str | None]) -> str | None:
        """The same from one pair on."""
        follows = after[min(count + 1, len(after) - 1)]
        possible = follows is not None and (self.most is None or count < self.most)
        written = f"{self.comma if count else ''} {pair} {follows}" if possible else None
        skipped = None if must else after[count]
        if written is None:
            return skipped
        if skipped is None:
            return self.rules.rule(written)
        return self.rules.rule(f"{written} | {skipped}" if skipped else f"({written})?")


def _repeated(body: str, least: int, most: int | None) -> str:
    if most == 0:
        return ""
    return f"({body})*" if not least and most is None else f"({body}){{{least},{'' if most is None else most}}}"


def _subsets(patterns: list[str]) -> Iterator[tuple[str, ...]]:
    """All of one, of two, and so on, down to none."""
    for size in range(len(patterns), -1, -1):
        yield from combinations(patterns, size)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _spelled(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
