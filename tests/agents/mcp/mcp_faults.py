"""The faults that a client must survive: what is asked of each server, and which cause must be named."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fault:
    """One faulty server. `good` is a text that its echo gives back before and after, where it can."""

    word: str
    about: str
    phase: str
    """Where it shows: "start", "list", "call", or "" for what must simply work."""
    cause: str
    """Words that the error, or for what works a note of the status, must hold; "" for none."""
    good: str | None = "good"
    text: str = "x"
    http: bool = False
    times: dict = field(default_factory=dict)
    """Of the server's configuration."""
    limits: dict = field(default_factory=dict)
    """Of the bad call alone, so that the good ones before and after may take their time."""
    survives: bool = True
    """Whether `good` works again after the fault."""

    @property
    def command(self):
        return [sys.executable, "-I", "-S", str(HERE / "mcp_faulty.py"), self.word]


START, CALL = {"start_timeout": 0.4}, {"silence": 0.4}
PATIENT = {"start_timeout": 300.0, "list_timeout": 300.0}
"""Of servers whose deadlines are not the subject: a busy machine may take its time."""
FAULTS = [
    Fault("silent", "never says a word", "start", "no answer within 0.4 s", good=None, times=START),
    Fault("slow_start", "needs 0.7 s to start", "", ""),
    Fault("ignores_the_unknown", "answers the handshake alone", "", ""),
    Fault("banner", "prints a banner and debug lines on stdout", "", "no JSON-RPC"),
    Fault("bad_byte", "bytes that are no UTF-8", "", "", text="BYTE"),
    Fault("huge_line", "a message of 64 MiB", "call", "64.0 MiB", good="small"),
    Fault("dies_at_start", "exits before it answers", "start", "code 3", good=None),
    Fault("dies_in_call", "is killed in a call", "call", "SIGKILL", good="alive"),
    Fault("bad_schema", "one bad schema among 301 tools", "", "broken"),
    Fault("nameless", "tools without a name, and what are no tools", "", "number 2"),
    Fault("name_clash", "two tools of one name", "", "two tools of this name"),
    Fault("orphan", "starts a process that outlives it", "", ""),
    Fault("stays", "does not end when it is asked to", "", ""),
    Fault("rug_pull", "changes a tool after its first call", "call", "changed its definition", survives=False),
    Fault(
        "endless_progress",
        "tells progress for ever",
        "call",
        "for 0.4 s",
        "quick",
        limits={"limit": 0.4},
        survives=False,
    ),
    Fault("hangs_in_call", "never answers a call", "call", "no answer within 0.4 s", good="cancelled?", limits=CALL),
    Fault("floods_stderr", "50 MB a second on stderr", "", ""),
    Fault("floods_stdout", "20,000 lines of garbage in a call", "", "no JSON-RPC"),
    Fault("lies", "results that do not fit its schema", "call", "does not fit the schema", good=None),
    Fault("wrong_ids", "answers requests that nobody made", "call", "never made", good=None, limits=CALL),
    Fault("duplicate_replies", "answers thrice", "", "more than once"),
    Fault("endless_list", "a list whose pages go in a circle", "", "does not end"),
    Fault("endless_new_tools", "a list with new tools for ever", "", "does not end"),
    Fault(
        "deaf",
        "reads nothing more after its tools are listed",
        "call",
        "no answer within 0.4 s",
        good=None,
        limits=CALL,
    ),
    Fault("mute", "closes its stdout and lives on", "call", "closed its stdout", good=None),
    Fault("strange_content", "content of a type that does not exist", "", ""),
    Fault("error_without_id", "errors that name no request", "call", "cannot read you", good=None, limits=CALL),
    Fault("forgets", "its session is gone (HTTP 404)", "", "", http=True),
    Fault("unauthorised", "wants a token (HTTP 401)", "start", "HTTP 401", good=None, http=True),
    Fault("bad_gateway", "HTTP 502 in a call", "call", "HTTP 502", text="fail", http=True),
    Fault(
        "hangs",
        "takes requests over HTTP and never answers",
        "start",
        "within 0.4 s",
        good=None,
        http=True,
        times=START,
    ),
    Fault("breaks_off", "ends the connection within an answer", "call", "broke off", good="whole", http=True),
    Fault("huge_body", "a body of 64 MiB", "call", "over 48 MiB", good="small", http=True),
    Fault("not_mcp", "some web page", "start", "no MCP", good=None, http=True),
    Fault("old_sse", "speaks SSE alone, under a plain url", "", "", http=True),
]
