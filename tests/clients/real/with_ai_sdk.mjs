// The AI SDK's openai("…"), which is the responses API: text, stream, and a tool loop, which refers to earlier items.
import assert from "node:assert";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const openai = createOpenAI({ baseURL: `${process.env.URL}/v1`, apiKey: "none" });
assert.equal((await generateText({ model: openai("fake"), prompt: "What is 12 + 30?" })).text, "It is 42");
const tools = {
  get_weather: tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `sunny in ${city}`,
  }),
};
const loop = { model: openai("agent"), prompt: "Weather?", tools, stopWhen: stepCountIs(4) };
const whole = await generateText(loop);
assert.ok(whole.text.includes("sunny in 上海") && whole.steps.length === 2, whole.text);
let text = "";
const stream = streamText({ ...loop, onError: ({ error }) => { throw error; } });
for await (const part of stream.textStream) text += part;
assert.ok(text.includes("sunny in 上海"), text);
const second = [{ role: "user", content: "Weather?" }, ...whole.response.messages, { role: "user", content: "And now?" }];
assert.ok((await generateText({ ...loop, prompt: undefined, messages: second })).text.includes("sunny"));
console.log("defaults: text, stream, tool loop, second turn (by references to items)");
