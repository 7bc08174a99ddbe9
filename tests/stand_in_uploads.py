"""A server on the loopback that takes models as the three hubs do, with faults on demand. In memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "a-token"
LARGE = (".safetensors", ".gguf")


@dataclass
class Hub:
    """What was sent, by the names of the repositories."""

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a repository was made with."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """Large files, by digest."""
    puts: list[str] = field(default_factory=list)
    """Digests or names of the large files that were sent, in order."""
    asked: list[str] = field(default_factory=list)
    commits: int = 0
    status: int | None = None
    """Answer everything with this."""
    read_only: bool = False
    """Let nobody write."""
    drop: int = 0
    """Break off so many large files."""
    refuse: str | None = None
    """Refuse every commit, in these words."""


@contextmanager
def stand_in_uploads() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._body())

        def do_PUT(self) -> None:
            if hub.drop and "/blob/" in self.path:
                hub.drop -= 1
                self.rfile.read(1)
                self.close_connection = True
                self.connection.close()
                return
            self._answer(self._body())

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                data = b""
                while length := int(self.rfile.readline().split(b";")[0], 16):
                    data += self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()
                return data
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, body: bytes) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            known = (self.headers.get("Authorization") or "").removeprefix("Bearer ") == TOKEN
            if hub.status is not None:
                return self._send({"error": "out of order"}, hub.status)
            if not known and "/blob/" not in path:
                return self._send({"error": "Invalid credentials"}, 401)
            if hub.read_only and self.command == "POST" and "Get" not in path:
                return self._send({"error": "You may not"}, 403)
            for pattern, answer in ROUTES.items():
                if found := re.fullmatch(pattern, path):
                    return answer(self, hub, found, body)
            self._send({"error": f"no page {path}"}, 404)

        def send(self, value: Any, status: int = 200) -> None:
            self._send(value, status)

        def _send(self, value: Any, status: int = 200) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            if status in (401, 404) and "/api/models/" in self.path:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (OSError, ValueError):
                self.close_connection = True

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    return Handler


# --- Hugging Face -------------------------------------------------------------------------------------------------


def _whoami(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    answer.send({"type": "user", "name": "me", "username": "me"})


def _create(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    asked = json.loads(body)
    name = f"{asked.get('organization') or 'me'}/{asked['name']}"
    if name in hub.repos:
        return answer.send({"error": "You already created this model repo", "url": f"{hub.url}/{name}"}, 409)
    hub.repos[name], hub.settings[name] = {}, asked
    answer.send({"url": f"{hub.url}/{name}", "name": name})


def _describe(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    if found[1] not in hub.repos:
        return answer.send({"error": "Repository not found"}, 404)
    answer.send({"id": found[1], "sha": "0" * 40, "siblings": [{"rfilename": n} for n in hub.repos[found[1]]]})


def _preupload(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    files = [
        {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(LARGE) else "regular", "shouldIgnore": False}
        for f in json.loads(body)["files"]
    ]
    answer.send({"files": files})


def _batch(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    """What is known is not wanted again."""
    objects = []
    for wanted in json.loads(body)["objects"]:
        entry = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in hub.blobs:
            entry["actions"] = {"upload": {"href": f"{hub.url}/blob/{wanted['oid']}"}}
        objects.append(entry)
    answer.send({"objects": objects, "Code": 200, "Data": {"objects": objects}})


def _blob(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    hub.puts.append(found[1])
    hub.blobs[found[1]] = body
    answer.send({})


def _validate(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    answer.send({"errors": [], "warnings": []})


def _commit(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    if hub.refuse:
        return answer.send({"error": hub.refuse}, 400)
    hub.commits += 1
    for line in body.splitlines():
        entry = json.loads(line)
        value = entry["value"]
        if entry["key"] == "file":
            hub.repos[found[1]][value["path"]] = base64.b64decode(value["content"])
        elif entry["key"] == "lfsFile":
            hub.repos[found[1]][value["path"]] = hub.blobs[value["oid"]]
    answer.send({"commitUrl": f"{hub.url}/{found[1]}/commit/{'1' * 40}", "commitOid": "1" * 40, "success": True})


# --- ModelScope ---------------------------------------------------------------------------------------------------


def _scope_user(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    answer.send({"success": True, "data": {"username": "me"}})


def _scope_model(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    if found[1] not in hub.repos:
        return answer.send({"success": False, "message": "not found"}, 404)
    answer.send({"success": True, "data": {"id": found[1]}})


def _scope_create(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    asked = json.loads(body)
    name = f"{asked['Path']}/{asked['Name']}"
    if name in hub.repos:
        return answer.send({"Code": 10010205002, "Message": "exists", "Success": False}, 400)
    hub.repos[name], hub.settings[name] = {}, asked
    answer.send({"Code": 200, "Data": {"Id": 1, "Name": asked["Name"], "Path": asked["Path"]}, "Success": True})


def _scope_commit(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    if hub.refuse:
        return answer.send({"Code": 400, "Message": hub.refuse, "Success": False}, 400)
    hub.commits += 1
    for action in json.loads(body)["actions"]:
        large = action["type"] == "lfs"
        content = hub.blobs[action["sha256"]] if large else base64.b64decode(action["content"])
        hub.repos[found[1]][action["path"]] = content
    answer.send({"Code": 200, "Data": {"oid": "1" * 40}, "Success": True})


# --- Kaggle -------------------------------------------------------------------------------------------------------


def _kaggle_get(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    asked = json.loads(body)
    name = f"{asked['ownerSlug']}/{asked.get('modelSlug', '')}"
    if not any(known == name or known.startswith(f"{name}/") for known in [*hub.repos, *hub.settings]):
        return answer.send({"code": 404, "message": "Not found"}, 404)
    if "instanceSlug" in asked and f"{name}/{asked['instanceSlug']}" not in hub.repos:
        return answer.send({"code": 404, "message": "Not found"}, 404)
    answer.send({"id": 1})


def _kaggle_model(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    asked = json.loads(body)
    hub.settings[f"{asked['ownerSlug']}/{asked['slug']}"] = asked
    answer.send({"id": 1})


def _kaggle_blob(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    name = json.loads(body)["name"]
    token = hashlib.sha256(f"{len(hub.puts)}{name}".encode()).hexdigest()
    hub.settings[token] = {"name": name}
    answer.send({"token": token, "createUrl": f"{hub.url}/blob/{token}"})


def _kaggle_instance(answer: Any, hub: Hub, found: re.Match[str], body: bytes) -> None:
    asked = json.loads(body)
    inner = asked["body"]
    name = f"{asked['ownerSlug']}/{asked['modelSlug']}/{inner.get('instanceSlug') or asked.get('instanceSlug')}"
    if found[1] == "CreateModelInstance" and name in hub.repos:
        return answer.send({"error": "taken", "errorCode": 409})
    hub.commits += 1
    hub.settings[name] = inner
    files = [*inner["files"], *(file for folder in inner.get("directories", []) for file in folder.get("files", []))]
    hub.repos[name] = {hub.settings[file["token"]]["name"]: hub.blobs[file["token"]] for file in files}
    answer.send({"id": 1})


ROUTES = {
    r"/api/whoami-v2": _whoami,
    r"/api/repos/create": _create,
    r"/api/models/([^/]+/[^/]+)": _describe,
    r"/api/models/([^/]+/[^/]+)/preupload/main": _preupload,
    r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch": _batch,
    r"/blob/([0-9a-f]{64})": _blob,
    r"/api/validate-yaml": _validate,
    r"/api/models/([^/]+/[^/]+)/commit/main": _commit,
    r"/openapi/v1/users/me": _scope_user,
    r"/openapi/v1/models/([^/]+/[^/]+)": _scope_model,
    r"/api/v1/models": _scope_create,
    r"/api/v1/repos/models/([^/]+/[^/]+)/info/lfs/objects/batch": _batch,
    r"/api/v1/repos/models/([^/]+/[^/]+)/commit/master": _scope_commit,
    r"/api/v1/models.ModelApiService/(GetModel|GetModelInstance)": _kaggle_get,
    r"/api/v1/models.ModelApiService/CreateModel": _kaggle_model,
    r"/api/v1/models.ModelApiService/(CreateModelInstance|CreateModelInstanceVersion)": _kaggle_instance,
    r"/api/v1/blobs.BlobApiService/StartBlobUpload": _kaggle_blob,
}
