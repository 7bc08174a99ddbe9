// LangChain JS: ChatOpenAI, and createAgent at its defaults, which names its messages.
import assert from "node:assert";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { z } from "zod";

const model = (name) => new ChatOpenAI({ model: name, apiKey: "none", maxRetries: 0, configuration: { baseURL: `${process.env.URL}/v1` } });
assert.equal((await model("fake").invoke("What is 12 + 30?")).content, "It is 42");
const getWeather = tool(async ({ city }) => `sunny in ${city}`, {
  name: "get_weather", description: "The weather of a city.", schema: z.object({ city: z.string() }),
});
const agent = createAgent({ model: model("agent"), tools: [getWeather] });
const done = await agent.invoke({ messages: [{ role: "user", content: "Weather?" }] });
assert.ok(done.messages.at(-1).content.includes("sunny in 上海"));
console.log("invoke, createAgent at its defaults");
