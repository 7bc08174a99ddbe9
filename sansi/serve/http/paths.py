"""The paths that clients ask by: other spellings of those that the routes have, and what there is nothing at."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from sansi.base.errors import nearest

VERSION = "/v1"
# A base URL without /v1 is a frequent mistake, and other servers answer there too.
UNVERSIONED = re.compile(r"/(?:chat/completions|completions|responses|embeddings|models(?:/.+)?)")
SLASHES = re.compile("/{2,}")
PROBES = ("/health", "/healthz", "/ping", f"{VERSION}/health")
NO_EMBEDDINGS = "chat models make no embeddings; give your program the address of a server with an embedding model"
ONLY_TEXT = "text is all that is read and written here"
NOT_HERE = {
    f"{VERSION}/embeddings": NO_EMBEDDINGS,
    "/embeddings": NO_EMBEDDINGS,
    "/api/embed": NO_EMBEDDINGS,
    "/api/embeddings": NO_EMBEDDINGS,
    f"{VERSION}/rerank": "chat models rank nothing; ask a server of a reranking model",
    f"{VERSION}/score": "chat models score no pairs; /v1/completions with echo and logprobs scores texts",
    f"{VERSION}/moderations": "ask a model of your own to judge, by /v1/chat/completions",
    f"{VERSION}/audio": ONLY_TEXT,
    f"{VERSION}/images": ONLY_TEXT,
    f"{VERSION}/files": "nothing is stored; post a file to /v1/documents for its text, and send that in a message",
    f"{VERSION}/batches": "nothing is stored; `sansi run --jsonl FILE` answers a batch file",
    f"{VERSION}/fine_tuning": "the server trains nothing; see `sansi --help`",
    f"{VERSION}/responses": "no response is stored; post the whole conversation to /v1/responses",
    f"{VERSION}/conversations": "nothing is stored; post the whole conversation to /v1/responses",
    f"{VERSION}/messages/batches": "nothing is stored; `sansi run --jsonl FILE` answers a batch file",
    f"{VERSION}/assistants": "nothing is stored; send the conversation to /v1/chat/completions",
    f"{VERSION}/threads": "nothing is stored; send the conversation to /v1/chat/completions",
    "/completion": "post to /v1/completions",
    "/generate": "post to /v1/completions",
    "/infill": "write the text with its control tokens, and post it to /v1/completions",
    "/props": "GET /v1/models tells what is served",
    "/slots": "GET /metrics tells what runs",
}


class Paths:
    """Passes requests on by the path that the routes know."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = known_path(scope["path"])
            if path != scope["path"]:
                scope["path"], scope["raw_path"] = path, path.encode()
        await self._app(scope, receive, send)


def known_path(path: str) -> str:
    """The path without a slash at its end, doubled slashes, a version that stands twice; with one that is missing."""
    if "//" in path:
        path = SLASHES.sub("/", path)
    if len(path) > 1 and path[-1] == "/":
        path = path[:-1]
    if path.startswith(VERSION + VERSION + "/"):
        path = path[len(VERSION) :]
    return VERSION + path if UNVERSIONED.fullmatch(path) else path


def nothing_at(path: str, known: Collection[str]) -> str:
    """What to say of a path without a route."""
    parts = path.split("/")
    ways = ("/".join(parts[:end]) for end in range(len(parts), 1, -1))
    reason = next((NOT_HERE[way] for way in ways if way in NOT_HERE), None)
    if reason is None and (near := nearest(path, known)):
        reason = f'did you mean "{near}"?'
    return f"there is nothing at {path[:200]}" + (f": {reason}" if reason else "")
