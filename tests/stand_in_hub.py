"""A hub on the loopback: what huggingface_hub and modelscope_hub ask of theirs, from memory, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".gguf", "tokenizer.json")  # files whose sha256 the hub knows
PIECE = 2**14  # bytes that are sent at once
HELD = 20.0  # seconds for which a silent hub holds a request


def commit_of(revision: str) -> str:
    return hashlib.sha1(revision.encode()).hexdigest()


@dataclass
class Repo:
    """A model: its files by name, at every revision the same, and how it is closed."""

    files: dict[str, bytes]
    licence: str = "apache-2.0"
    revisions: tuple[str, ...] = ("main", "master", "v1")
    gated: bool = False
    private: bool = False


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class StandInHub:
    """Repositories by name, everything that was asked, and the faults that are to come."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    status: int | None = None
    """Answer everything with this."""
    breaks: list[int] = field(default_factory=list)
    """The next answers with weights end after so many bytes, one each."""
    wrong: set[str] = field(default_factory=set)
    """Files that come with another last byte."""
    ranges: bool = True
    pause: float = 0.0
    """Seconds after each 16 KiB of weights."""
    silent: bool = False
    """Say nothing, until released."""
    released: threading.Event = field(default_factory=threading.Event)
    page: bytes | None = None
    """Answer everything with a page, as a network that wants a sign-in."""

    def add(self, name: str, folder: Path, **options: Any) -> Repo:
        files = {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
        self.repos[name] = Repo(files, **options)
        return self.repos[name]

    def fetched(self, file: str) -> list[Asked]:
        """The requests for a file's content."""
        return [ask for ask in self.asked if ask.method == "GET" and ask.path.rstrip("/").endswith(file)]


@contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    hub = StandInHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()


def _handler(hub: StandInHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            url = urlsplit(self.path)
            path, query = unquote(url.path), {key: values[-1] for key, values in parse_qs(url.query).items()}
            shown = f"{path}/{query['FilePath']}" if "FilePath" in query else path
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            hub.asked.append(Asked(self.command, shown, self.headers.get("Range"), token))
            if hub.silent:
                hub.released.wait(HELD)
            if hub.page is not None:
                return self._send(200, hub.page, {"Content-Type": "text/html"})
            if hub.status is not None:
                return self._send(hub.status, b"{}", {})
            self._route(path, query, token)

        def _route(self, path: str, query: dict[str, str], token: str | None) -> None:
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
                if repo := self._open(found[1], found[2] or "main", token):
                    self._json(_described(found[1], repo, found[2] or "main"))
            elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                if repo := self._open(found[1], found[2], token, files=True):
                    self._file(repo, found[3], found[2])
            elif found := re.fullmatch(r"/openapi/v1/models/([^/]+/[^/]+)", path):
                if repo := self._open(found[1], "master", token):
                    data = {"id": found[1], "license": repo.licence, "private": repo.private}
                    self._json({"success": True, "data": data})
            elif found := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo/files", path):
                if repo := self._open(found[1], query.get("Revision", "master"), token):
                    self._json({"Code": 200, "Data": {"Files": _listed(repo)}})
            elif found := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo", path):
                if repo := self._open(found[1], query.get("Revision", "master"), token, files=True):
                    self._file(repo, query["FilePath"], query.get("Revision", "master"))
            else:
                self._send(404, b'{"error": "no such page"}', {})

        def _open(self, name: str, revision: str, token: str | None, files: bool = False) -> Repo | None:
            """The repository; None after an answer that says why not."""
            repo = hub.repos.get(name)
            if repo is None or (repo.private and not token):
                unknown = 404 if "/v1/" in self.path else 401  # one of the hubs tells nobody what it does not have
                self._send(unknown, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            elif revision not in repo.revisions and revision not in map(commit_of, repo.revisions):
                self._send(404, b'{"error": "Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
            elif repo.gated and files and not token:
                self._send(401, b'{"error": "Access is restricted"}', {"X-Error-Code": "GatedRepo"})
            else:
                return repo
            return None

        def _file(self, repo: Repo, name: str, revision: str) -> None:
            content = repo.files.get(name)
            if content is None:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            digest, size = _etag(name, content), len(content)
            if name in hub.wrong:
                content = content[:-1] + bytes([content[-1] ^ 1])
            commit = revision if len(revision) == 40 else commit_of(revision)
            headers = {"X-Repo-Commit": commit, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
            if name.endswith(LARGE):
                headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(size)}
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            status = 200
            if asked and hub.ranges:
                first, last = int(asked[1]), int(asked[2] or size - 1)
                if first >= size:
                    return self._send(416, b"", {"Content-Range": f"bytes */{size}"})
                content, status = content[first : last + 1], 206
                headers["Content-Range"] = f"bytes {first}-{last}/{size}"
            self._send(status, content, headers, hub.breaks if name.endswith(".safetensors") else [])

        def _json(self, value: Any) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _send(self, status: int, body: bytes, headers: dict[str, str], breaks: list[int] | None = None) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if breaks and len(body) > breaks[0]:
                self.wfile.write(body[: breaks.pop(0)])
                self.wfile.flush()
                time.sleep(0.05)  # what was sent arrives before the end does
                self.close_connection = True
                self.connection.close()
                return
            for first in range(0, len(body), PIECE):
                self.wfile.write(body[first : first + PIECE])
                if hub.pause and len(body) > PIECE:
                    hub.released.wait(hub.pause)

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (OSError, ValueError):  # the client left, or the connection was closed on purpose
                self.close_connection = True

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    return Handler


def _etag(name: str, content: bytes) -> str:
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _described(name: str, repo: Repo, revision: str) -> dict[str, Any]:
    siblings = []
    for file, content in repo.files.items():
        entry: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": _etag("x", content)}
        if file.endswith(LARGE):
            entry["lfs"] = {"sha256": _etag(file, content), "size": len(content), "pointerSize": 130}
        siblings.append(entry)
    return {
        "id": name,
        "modelId": name,
        "sha": revision if len(revision) == 40 else commit_of(revision),
        "private": repo.private,
        "gated": "auto" if repo.gated else False,
        "tags": [f"license:{repo.licence}"],
        "cardData": {"license": repo.licence},
        "siblings": siblings,
    }


def _listed(repo: Repo) -> list[dict[str, Any]]:
    return [
        {"Path": file, "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest(), "Type": "blob"}
        for file, content in repo.files.items()
    ]
