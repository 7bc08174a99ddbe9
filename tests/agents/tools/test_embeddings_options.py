"""`--embeddings-url`: retrieval searches by meaning, and what is wrong with the server is told at the start."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sansi.agents.context import ToolContext
from sansi.agents.toolset import Toolset
from sansi.base.errors import SansiError
from sansi.cli.embeddings import embeddings_of

ANIMALS = ("cat", "kitten", "pet")


class Server(BaseHTTPRequestHandler):
    """Texts about animals lie in one direction, all others in another."""

    models, embeds = [{"id": "small"}], True

    def do_GET(self):
        self._answer(200, {"data": self.models})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.headers["Authorization"], asked["model"], asked["input"]))
        if not self.embeds:
            return self._answer(404, {"error": {"message": "no embeddings here"}})
        vectors = [
            [1.0, 0.0] if any(word in text.lower() for word in ANIMALS) else [0.0, 1.0] for text in asked["input"]
        ]
        self._answer(200, {"data": [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]})

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        http.asked, http.url = [], f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http
        http.shutdown()


def searched(tools):
    return asyncio.run(tools.all()[0].run({"query": "pet", "count": 1}, ToolContext())).text


def test_retrieval_finds_by_meaning(server, tmp_path, monkeypatch):
    monkeypatch.setenv("VECTOR_KEY", "secret")
    (tmp_path / "a.txt").write_text("The kitten sleeps all day.")
    (tmp_path / "b.txt").write_text("Rivers carry stones.")
    embeddings = embeddings_of(server.url, None, "VECTOR_KEY")
    assert (embeddings.model, embeddings.url) == ("small", f"{server.url}/v1")
    with Toolset(["retrieval"], folder=tmp_path, embeddings=embeddings) as tools:
        told = searched(tools)
    assert "kitten" in told and {key for key, _, _ in server.asked} == {"Bearer secret"}
    with Toolset(["retrieval"], folder=tmp_path) as tools:
        assert "kitten" not in searched(tools)


def test_what_is_wrong_with_the_server_is_told_at_the_start(server, monkeypatch):
    with pytest.raises(SansiError, match="give --embeddings-url"):
        embeddings_of(None, "small", None)
    with pytest.raises(SansiError, match="--embeddings-key-env NOWHERE"):
        embeddings_of(server.url, None, "NOWHERE")
    with pytest.raises(SansiError, match=r"127\.0\.0\.1:9"):
        embeddings_of("http://127.0.0.1:9", "small", None)
    monkeypatch.setattr(Server, "embeds", False)
    with pytest.raises(SansiError, match=r"answered 404: .*no embeddings here"):
        embeddings_of(server.url, "small", None)
    monkeypatch.setattr(Server, "models", [])
    with pytest.raises(SansiError, match="give one with --embeddings-model"):
        embeddings_of(server.url, None, None)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["agent", "--tools", "calculator", "--embeddings-url", "URL", "-p", "x"], "retrieval, which is not among"),
        (["agent", "--tools", "retrieval", "--embeddings-model", "small", "-p", "x"], "give --embeddings-url"),
        (["serve", "--port", "0", "--embeddings-url", "URL"], "give --tools retrieval"),
        (["serve", "--port", "0", "--tools", "calculator", "--embeddings-url", "URL"], "retrieval, which is not among"),
    ],
)
def test_options_that_would_be_ignored_are_refused(sansi, server, command, told):
    done = sansi(*[server.url if word == "URL" else word for word in command])
    assert done.code == 2 and told in done.err, done.err
