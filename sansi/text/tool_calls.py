"""One tool call, read while the model writes it: `{"name": "…", "arguments": {…}}`.

The reader is a coroutine over the text: it runs until it needs more and says what has become certain meanwhile. Nothing
that it says is ever taken back, so a value that may yet be converted is held until it is whole.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sansi.base.errors import did_you_mean
from sansi.base.shown import show
from sansi.text.messages import is_tool_name
from sansi.text.schema import ToolSchema, keeps_strings, read_json, tool_schema

Steps = Generator[None, None, None]  # a coroutine of the reader; it yields where it needs more text
End = Literal["tag", "call", "turn"]
CallProblem = Literal["malformed_call", "truncated_call", "unknown_tool", "invalid_arguments"]

_NOTHING = ("null", "")
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'[^"\\\x00-\x1f]*')  # JSON allows no line breaks in strings
_SCALAR = re.compile(r'[^ \t\r\n"{}\[\],:]*')
_INERT = re.compile(r'[^"{}\[\]]*')


@dataclass(frozen=True, slots=True)
class Piece:
    """What became of some text of a call: `written` by the model, and `told`, which differs where it was converted."""

    kind: Literal["framing", "name", "arguments"]
    written: str
    told: str


def tool_schemas(tools: Sequence[Mapping[str, Any]]) -> dict[str, ToolSchema]:
    """Name to schema of OpenAI's tool definitions, or of bare functions."""
    functions = [tool.get("function") or tool for tool in tools]
    return {function["name"]: tool_schema(function.get("parameters") or {}) for function in functions}


class CallReader:
    """Feed it the text between <tool_call> and its end. `schemas` is empty where the tools are not known.

    arguments_key: what the call names its arguments; "arguments" is read whatever it is.
    """

    def __init__(self, schemas: Mapping[str, ToolSchema], arguments_key: str = "arguments"):
        self._arguments_keys = ("arguments", arguments_key)
        self.name: str | None = None
        self.in_string = False
        """Inside a JSON string, where a closing tag closes nothing."""
        self.malformed: str | None = None
        """What is wrong with the JSON, as soon as that is known."""
        self._schemas = schemas
        self._schema: ToolSchema | None = None
        self._misfits: list[str] = []
        self._lost = False  # the text has left the form of a call; the rest is taken as it is written
        self._whole = False
        self._buffer, self._at = "", 0  # text that came, and how far it is read
        self._read: list[str] = []  # text that is read but not decided on
        self._holding = False
        self._zone: Literal["framing", "arguments"] = "framing"
        self._early: tuple[int, int] | None = None  # where in `_read` arguments are that came before the name
        self._end: End | None = None
        self._pieces: list[Piece] = []
        self._told: list[str] = []
        self._steps = self._call()

    @property
    def undecided(self) -> str:
        """The text of which nothing has been said; before the name is known, that is all of it."""
        return "".join(self._read) + self._buffer[self._at :]

    @property
    def arguments(self) -> str:
        """What was told of the arguments so far."""
        return "".join(self._told)

    def feed(self, text: str) -> list[Piece]:
        """What `text` makes certain."""
        if self._lost:
            self._as_written(text)
            return self._take_pieces()
        self._buffer, self._at = self._buffer[self._at :] + text, 0
        try:
            next(self._steps)
            self._decide()
        except _Malformed as error:
            self._lose(str(error))
        return self._take_pieces()

    def grows(self, text: str) -> bool:
        """Whether `text` goes on with a string that is told as it comes: most text of most calls, and a quicker way."""
        if not (self.in_string and self._passing and _STRING.fullmatch(text)):
            return False
        self._told.append(text)
        return True

    def close(self, end: End) -> list[Piece]:
        """The last pieces. `end`: a closing tag, the opening tag of another call, or the end of the turn."""
        left, self._holding = self.undecided, False
        self._read, self._buffer, self._at = [], "", 0
        if left:
            self._say("framing" if self._lost and not left.strip() else self._zone, left)
        self._end = end
        return self._take_pieces()

    @property
    def problem(self) -> CallProblem | None:
        """What is wrong with the closed call, by name; the first of these that applies."""
        if self._end == "turn":
            return "truncated_call"
        if self._end == "call" or self.malformed or not self._whole:
            return "malformed_call"
        if self._schemas and self._schema is None:
            return "unknown_tool"
        return "invalid_arguments" if self._misfits else None

    @property
    def error(self) -> str | None:
        """Why the closed call must not be executed, in one sentence."""
        reasons = {
            "truncated_call": "truncated: the turn ended before the call did",
            "malformed_call": f"malformed: {self.malformed or 'the call ends before its JSON does'}",
            "unknown_tool": f'unknown tool "{self.name}"{did_you_mean(self.name or "", self._schemas)}',
            "invalid_arguments": "arguments: " + "; ".join(self._misfits),
        }
        return reasons[self.problem] if self.problem else None

    # --- the grammar: each of these reads one thing, and pauses where the text ends ----------------------------------

    def _call(self) -> Steps:
        seen: list[str] = []
        yield from self._mark("{")
        while (yield from self._next()) != "}":
            if seen:
                yield from self._mark(",")
            key = yield from self._key()
            key = "arguments" if key in self._arguments_keys else key
            if key not in ("name", "arguments") or key in seen:
                raise _Malformed(f'the key "{key}" has no place in a call, or stands twice')
            yield from self._mark(":")
            yield from self._name() if key == "name" else self._arguments()
            seen.append(key)
        if self.name is None:
            raise _Malformed("the call has no name")
        yield from self._mark("}")
        if "arguments" not in seen:
            self._say("arguments", "", told="{}")
            self._check()
        self._whole = True
        yield from self._next()
        self._whole = False
        raise _Malformed("text follows the JSON of the call")

    def _name(self) -> Steps:
        start = yield from self._held_string()
        name = _string("".join(self._read[start:]))
        if not name.strip():
            raise _Malformed("the name is empty")
        if not is_tool_name(name):  # no tool is called so, and the call could not be rendered again
            raise _Malformed("the name holds quotes, backslashes or line breaks")
        self.name, self._schema = name, self._schemas.get(name)
        held, written = self._read[:start], "".join(self._read[start:])
        self._read = []
        if self._early is not None:
            first, last = self._early
            self._say("framing", "".join(held[:first]))
            self._say_converted("".join(held[first:last]))
            held = held[last:]
            self._check()
        self._say("framing", "".join(held))
        self._say("name", written, told=name)

    def _arguments(self) -> Steps:
        opening = yield from self._next()
        if opening not in '{"n':
            raise _Malformed("the arguments are not a JSON object")
        self._decide()
        if self.name is None:
            start = len(self._read)
            yield from self._value()
            self._early = start, len(self._read)
            return
        self._zone = "arguments"
        if opening in '"n' or (self._schema and not self._schema.by_member):
            self._say_converted((yield from self._held_value()))
        elif self._schema is None:
            yield from self._value()
        else:
            yield from self._members(self._schema)
        self._decide()
        self._zone = "framing"
        self._check()

    def _members(self, schema: ToolSchema) -> Steps:
        """The arguments one by one: strings that stay strings are passed on as they grow, other values once whole."""
        first = True
        yield from self._mark("{")
        while (yield from self._next()) != "}":
            if not first:
                yield from self._mark(",")
            first = False
            member = schema.member((yield from self._key()))
            yield from self._mark(":")
            opening = yield from self._next()
            if member is None or (opening == '"' and keeps_strings(member)):
                yield from self._value()
            else:
                written = yield from self._held_value()
                self._say("arguments", written, told=schema.typed_text(written, member))
        yield from self._mark("}")

    def _key(self) -> Generator[None, None, str]:
        start = yield from self._held_string()
        return _string("".join(self._read[start:]))

    def _held_string(self) -> Generator[None, None, int]:
        """Reads a string whose text is kept together; returns where in `_read` it starts."""
        if (yield from self._next()) != '"':
            raise _Malformed(f"a string must stand where {show(self._buffer[self._at])} stands")
        self._decide()
        start, self._holding = len(self._read), True
        yield from self._value()
        self._holding = False
        return start

    def _held_value(self) -> Generator[None, None, str]:
        self._decide()
        self._holding = True
        yield from self._value()
        self._holding = False
        written, self._read = "".join(self._read), []
        return written

    def _value(self) -> Steps:
        """Any JSON value, by its outline: whether what is inside is well-formed shows once it is whole."""
        depth = 0
        while True:
            char = yield from self._next()
            if char == '"':
                yield from self._string()
            elif char in "{[":
                depth += 1
                self._advance(self._at + 1)
            elif char in "}]" and depth:
                depth -= 1
                self._advance(self._at + 1)
            elif not depth:
                yield from self._scalar()
            if not depth:
                return
            self._advance(_INERT.match(self._buffer, self._at).end())  # type: ignore[union-attr]

    def _string(self) -> Steps:
        self._advance(self._at + 1)
        self.in_string = True
        while True:
            self._advance(_STRING.match(self._buffer, self._at).end())  # type: ignore[union-attr]
            left = self._buffer[self._at : self._at + 2]
            if left[:1] == '"':
                break
            if left[:1] not in ("", "\\"):
                raise _Malformed("a line break or control character stands in a string")
            if len(left) == 2:
                self._advance(self._at + 2)
            else:
                yield
        self._advance(self._at + 1)
        self.in_string = False

    def _scalar(self) -> Steps:
        empty = True
        while True:
            end = _SCALAR.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            empty = empty and end == self._at
            self._advance(end)
            if self._at < len(self._buffer):
                break
            yield
        if empty:
            raise _Malformed(f"a value must stand where {show(self._buffer[self._at])} stands")

    def _mark(self, mark: str) -> Steps:
        char = yield from self._next()
        if char != mark:
            raise _Malformed(f"{show(mark)} must stand where {show(char)} stands")
        self._advance(self._at + 1)
        self._decide()

    def _next(self) -> Generator[None, None, str]:
        """Skips white space; returns the next character, which is not read yet."""
        while True:
            self._advance(_SPACE.match(self._buffer, self._at).end())  # type: ignore[union-attr]
            if self._at < len(self._buffer):
                self._decide()
                return self._buffer[self._at]
            yield

    @property
    def _passing(self) -> bool:
        """All that came is said, and what comes may be said at once."""
        return self.name is not None and not (self._holding or self._read or self._at < len(self._buffer))

    # --- what is said ------------------------------------------------------------------------------------------------

    def _advance(self, end: int) -> None:
        if end > self._at:
            self._read.append(self._buffer[self._at : end])
            self._at = end

    def _decide(self) -> None:
        """What is read so far is certain, unless it is being held or the call may yet turn out to be text."""
        if self._read and not self._holding and self.name is not None:
            written, self._read = "".join(self._read), []
            self._say(self._zone, written)

    def _say(self, kind: Literal["framing", "name", "arguments"], written: str, told: str | None = None) -> None:
        told = written if told is None else told
        if written or told:
            self._pieces.append(Piece(kind, written, told))
            if kind == "arguments":
                self._told.append(told)

    def _say_converted(self, written: str) -> None:
        """Arguments that are told whole. Some models write the object as a string; it has one reading, too. Nothing,
        be it `null` or an empty string, is no arguments, as in a history."""
        text = written
        if written.startswith('"'):
            try:
                text = read_json(written).strip()
                text = text if text in _NOTHING or isinstance(read_json(text), dict) else written
            except ValueError:
                text = written  # the check says what is wrong
        text = "{}" if text in _NOTHING else text
        self._say("arguments", written, told=self._schema.typed_text(text) if self._schema else text)

    def _check(self) -> None:
        try:
            value = read_json(self.arguments)
        except ValueError as error:
            self.malformed = f"the arguments are not JSON ({error})"
            return
        if not isinstance(value, dict):
            self.malformed = "the arguments are not a JSON object"
        elif self._schema is not None:
            self._misfits = self._schema.problems(value)

    def _lose(self, reason: str) -> None:
        self.malformed = self.malformed or reason
        self._lost, self._holding, self.in_string, self._zone = True, False, False, "arguments"
        if self.name is not None:
            left = self.undecided
            self._read, self._buffer, self._at = [], "", 0
            self._as_written(left)

    def _as_written(self, text: str) -> None:
        """More of a malformed call. White space waits in `_read`: before the closing tag it is framing."""
        body = text.rstrip()
        if body:
            self._say("arguments", "".join(self._read) + body)
            self._read = []
        if len(body) < len(text):
            self._read.append(text[len(body) :])

    def _take_pieces(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces


class _Malformed(Exception):
    pass


def _string(written: str) -> str:
    try:
        value = read_json(written)
    except ValueError as error:
        raise _Malformed(f"a string is not JSON ({error})") from error
    assert isinstance(value, str)
    return value
