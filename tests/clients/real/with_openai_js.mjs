// OpenAI's own client for JavaScript: chat completions and responses, whole and as streams.
import assert from "node:assert";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.URL}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is 12 + 30?" }];
const whole = await client.chat.completions.create({ model: "fake", messages });
assert.equal(whole.choices[0].message.content, "It is 42");
let text = "";
for await (const chunk of await client.chat.completions.create({ model: "fake", messages, stream: true }))
  text += chunk.choices[0]?.delta?.content ?? "";
assert.equal(text, "It is 42");
const response = await client.responses.create({ model: "fake", input: "What is 12 + 30?" });
assert.equal(response.output_text, "It is 42");
const stream = client.responses.stream({ model: "fake", input: "What is 12 + 30?" });
text = "";
for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
assert.equal((await stream.finalResponse()).output_text, text);
console.log("chat and responses: whole and streamed");
