"""One sound MCP server in both eras of the protocol, without the SDK: `python -I -S mcp_sound.py legacy|modern`."""

import base64
import json
import sys

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
FORM = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "count": {"type": "integer", "default": 3}},
    "required": ["colour"],
}
CHILDREN = {"type": "array", "items": {"$ref": "#/$defs/Node"}}
NODE = {
    "type": "object",
    "properties": {"node": {"$ref": "#/$defs/Node"}},
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["name"],
        }
    },
}
TOOLS = [
    {"name": "echo", "description": "Say it again.", "inputSchema": TEXT, "annotations": {"readOnlyHint": True}},
    {"name": "picture", "title": "A picture", "inputSchema": {"type": "object"}},
    {"name": "ask", "description": "Asks the user.", "inputSchema": {"type": "object"}},
    {"name": "steps", "description": "Tells how far it is.", "inputSchema": {"type": "object"}},
    {"name": "tree", "description": "Takes a tree.", "inputSchema": NODE},
    {"name": "grow", "description": "Adds a tool.", "inputSchema": {"type": "object"}},
    {
        "name": "hold",
        "description": "Never ends.",
        "inputSchema": {"type": "object"},
    },
    {
        "name": "page",
        "description": "Wants a page to be visited.",
        "inputSchema": {"type": "object"},
    },
    {
        "name": "sum",
        "description": "Adds.",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    },
]
CAPABILITIES = {"tools": {"listChanged": True}, "resources": {}, "prompts": {}}
PNG = base64.b64encode(b"\x89PNG not really").decode()


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def words(text):
    return {"content": [{"type": "text", "text": text}]}


class Legacy:
    """2025-11-25: a handshake, and questions to the client are requests of the server."""

    def __init__(self):
        self.tools = list(TOOLS)

    def run(self):
        while line := sys.stdin.readline():
            message = json.loads(line)
            if "id" in message and "method" in message:
                self.answer(message["id"], message["method"], message.get("params") or {})

    def answer(self, request_id, method, params):
        handler = getattr(self, "on_" + method.replace("/", "_"), None)
        if handler is None:
            return send({"id": request_id, "error": {"code": -32601, "message": f"no method {method}"}})
        result = handler(request_id, params)
        if result is not None:
            send({"id": request_id, "result": self.finished(method, result)})

    def finished(self, method, result):
        return result

    def on_initialize(self, _, params):
        info = {"name": "sound", "version": "1"}
        version = "2025-11-25"
        return {
            "protocolVersion": version,
            "capabilities": CAPABILITIES,
            "serverInfo": info,
            "instructions": "Be kind.",
        }

    def on_tools_list(self, _, params):
        half = len(self.tools) // 2
        return {"tools": self.tools[half:]} if params.get("cursor") else {"tools": self.tools[:half], "nextCursor": "2"}

    def on_resources_list(self, _, params):
        sound = {"uri": "memo://a", "name": "a", "mimeType": "text/plain", "size": 5}
        return {"resources": [sound, {"name": "no address"}]}

    def on_resources_templates_list(self, _, params):
        return {"resourceTemplates": [{"uriTemplate": "memo://{name}", "name": "any"}]}

    def on_resources_read(self, _, params):
        blob = {"uri": params["uri"], "mimeType": "image/png", "blob": PNG}
        text = {"uri": params["uri"], "mimeType": "text/plain", "text": "hello"}
        return {"contents": [blob if params["uri"].endswith("png") else text]}

    def on_prompts_list(self, _, params):
        arguments = [{"name": "name", "description": "Whom", "required": True}]
        sound = {"name": "greet", "description": "Greets.", "arguments": arguments}
        return {"prompts": [sound, {"name": "odd", "arguments": 5}]}

    def on_prompts_get(self, _, params):
        content = {"type": "text", "text": f"Greet {params['arguments']['name']}."}
        return {"messages": [{"role": "user", "content": content}]}

    def on_tools_call(self, request_id, params):
        return getattr(self, "call_" + params["name"])(request_id, params)

    def call_echo(self, _, params):
        return words(params["arguments"]["text"])

    def call_picture(self, _, params):
        link = {"type": "resource_link", "uri": "memo://a", "name": "a", "description": "a memo"}
        inner = {"type": "resource", "resource": {"uri": "memo://b", "mimeType": "text/plain", "text": "inside"}}
        image = {"type": "image", "mimeType": "image/png", "data": PNG}
        sound = {"type": "audio", "mimeType": "audio/wav", "data": PNG}
        return {"content": [image, sound, link, inner]}

    def call_steps(self, _, params):
        token = params["_meta"]["progressToken"]
        for step in (1, 2):
            told = {"progressToken": token, "progress": step, "total": 2, "message": f"step {step}"}
            send({"method": "notifications/progress", "params": told})
        return words("done")

    def call_tree(self, _, params):
        return words(params["arguments"]["node"]["children"][0]["name"])

    def call_sum(self, _, params):
        return {"content": [], "structuredContent": {"sum": 3}}

    def call_grow(self, _, params):
        self.tools.append({"name": "grown", "description": "New.", "inputSchema": {"type": "object"}})
        self.told_of_change()
        return words("grown")

    def told_of_change(self):
        send({"method": "notifications/tools/list_changed"})

    def call_hold(self, request_id, params):
        """Never answered."""

    visited = False

    def call_page(self, request_id, params):
        if self.visited:
            return words("visited")
        self.visited = True
        page = {"mode": "url", "message": "Connect", "url": "https://example.com/connect", "elicitationId": "1"}
        error = {"code": -32042, "message": "URL elicitation required", "data": {"elicitations": [page]}}
        send({"id": request_id, "error": error})

    def call_ask(self, _, params):
        question = {"mode": "form", "message": "Which colour?", "requestedSchema": FORM}
        send({"id": "question", "method": "elicitation/create", "params": question})
        while (answer := json.loads(sys.stdin.readline())).get("id") != "question":
            pass
        return words(json.dumps(answer.get("result", answer.get("error")), sort_keys=True))


class Modern(Legacy):
    """2026-07-28: no handshake, and questions to the client are results that ask for the request anew."""

    listening = None

    def finished(self, method, result):
        cached = {} if method == "tools/call" or method == "prompts/get" else {"ttlMs": 0, "cacheScope": "private"}
        return {"resultType": "complete", **cached, **result}

    on_initialize = None

    def answer(self, request_id, method, params):
        if method == "initialize":
            data = {"supported": ["2026-07-28"], "requested": params.get("protocolVersion")}
            return send({"id": request_id, "error": {"code": -32022, "message": "Unsupported", "data": data}})
        return super().answer(request_id, method, params)

    def on_server_discover(self, _, params):
        return {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES, "instructions": "Be kind."}

    def on_subscriptions_listen(self, request_id, params):
        self.listening = {"io.modelcontextprotocol/subscriptionId": request_id}
        told = {"_meta": self.listening, "notifications": params["notifications"]}
        send({"method": "notifications/subscriptions/acknowledged", "params": told})

    def told_of_change(self):
        send({"method": "notifications/tools/list_changed", "params": {"_meta": self.listening}})

    def call_ask(self, _, params):
        if "inputResponses" in params:
            assert params["requestState"] == "state"
            return words(json.dumps(params["inputResponses"]["q"], sort_keys=True))
        question = {"mode": "form", "message": "Which colour?", "requestedSchema": FORM}
        asked = {"q": {"method": "elicitation/create", "params": question}}
        return {"resultType": "input_required", "inputRequests": asked, "requestState": "state"}


if __name__ == "__main__":
    {"legacy": Legacy, "modern": Modern}[sys.argv[1]]().run()
