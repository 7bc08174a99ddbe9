// Ollama's own client for JavaScript: chat and generate.
import assert from "node:assert";
import { Ollama } from "ollama";

const client = new Ollama({ host: process.env.URL });
const messages = [{ role: "user", content: "What is 12 + 30?" }];
const whole = await client.chat({ model: "fake", messages, think: true });
assert.equal(whole.message.content, "It is 42");
assert.ok(whole.message.thinking);
let text = "";
for await (const part of await client.chat({ model: "fake", messages, stream: true })) text += part.message.content;
assert.equal(text, "It is 42");
assert.equal((await client.generate({ model: "fake", prompt: "What is 12 + 30?" })).response, "It is 42");
assert.ok((await client.list()).models.length);
console.log("chat (think, stream), generate, list");
