"""What happens in a run, as it happens: one frozen dataclass for each kind, which JSON can carry."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from sansi.agents.observation import Attachment, Observation, Status
from sansi.client.reply import AssistantReply, Usage
from sansi.text import Message, ToolCall, message_to_dict

NOT_IN_JSON = {"json": False}


@dataclass(frozen=True)
class _Event:
    """`kind` is the event's name in JSON."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The event as an object of JSON, with `kind`."""
        return {"kind": self.kind} | event_json(self)


@dataclass(frozen=True)
class StepStarted(_Event):
    """The model is asked: it reads `prompt_tokens` and may think for `thinking_budget` tokens (None: no bound)."""

    kind = "step"
    index: int
    prompt_tokens: int | None = None
    counted_by: str | None = None
    """"codec", "endpoint" or "estimate"; None: nobody counted."""
    context_length: int | None = None
    thinking_budget: int | None = None
    tools: tuple[str, ...] = ()
    """The names of the tools that are offered."""
    last: bool = False
    """None of them may be called any longer: the model is asked for its answer."""


@dataclass(frozen=True)
class ReasoningText(_Event):
    """More of a thought."""

    kind = "reasoning"
    text: str
    closing: bool = False
    """The phrase with which a limit closes the thought."""


@dataclass(frozen=True)
class ContentText(_Event):
    """More of an answer."""

    kind = "content"
    text: str


@dataclass(frozen=True)
class CallStarted(_Event):
    """The model begins to write a call; `index` is its place among the calls of the reply."""

    kind = "call_started"
    index: int
    id: str
    name: str


@dataclass(frozen=True)
class CallArguments(_Event):
    """More of a call's arguments."""

    kind = "call_arguments"
    index: int
    id: str
    text: str


@dataclass(frozen=True)
class ReplyDone(_Event):
    """The model's message is whole; its calls are answered next."""

    kind = "reply"
    message: Message
    finish_reason: str
    usage: Usage
    report: Mapping[str, Any] = field(default_factory=dict)
    prompt_ids: tuple[int, ...] | None = field(default=None, repr=False)
    ids: tuple[int, ...] | None = field(default=None, repr=False)
    """What the model read and wrote, where that is known."""

    @classmethod
    def of(cls, reply: AssistantReply, message: Message) -> ReplyDone:
        return cls(message, reply.finish_reason, reply.usage, reply.report, reply.prompt_ids, reply.message.ids)


@dataclass(frozen=True)
class CallReady(_Event):
    """A call is whole and its arguments are typed; it is about to be decided on, and run."""

    kind = "call_ready"
    id: str
    name: str
    arguments: Mapping[str, Any]
    origin: str
    shown: str
    """The call as a question for approval shows it."""


@dataclass(frozen=True)
class ApprovalAsked(_Event):
    """Somebody has to say whether a call is made."""

    kind = "approval_asked"
    id: str
    name: str
    arguments: Mapping[str, Any]
    shown: str
    origin: str
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ApprovalAnswered(_Event):
    """What was said to it, by whom, and why."""

    kind = "approval_answered"
    id: str
    name: str
    answer: str
    by: str = "user"
    """"user"; "policy": it was not asked about; "nobody": whoever was to be asked could not be."""
    reason: str = ""
    exact: bool = False
    """For these very arguments alone."""
    seen: bool = False
    """All of a call that the question showed in part had been shown."""


@dataclass(frozen=True)
class InputAsked(_Event):
    """In the middle of a call its tool, or the server behind it, asks the user for something; the call waits."""

    kind = "input_asked"
    id: str
    """Of the call."""
    name: str
    question: str
    """The id under which it is answered."""
    server: str
    message: str
    schema: dict[str, Any] | None = None
    """Of the form to fill in."""
    url: str | None = None
    """The page to visit, where there is no form."""


@dataclass(frozen=True)
class InputAnswered(_Event):
    """What was said to it; what a form was filled in with stays between the user and the server."""

    kind = "input_answered"
    id: str
    name: str
    question: str
    action: str


@dataclass(frozen=True)
class CallRunning(_Event):
    """The tool has been started."""

    kind = "call_running"
    id: str
    name: str


@dataclass(frozen=True)
class Progress(_Event):
    """A tool tells how far it is."""

    kind = "progress"
    id: str
    name: str
    text: str


@dataclass(frozen=True)
class ObservationMade(_Event):
    """A call has been answered. They come in the order in which they end; the model reads them in call order."""

    kind = "observation"
    id: str
    name: str
    text: str
    status: Status
    seconds: float
    attachments: tuple[Attachment, ...] = ()
    origin: str | None = None
    tainted: bool = False
    whole: str | None = None
    """The name under which `read_result` has the whole text, where the model is given head and tail."""
    ends_run: bool = False
    """No further reply is asked for."""

    @classmethod
    def of(cls, call: ToolCall, seen: Observation, seconds: float, whole: str | None = None) -> ObservationMade:
        said = seen.attachments, seen.origin, seen.tainted, whole, seen.ends_run
        return cls(call.id, call.name, seen.text, seen.status, seconds, *said)


NoticeAbout = Literal[
    "context_trimmed",
    "loop_told",
    "loop_stopped",
    "asked_again",
    "limit",
    "thinking_budget",
    "budget_exceeded",
    "result_cut",
    "answer_again",
    "approval",
    "input_declined",
]


@dataclass(frozen=True)
class Notice(_Event):
    """Something that the loop did by itself, in words for the user and in figures for programs."""

    kind = "notice"
    about: NoticeAbout
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MessageAdded(_Event):
    """A message has joined the conversation: a reply, a tool's result, or what the loop tells the model."""

    kind = "message"
    message: Message
    tainted: bool = False


@dataclass(frozen=True)
class Finished(_Event):
    """The run is over, or paused; nothing follows."""

    kind = "finished"
    status: Literal["finished", "paused", "cancelled", "failed"]
    stopped_reason: str
    answer: str
    usage: Usage
    report: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    run: Any = field(default=None, repr=False, compare=False, metadata=NOT_IN_JSON)
    """The `AgentRun`, for programs."""


AgentEvent: TypeAlias = (
    StepStarted
    | ReasoningText
    | ContentText
    | CallStarted
    | CallArguments
    | ReplyDone
    | CallReady
    | ApprovalAsked
    | ApprovalAnswered
    | InputAsked
    | InputAnswered
    | CallRunning
    | Progress
    | ObservationMade
    | Notice
    | MessageAdded
    | Finished
)


def event_json(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):  # first: a reply has thousands of ids
        return value
    if isinstance(value, Message):
        return message_to_json(value)
    if isinstance(value, Attachment):
        data = base64.b64encode(value.data).decode("ascii")
        return {"name": value.name, "media_type": value.media_type, "size": len(value.data), "base64": data}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [f.name for f in dataclasses.fields(value) if f.metadata.get("json", True)]
        return {name: event_json(getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        return {str(key): event_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [event_json(item) for item in value]
    return str(value)


def message_to_json(message: Message) -> dict[str, Any]:
    """OpenAI's shape, with what a run needs to go on: why a call must not run, and the ids that were written."""
    found = message_to_dict(message)
    errors = {call.id: call.error for call in message.tool_calls if call.error is not None}
    if errors:
        found["call_errors"] = errors
    for name in ("ids", "prefill"):
        if getattr(message, name) is not None:
            found[name] = list(getattr(message, name))
    if message.origin is not None:
        found["origin"] = message.origin
    if message.tainted:
        found["tainted"] = True
    return found
