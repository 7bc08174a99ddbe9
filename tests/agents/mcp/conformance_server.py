"""What the official conformance suite asks of a server, behind the doors of `sansi mcp --http`: prints its address."""

import asyncio
import json

import mcp_types as types
from mcp.server import Server
from sansi.agents.mcp.serve import http_app
from sansi.serve.http.launch import bind
from sansi.serve.http.mcp import guarded, run
from sansi.serve.http.settings import ServerSettings

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
NOTHING = {"type": "object", "properties": {}}
SCHEMA_2020 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}
DEFAULTS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}
TITLED = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second", "Third"), 1)]
CHOICES = [f"option{n}" for n in (1, 2, 3)]
OLD = ["opt1", "opt2", "opt3"]
ENUMS = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": CHOICES},
        "titledSingle": {"type": "string", "oneOf": TITLED},
        "legacyEnum": {"type": "string", "enum": OLD, "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": CHOICES}},
        "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
    },
}
USER = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}


def text(words):
    return types.TextContent(type="text", text=words)


def image():
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri, kind, words):
    return types.EmbeddedResource(
        type="resource", resource=types.TextResourceContents(uri=uri, mime_type=kind, text=words)
    )


async def logging(ctx, arguments):
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", words, related_request_id=ctx.request_id)
        await asyncio.sleep(0.05)
    return [text("logged")]


async def progress(ctx, arguments):
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return [text("done")]


async def sampling(ctx, arguments):
    asked = types.SamplingMessage(role="user", content=text(arguments["prompt"]))
    reply = await ctx.session.create_message([asked], max_tokens=100, related_request_id=ctx.request_id)
    return [text(f"LLM response: {reply.content.text}")]


def asking(schema, begin, message="Please fill in."):
    async def ask(ctx, arguments):
        reply = await ctx.session.elicit_form(arguments.get("message", message), schema, ctx.request_id)
        return [text(f"{begin}: action={reply.action}, content={json.dumps(reply.content)}")]

    return ask


async def failing(ctx, arguments):
    raise ValueError("This tool intentionally returns an error for testing")


async def reconnection(ctx, arguments):
    if ctx.close_sse_stream:
        await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return [text("Reconnection test completed")]


def fixed(*contents):
    async def give(ctx, arguments):
        return list(contents)

    return give


MIXED = embedded("test://mixed-content-resource", "application/json", json.dumps({"test": "data", "value": 123}))
AUDIO = types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")
COMPLETED = "Elicitation completed"
TOOLS = {
    "test_simple_text": fixed(text("This is a simple text response for testing.")),
    "test_image_content": fixed(image()),
    "test_audio_content": fixed(AUDIO),
    "test_embedded_resource": fixed(
        embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ),
    "test_multiple_content_types": fixed(text("Multiple content types test:"), image(), MIXED),
    "test_tool_with_logging": logging,
    "test_tool_with_progress": progress,
    "test_error_handling": failing,
    "test_sampling": sampling,
    "test_elicitation": asking(USER, "User response"),
    "test_elicitation_sep1034_defaults": asking(DEFAULTS, COMPLETED),
    "test_elicitation_sep1330_enums": asking(ENUMS, COMPLETED),
    "json_schema_2020_12_tool": fixed(text("ok")),
    "test_reconnection": reconnection,
}
SCHEMAS = {
    "test_sampling": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
    "test_elicitation": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
    "json_schema_2020_12_tool": SCHEMA_2020,
}


async def list_tools(ctx, params):
    tools = [types.Tool(name=name, description=name, input_schema=SCHEMAS.get(name, NOTHING)) for name in TOOLS]
    return types.ListToolsResult(tools=tools)


async def call_tool(ctx, params):
    try:
        return types.CallToolResult(content=await TOOLS[params.name](ctx, params.arguments or {}))
    except ValueError as error:
        return types.CallToolResult(content=[text(str(error))], is_error=True)


async def list_resources(ctx, params):
    about = {"description": "For testing."}
    return types.ListResourcesResult(
        resources=[
            types.Resource(uri="test://static-text", name="text", mime_type="text/plain", **about),
            types.Resource(uri="test://static-binary", name="binary", mime_type="image/png", **about),
        ]
    )


async def list_templates(ctx, params):
    template = types.ResourceTemplate(uri_template="test://template/{id}/data", name="template")
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx, params):
    uri = str(params.uri)
    if uri == "test://static-binary":
        return types.ReadResourceResult(contents=[types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)])
    words, kind = "This is the content of the static text resource.", "text/plain"
    if uri.startswith("test://template/"):
        found = uri.split("/")[3]
        data = {"id": found, "templateTest": True, "data": f"Data for ID: {found}"}
        words, kind = json.dumps(data), "application/json"
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=kind, text=words)])


async def nothing(ctx, params):
    return types.EmptyResult()


PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
}


async def list_prompts(ctx, params):
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=name,
                description=name,
                arguments=[types.PromptArgument(name=each, description=each, required=True) for each in arguments],
            )
            for name, arguments in PROMPTS.items()
        ]
    )


async def get_prompt(ctx, params):
    given = params.arguments or {}
    contents = {
        "test_simple_prompt": lambda: [text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": lambda: [
            text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")
        ],
        "test_prompt_with_embedded_resource": lambda: [
            embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": lambda: [image(), text("Please analyze the image above.")],
    }[params.name]()
    messages = [types.PromptMessage(role="user", content=content) for content in contents]
    return types.GetPromptResult(messages=messages)


async def complete(ctx, params):
    return types.CompleteResult(completion=types.Completion(values=["paris", "park"], total=2, has_more=False))


def main():
    server = Server(
        "conformance",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=nothing,
        on_unsubscribe_resource=nothing,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=nothing,
    )
    listener = bind("127.0.0.1", 0)
    listener.listen(128)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    run(guarded(http_app(server), "127.0.0.1", ServerSettings()), listener)


if __name__ == "__main__":
    main()
