// Anthropic's own client for JavaScript: a message, a stream, a tool loop.
import assert from "node:assert";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.env.URL, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is 12 + 30?" }];
const ask = { model: "fake", max_tokens: 4096, messages, thinking: { type: "enabled", budget_tokens: 1024 } };
assert.equal((await client.messages.create(ask)).content[1].text, "It is 42");
const stream = client.messages.stream(ask);
let text = "";
stream.on("text", (delta) => { text += delta; });
assert.equal((await stream.finalMessage()).content[1].text, text);
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const loop = { model: "agent", max_tokens: 4096, tools: [{ name: "get_weather", input_schema: schema }] };
const first = await client.messages.create({ ...loop, messages });
const call = first.content.at(-1);
assert.equal(call.type, "tool_use");
const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
const turns = [...messages, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
assert.ok((await client.messages.create({ ...loop, messages: turns })).content[0].text.includes("sunny"));
console.log("messages, thinking, stream helper, tool loop");
