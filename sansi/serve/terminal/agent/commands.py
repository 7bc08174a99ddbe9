"""The commands of `sansi agent`. No torch."""

from __future__ import annotations

from sansi.agents.approvals import MODES
from sansi.serve.terminal.commands import Command

COMMANDS = (
    Command("/mode", " | ".join(MODES), "who decides on calls; Shift-Tab goes to the next one", MODES),
    Command("/tools", "", "what the model may call, and where it comes from"),
    Command("/servers", "", "the MCP servers, and why one is not ready"),
    Command("/restart", "SERVER", "start an MCP server again"),
    Command("/resources", "", "what the servers offer to read; @SERVER:ADDRESS in a message takes one in"),
    Command("/prompts", "", "prompts of the servers"),
    Command("/prompt", "SERVER/NAME [KEY=VALUE …]", "ask with a prompt of a server"),
    Command("/result", "[N]", "a result whole, the last one if no number is given"),
    Command("/thoughts", "on | off", "show thoughts whole, or folded", ("on", "off")),
    Command(
        "/budget", "N | off", "most tokens of thought for one answer, over all its steps", ("off", "64", "512", "4096")
    ),
    Command("/calls", "N", "most calls of tools for one answer", ("8", "16", "64")),
    Command("/approvals", "[forget N]", "what was approved for always; forget N: it asks again", ("forget",)),
    Command("/trust", "[FILE]", "files that hold text of strangers; FILE: take it as yours", takes_file=True),
    Command("/attach", "FILE", "a copy for the model's code; the next message tells of it", takes_file=True),
    Command("/retry", "", "answer the last message again; also /r"),
    Command("/continue", "", "go on where the last answer was stopped"),
    Command("/new", "", "a new session; settings stay"),
    Command("/sessions", "", "those that are kept"),
    Command("/resume", "SESSION | last", "go on with another session", ("last",)),
    Command("/fork", "", "go on in a copy; this session stays as it is"),
    Command("/export", "FILE", "as .md or .html to read, .json or .jsonl with every event", takes_file=True),
    Command("/show", "", "the conversation so far"),
    Command("/help", "", "this list"),
    Command("/exit", "", "leave; also /quit and Ctrl-D"),
)
NAMES = {command.name: command for command in COMMANDS}
ALIASES = {"/r": "/retry", "/quit": "/exit", "/q": "/exit", "/?": "/help", "/mcp": "/servers"}
