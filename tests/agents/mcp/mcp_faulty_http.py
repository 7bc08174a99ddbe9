"""MCP servers over HTTP that misbehave: `with serving("word") as server: server.url`; alone, it prints its address."""

import http.server
import json
import sys
import threading
import time
from contextlib import contextmanager

ECHO = {
    "name": "echo",
    "description": "Say it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    "annotations": {"readOnlyHint": True},
}


class Sound(http.server.BaseHTTPRequestHandler):
    """A sound server of the handshake era with sessions; the faults change a method each."""

    protocol_version = "HTTP/1.1"
    state: dict  # of the one server, set by `Serving`

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.respond(405)

    def do_DELETE(self):
        self.respond(204)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.state["over"].is_set():  # a connection that was kept, to a server that has ended
            self.close_connection = True
        else:
            self.message(message)

    def message(self, message):
        method, request_id = message.get("method"), message.get("id")
        if request_id is None:
            return self.respond(202)
        if method == "initialize":
            count = self.state["sessions"] = self.state.get("sessions", 0) + 1
            info = {"name": "http", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
            return self.result(request_id, result, {"mcp-session-id": f"session-{count}"})
        if method == "tools/list":
            return self.result(request_id, {"tools": [ECHO]})
        if method == "tools/call":
            return self.call(request_id, message["params"])
        error = {"code": -32601, "message": f"no method {method}"}
        return self.respond(200, {"jsonrpc": "2.0", "id": request_id, "error": error})

    def call(self, request_id, params):
        self.result(request_id, {"content": [{"type": "text", "text": params["arguments"].get("text", "")}]})

    def result(self, request_id, result, headers=()):
        self.respond(200, {"jsonrpc": "2.0", "id": request_id, "result": result}, headers)

    def respond(self, status, body=None, headers=()):
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **dict(headers)}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Forgets(Sound):
    """Its sessions are gone at the first call, as after a restart."""

    def call(self, request_id, params):
        if self.headers["mcp-session-id"] == "session-1":
            error = {"code": -32600, "message": "Session not found"}
            return self.respond(404, {"jsonrpc": "2.0", "id": "server-error", "error": error})
        return super().call(request_id, params)


class Unauthorised(Sound):
    def do_POST(self):
        self.respond(401)


class TellsWhatItWasSent(Sound):
    """Refuses whoever asks, and quotes the request."""

    def do_POST(self):
        said = f"who is {self.headers['authorization']} at {self.path}?"
        self.respond(401, {"error": {"message": said}})


class BadGateway(Sound):
    """Fails in calls, with a page of HTML as proxies do."""

    def call(self, request_id, params):
        if params["arguments"].get("text") == "fail":
            return self.respond(502)
        return super().call(request_id, params)


class Hangs(Sound):
    """Takes requests and never answers."""

    def do_POST(self):
        while not self.state["over"].wait(1):
            pass

    do_GET = do_POST


class BreaksOff(Sound):
    """Ends the connection in the middle of an answer."""

    def call(self, request_id, params):
        if params["arguments"].get("text") == "whole":
            return super().call(request_id, params)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b'{"jsonrpc": "2.0", ')
        self.wfile.flush()
        self.close_connection = True


class HugeBody(Sound):
    def call(self, request_id, params):
        if params["arguments"].get("text") == "small":
            return super().call(request_id, params)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(64 * 2**20))
        self.end_headers()
        try:
            for _ in range(64):
                self.wfile.write(b"x" * 2**20)
        except OSError:
            self.close_connection = True


class NotMCP(Sound):
    """Some web page."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.respond(200, headers={"content-type": "text/html"})

    do_GET = do_DELETE = lambda self: self.respond(200, headers={"content-type": "text/html"})


class OldSSE(Sound):
    """A server of 2024-11-05: a stream of events by GET names the address for POST."""

    endpoint = "/messages"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        self.state["stream"] = self.wfile
        self.wfile.write(f"event: endpoint\ndata: {self.endpoint}\n\nevent: message\ndata: hello\n\n".encode())
        self.wfile.flush()
        self.state["over"].wait()

    def do_POST(self):
        if self.path != "/messages":
            return self.respond(405)
        return super().do_POST()

    def respond(self, status, body=None, headers=()):
        if body is not None and self.path == "/messages":
            self.state["stream"].write(b"event: message\ndata: " + json.dumps(body).encode() + b"\n\n")
            self.state["stream"].flush()
            status, body = 202, None
        super().respond(status, body, headers)


class SizedSSE(OldSSE):
    """As many characters as it is asked for."""

    def call(self, request_id, params):
        size = int(params["arguments"]["text"])
        self.result(request_id, {"content": [{"type": "text", "text": "x" * size}]})


class ElsewhereSSE(OldSSE):
    """Wants requests, with the headers that are for it, at another server."""

    endpoint = "http://elsewhere.invalid/messages"


class RefusesSSE(OldSSE):
    """Answers a call where nobody listens: in the body of the POST."""

    def call(self, request_id, params):
        error = {"code": -32000, "message": "too busy for that"}
        super(OldSSE, self).respond(429, {"jsonrpc": "2.0", "id": request_id, "error": error})


FAULTS = {
    "refuses_sse": RefusesSSE,
    "sized_sse": SizedSSE,
    "elsewhere_sse": ElsewhereSSE,
    "sound": Sound,
    "forgets": Forgets,
    "unauthorised": Unauthorised,
    "tells_what_it_was_sent": TellsWhatItWasSent,
    "bad_gateway": BadGateway,
    "hangs": Hangs,
    "breaks_off": BreaksOff,
    "huge_body": HugeBody,
    "not_mcp": NotMCP,
    "old_sse": OldSSE,
}


class Serving:
    def __init__(self, word, port=0):
        over = threading.Event()
        handler = type(word, (FAULTS[word],), {"state": {"over": over}})
        self.state = handler.state
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads, self.server.block_on_close = True, False
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.state["over"].set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def serving(word):
    server = Serving(word)
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    alone = Serving(sys.argv[1])
    print(alone.url, flush=True)
    while True:
        time.sleep(60)
