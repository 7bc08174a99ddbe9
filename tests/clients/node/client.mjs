// Asks a running server everything with OpenAI's client for JavaScript; prints one JSON object: name -> what came.
// node client.mjs BASE_URL
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0, timeout: 120_000 });
const chat = client.chat.completions;
const question = [{ role: "user", content: "State the final answer to the following arithmetic problem: 4 + 3 =" }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
      required: ["city", "days"],
    },
  },
};
const schema = {
  type: "object",
  properties: { digit: { type: "integer", minimum: 0, maximum: 9 }, sure: { type: "boolean" } },
  required: ["digit", "sure"],
  additionalProperties: false,
};

async function collected(stream) {
  const sum = { content: "", reasoning: "", finish: null, usage: null, sansi: null };
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    sum.content += choice?.delta.content ?? "";
    sum.reasoning += choice?.delta.reasoning_content ?? "";
    sum.finish ??= choice?.finish_reason ?? null;
    sum.usage = chunk.usage ?? sum.usage;
    sum.sansi = chunk.sansi ?? sum.sansi;
  }
  return sum;
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    const { name, status, code, param, type } = error;
    return { class: error.constructor.name, name, status, code, param, type };
  }
  return null;
}

const checks = {
  models: async () => (await client.models.list()).data.map((model) => model.id),

  whole: async () => {
    const answer = await chat.create({ model: "fake", messages: question });
    const { content, reasoning_content } = answer.choices[0].message;
    return { content, reasoning_content, usage: answer.usage, mode: answer.sansi.mode };
  },

  streamed: async () =>
    collected(
      await chat.create({ model: "fake", messages: question, stream: true, stream_options: { include_usage: true } }),
    ),

  nano: async () => {
    const ask = { model: "nano", messages: question, seed: 3, thinking_budget: 8 };
    const whole = (await chat.create(ask)).choices[0].message;
    const sum = await collected(await chat.create({ ...ask, stream: true }));
    return [whole.content, whole.reasoning_content, sum.content, sum.reasoning];
  },

  // The client's own loop: it calls the functions, sends what they gave, and asks again until there is an answer.
  tools: async () => {
    const seen = [];
    const get_weather = ({ city, days }) => {
      seen.push({ city, days });
      return `${city}: rain`;
    };
    const tool = { ...weather, function: { ...weather.function, function: get_weather, parse: JSON.parse } };
    const runner = chat.runTools({ model: "caller", messages: question, tools: [tool], stream: true });
    return { answer: await runner.finalContent(), seen };
  },

  required: async () => {
    const ask = { model: "nano", messages: question, tools: [weather], tool_choice: "required", seed: 0 };
    const name = weather.function.name;
    const tools = [{ type: "function", function: { name, strict: true, parameters: schema } }];
    const answer = await chat.create({ ...ask, tools, parallel_tool_calls: false });
    const [call] = answer.choices[0].message.tool_calls;
    return { name: call.function.name, arguments: JSON.parse(call.function.arguments) };
  },

  structured: async () => {
    const response_format = { type: "json_schema", json_schema: { name: "step", strict: true, schema } };
    const answer = await chat.parse({ model: "nano", messages: question, response_format, seed: 1 });
    return answer.choices[0].message.parsed;
  },

  stopped: async () => {
    const stream = await chat.create({ model: "nano", messages: question, stream: true });
    for await (const _ of stream) break; // leaves in the middle: the client aborts the request
    return stream.controller.signal.aborted;
  },

  bad: () => failure(chat.create({ model: "fake", messages: question, temperature: 3 })),
  unknown: () => failure(chat.create({ model: "gpt-9", messages: question })),
};

const found = {};
for (const [name, check] of Object.entries(checks)) {
  try {
    found[name] = await check();
  } catch (error) {
    found[name] = { failed: `${error.constructor.name}: ${error.message}` };
  }
}
console.log(JSON.stringify(found));
