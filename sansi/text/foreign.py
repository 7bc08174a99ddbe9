"""Chats for models that are not ours: the checkpoint's own Jinja template, bounded, and encoded so that what people
wrote stays text.

A template is a program from a stranger. It runs in jinja2's sandbox, in a process of its own (`foreign_worker`), with
limits on time, memory and output. Its result is one text, in which a "<|im_end|>" of the template and one that a user
wrote look the same. To tell them apart, the characters at the ends of control strings are replaced by private ones
before rendering, first in the input; if that changes what the template does, because it looks for such strings in its
input, in the literals that the template writes. See docs/codec.md for what this can and cannot keep.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import read_json
from sansi.base.shown import show
from sansi.text.messages import Message, message_to_dict
from sansi.text.mode import check_flag
from sansi.text.tokenizer import CONTROL_TEXT, Tokenizer

# The role is the one word of a message that templates write into their markup, so it is not free text.
FOREIGN_ROLES = (
    *("system", "developer", "user", "assistant", "tool", "function", "ipython", "observation", "document", "context"),
)
_WORKER = Path(__file__).with_name("foreign_worker.py")
_START_SECONDS = 60.0
_TESTS_ARGUMENTS = re.compile(r"arguments\s+is\s+(?:not\s+)?(?:string|mapping)")
_PRIVATE = range(0xE000, 0xF900)


@dataclass(frozen=True)
class TemplateLimits:
    """What a foreign template may use."""

    seconds: float = 5.0
    """Wall-clock time of one rendering."""
    memory_mb: int = 256
    """Address space of its process, Python and jinja2 (about 30 MB) included."""
    output_chars: int = 4_000_000
    """Length of what it writes."""
    template_chars: int = 400_000
    """Length of the template itself."""


@dataclass(frozen=True)
class ForeignPrompt:
    """A conversation as a foreign template writes it."""

    text: str
    ids: list[int]
    thought_open: bool
    """The generation prompt opened a thought."""
    exact: bool
    """False if the text differs from what the template alone writes, because it treats control strings in its input
    as markup and could not be kept from doing so otherwise; they stand in the text as they were given."""


class ForeignTemplate:
    """The chat templates of one checkpoint, and its tokenizer. Its process starts with the first rendering."""

    def __init__(
        self,
        templates: str | Mapping[str, str],
        tokenizer: Tokenizer,
        special_tokens: Mapping[str, str] | None = None,
        limits: TemplateLimits | None = None,
    ):
        """templates: one, or several by name: "default", "tool_use" (taken if tools are given), others on request.

        special_tokens: what templates know as `bos_token`, `eos_token` and so on.
        """
        self.templates = {"default": templates} if isinstance(templates, str) else dict(templates)
        self.tokenizer = tokenizer
        self.limits = limits or TemplateLimits()
        self._special = dict(special_tokens or {})
        self._worker = _Worker(self.limits)
        for name, template in self.templates.items():
            if len(template) > self.limits.template_chars:
                raise _error(f"the template {name!r} has {len(template)} characters; {self.limits.template_chars} may")

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, limits: TemplateLimits | None = None, tokenizer: Tokenizer | None = None
    ) -> ForeignTemplate:
        """Load chat_template.jinja, chat_template.json or the chat_template of tokenizer_config.json, the first found.

        tokenizer: that of the folder, for who has loaded it. Raises SansiError if a file is damaged, and with the code
        "no_chat_template" if there is none.
        """
        folder = Path(folder)
        config = _config_in(folder)
        special = {key: _token_text(value) for key, value in config.items() if key.endswith("_token")}
        return cls(
            _find_templates(folder, config),
            tokenizer or Tokenizer.from_pretrained(folder),
            {key: text for key, text in special.items() if text is not None},
            limits,
        )

    def render(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        template: str | None = None,
        **variables: Any,
    ) -> ForeignPrompt:
        """Render a conversation. `variables` are the template's own switches, such as `enable_thinking`.

        template: the name of one of `templates`; without it "tool_use" if tools are given, else "default".
        Raises SansiError for wrong messages, for an error in the template (with its line), and at each limit.
        """
        check_flag("add_generation_prompt", add_generation_prompt)
        source = self._choose(template, tools)
        chat = _read_chat(messages, as_objects=not _TESTS_ARGUMENTS.search(source))
        given = {"messages": chat, "tools": tools, **variables, "add_generation_prompt": add_generation_prompt}
        given = _plain_json(given)
        marked, marks, exact = self._provenance(source, given)
        pieces = list(self._pieces(marked, marks))
        text = "".join(piece for piece, _ in pieces)
        opened = add_generation_prompt and text.rstrip().endswith(CONTROL_TEXT["think"])
        return ForeignPrompt(text, self._encode(pieces), opened, exact)

    def close(self) -> None:
        """End the process, and with an error what it renders. The next rendering starts another."""
        self._worker.close()

    def _choose(self, name: str | None, tools: object) -> str:
        if name is None:
            name = "tool_use" if tools is not None and "tool_use" in self.templates else "default"
        if name not in self.templates:
            raise _error(f"no template {name!r}{did_you_mean(name, self.templates)}", param="template")
        return self.templates[name]

    def _provenance(self, source: str, given: dict[str, Any]) -> tuple[str, _Marks, bool]:
        """The rendering, marked so that it shows who wrote its control strings, and whether it is what Jinja writes."""
        since = self._worker.closed
        alone = self._worker.render(source, {**self._special, **given}, since=since)
        strings = list(_strings(given))
        if self._ends.isdisjoint("".join(strings)):
            return alone, _Marks(), True
        marks = _Marks.choose(self._ends, [source, alone, *strings])
        opaque = self._worker.render(source, {**self._special, **_translate(given, marks.table)}, since=since)
        if marks.undo(opaque) == alone:
            return opaque, marks, True
        written = _Marks(marks.pairs, on_template=True)
        special = _translate(self._special, marks.table)
        text = self._worker.render(source, {**special, **given}, written.pairs, since=since)
        if written.undo(text) == alone:
            return text, written, True
        return opaque, marks, False

    def _pieces(self, marked: str, marks: _Marks) -> Iterator[tuple[str, bool]]:
        """(text, is markup), less the marks."""
        pattern = re.compile("|".join(map(marks.pattern, self._control))) if marks.on_template else self._literal
        at = 0
        for found in pattern.finditer(marked) if self._control else ():
            yield marks.undo(marked[at : found.start()]), False
            yield marks.undo(found[0]), True
            at = found.end()
        yield marks.undo(marked[at:]), False

    def _encode(self, pieces: Sequence[tuple[str, bool]]) -> list[int]:
        """One call of the library, so that its rules about neighbours of added tokens hold. It knows control tokens
        under random names only, which no text can hold."""
        library, names, back = self._library
        text = "".join(names[piece] if markup else piece for piece, markup in pieces)
        ids = library.encode(text, add_special_tokens=False).ids
        control = set(self._control.values())
        for token in ids:
            if token in control and token not in back:
                piece = self.tokenizer.decode([token])
                raise _error(f"this vocabulary reads {piece!r} in plain text as markup; remove it", param="messages")
        return [back.get(token, token) for token in ids]

    @cached_property
    def _control(self) -> dict[str, int]:
        """Added tokens, longest first as the library matches them, less those that stand for words or white space."""
        added = [token for token in self.tokenizer.added_tokens if token.get("special") or not _is_word(token)]
        return {t["content"]: t["id"] for t in sorted(added, key=lambda t: (-len(t["content"]), t["id"]))}

    @cached_property
    def _literal(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._control)))

    @cached_property
    def _ends(self) -> set[str]:
        """The first and last characters of control strings: text without them can neither begin nor end one."""
        return {text[at] for text in self._control for at in (0, -1)}

    @cached_property
    def _library(self) -> tuple[tokenizers.Tokenizer, dict[str, str], dict[int, int]]:
        """A tokenizer whose control tokens have random names, these names, and its ids of added tokens to ours."""
        library = self.tokenizer.library_copy()
        pieces = library.get_vocab(with_added_tokens=False)
        holes = max(pieces.values(), default=-1) + 1 - len(pieces)
        library.add_tokens([_random_name() for _ in range(holes)])  # ids are given out from the number of pieces on
        entries = {token["content"]: token for token in self.tokenizer.added_tokens}
        names: dict[str, str] = {text: _random_name() if text in self._control else text for text in entries}
        library.add_tokens([_renamed(entries[text], name) for text, name in names.items()])
        back: dict[int, int] = {library.token_to_id(name): entries[text]["id"] for text, name in names.items()}  # type: ignore[misc]
        return library, names, back


@dataclass(frozen=True)
class _Marks:
    """Private characters that stand for others in everything that one side wrote: the input, or the template."""

    pairs: tuple[tuple[str, str], ...] = ()
    on_template: bool = False

    @staticmethod
    def choose(ends: set[str], texts: Sequence[str]) -> _Marks:
        """Private characters that none of the texts holds."""
        used = set().union(*texts)
        free = (chr(code) for code in _PRIVATE if chr(code) not in used)
        pairs = tuple(zip(sorted(ends), free, strict=False))
        if len(pairs) < len(ends):
            raise _error("the messages hold nearly all private characters of Unicode; remove them", param="messages")
        return _Marks(pairs)

    @cached_property
    def table(self) -> dict[int, str]:
        return {ord(char): private for char, private in self.pairs}

    def undo(self, text: str) -> str:
        return text.translate({ord(private): char for char, private in self.pairs})

    def pattern(self, control: str) -> str:
        """How `control` stands in the text of a marked template. What comes between its ends may be anybody's."""
        ends = {0, len(control) - 1}
        chars = []
        for at, char in enumerate(control):
            marked = self.table.get(ord(char), char)
            chars.append(re.escape(marked) if at in ends else f"[{re.escape(marked)}{re.escape(char)}]")
        return "".join(chars)


class _Worker:
    """The process that renders: started when it is first needed, kept, killed and replaced when it takes too long."""

    def __init__(self, limits: TemplateLimits):
        self._limits = limits
        self.closed = 0
        """How often it was closed: a rendering that began before the last time is not carried on."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def render(
        self, template: str, variables: Mapping[str, Any], marks: Sequence[tuple[str, str]] = (), *, since: int
    ) -> str:
        """`since`: `closed` when the caller began."""
        request: dict[str, Any] = {"template": template, "variables": variables, "marks": marks}
        request |= {"output_chars": self._limits.output_chars, "seconds": self._limits.seconds}
        line = json.dumps(request).encode() + b"\n"
        if self._owner != os.getpid():  # a fork: the parent's lock may be held by a thread that is not here
            self._lock, self._process, self._owner = threading.Lock(), None, os.getpid()
        with self._lock:
            # A process may have been ended from outside between two renderings: that is no fault of the template.
            reply = self._ask(line, since) or self._ask(line, since)
        if self.closed != since:
            raise SansiError("the template was closed while it rendered; render again")
        if not reply:
            raise _error("its process ended; it may have needed more memory than it may have")
        answer = json.loads(reply)
        if "text" not in answer:
            where = f", line {answer['line']}" if answer["line"] else ""
            raise SansiError(f"chat_template{where}: {answer['error']}", param="chat_template")
        return answer["text"]

    def close(self) -> None:
        self.closed += 1
        self.stop()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _ask(self, line: bytes, since: int) -> bytes:
        """The reply, or nothing if the process died or was closed. Raises SansiError when the time is up."""
        if self.closed != since:
            return b""
        process = self._process or self._start()
        self._process = process
        if self.closed != since:  # while it started
            self.stop()
            return b""
        try:
            reply, in_time = _talk(process, line, self._limits.seconds, self._limits.output_chars * 12 + 10_000)
        except BaseException:  # Ctrl-C while it renders: its reply must not answer the next question
            self.stop()
            raise
        if not reply.endswith(b"\n"):
            self.stop()
            if not in_time:
                raise _error(f"it takes longer than {self._limits.seconds:g} s")
            return b""
        return reply

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", str(_WORKER), str(self._limits.memory_mb * 2**20)]
        kept = ("PATH", "PYTHONPATH", "PYTHONHOME", "TZ", "LANG", "LC_ALL", "SYSTEMROOT")
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={key: os.environ[key] for key in kept if key in os.environ},
            start_new_session=True,  # Ctrl-C in a terminal is meant for the parent
        )
        weakref.finalize(self, _end, process)
        reply, _ = _talk(process, b"", _START_SECONDS, 100)
        if reply != b"ready\n":
            _end(process)
            raise _error("its process does not start; TemplateLimits.memory_mb may be too small")
        return process


def _talk(process: subprocess.Popen[bytes], line: bytes, seconds: float, longest: int) -> tuple[bytes, bool]:
    """(reply, in time). After `seconds` the process is killed, which ends the wait on every system."""
    assert process.stdin is not None and process.stdout is not None
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    clock = threading.Timer(seconds, kill)
    clock.daemon = True
    clock.start()
    try:
        process.stdin.write(line)
        process.stdin.flush()
        return process.stdout.readline(longest), not late.is_set()
    except (OSError, ValueError):  # it died, or its pipes were closed
        return b"", not late.is_set()
    finally:
        clock.cancel()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what was not yet written is lost with its reader
                continue


def templates_in(folder: str | Path) -> dict[str, str]:
    """The chat templates of a model folder by name. Raises SansiError as `ForeignTemplate.from_pretrained`."""
    return _find_templates(Path(folder), _config_in(Path(folder)))


def _config_in(folder: Path) -> Mapping[str, Any]:
    file = folder / "tokenizer_config.json"
    return _object(file, read_json(file)) if file.is_file() else {}


def _find_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    alone, other = folder / "chat_template.jinja", folder / "chat_template.json"
    found: Any = config.get("chat_template")
    if alone.is_file():
        named = sorted((folder / "additional_chat_templates").glob("*.jinja"))
        return {path.stem: _read(path) for path in named} | {"default": _read(alone)}
    if other.is_file():
        found = _object(other, read_json(other)).get("chat_template")
    if isinstance(found, list):
        found = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, Mapping)}
    templates = {"default": found} if isinstance(found, str) else found
    if not isinstance(templates, dict) or not templates:
        reason = "no chat_template in chat_template.jinja, chat_template.json or tokenizer_config.json"
        raise SansiError(f"chat_template: {folder}: {reason}", param="chat_template", code="no_chat_template")
    if not all(isinstance(text, str) for pair in templates.items() for text in pair):
        raise _error(f"{folder}: a chat_template is text, or a list of a name and a template each")
    return templates


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _error(f"{path}: not UTF-8 ({error}); the file is damaged, copy or download it again") from error


def _object(path: Path, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SansiError(f"{path}: must be a JSON object; the file is damaged, copy or download it again")
    return value


def _read_chat(messages: Any, as_objects: bool) -> list[dict[str, Any]]:
    """Messages as templates expect them. Raises SansiError that names the message."""
    if isinstance(messages, str | Mapping | Message) or not isinstance(messages, Sequence) or not messages:
        raise SansiError("messages must be a list of at least one message", param="messages")
    return [_read_message(message, f"messages[{i}]", as_objects) for i, message in enumerate(messages)]


def _read_message(message: Any, where: str, as_objects: bool) -> dict[str, Any]:
    if not isinstance(message, Message | Mapping):
        raise SansiError(f"{where} must be an object, not {show(message)}", param=where)
    out = message_to_dict(message) if isinstance(message, Message) else dict(message)
    if out.get("role") not in FOREIGN_ROLES:
        hint = did_you_mean(str(out.get("role")), FOREIGN_ROLES)
        raise SansiError(f"{where}.role is {show(out.get('role'))}{hint}", param=f"{where}.role")
    thought = next((out[key] for key in _REASONING if out.get(key) is not None), None)
    if thought is not None:  # templates differ in which of these they read
        out = {"thinking": thought, **out, "reasoning_content": thought}
    if as_objects and isinstance(out.get("tool_calls"), Sequence):
        out["tool_calls"] = [_with_objects(call) for call in out["tool_calls"]]
    return out


_REASONING = ("reasoning_content", "thinking", "reasoning")


def _with_objects(call: Any) -> Any:
    """Arguments as the object that their JSON text says: most templates write them with `tojson`."""
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get("function"), Mapping):
        return {**call, "function": _with_objects(call["function"])}
    try:
        value = json.loads(call["arguments"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return call
    return {**call, "arguments": value} if isinstance(value, dict) else call


def _plain_json(given: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False)
        text.encode()
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise SansiError(f"a template can only be given what JSON can say ({error})", param="messages") from error


def _translate(value: Any, table: dict[int, str], key: str = "") -> Any:
    """Every text in `value`, keys included; roles stay, since templates write them into their markup."""
    if isinstance(value, str):
        return value if key == "role" and value in FOREIGN_ROLES else value.translate(table)
    if isinstance(value, dict):
        return {name.translate(table): _translate(item, table, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_translate(item, table) for item in value]
    return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _token_text(value: Any) -> str | None:
    """A special token in tokenizer_config.json is its text, or an object with more about it."""
    text = value.get("content") if isinstance(value, Mapping) else value
    return text if isinstance(text, str) else None


def _is_word(token: Mapping[str, Any]) -> bool:
    return re.fullmatch(r"[\s\w▁]*", token["content"]) is not None


def _random_name() -> str:
    """A name for an added token that nobody can guess, and so nobody can write."""
    return "".join(chr(0xF0000 + secrets.randbelow(0xFFF0)) for _ in range(6))


def _renamed(entry: Mapping[str, Any], name: str) -> tokenizers.AddedToken:
    flags = {key: bool(entry.get(key)) for key in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    return tokenizers.AddedToken(name, **flags)


def _error(problem: str, param: str = "chat_template") -> SansiError:
    return SansiError(f"{param}: {problem}" if param == "chat_template" else problem, param=param)
