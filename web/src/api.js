// The server's API: models, and one streamed answer. Everything that can go wrong becomes an ApiError with a kind.
import { apiKey } from "./store.js";

/** kind: "offline", "cut", "key", "busy", "context", "server" or "request"; `wait`: seconds that the server asks to wait. */
export class ApiError extends Error {
  constructor(kind, message = "", { status = 0, wait = null, code = null } = {}) {
    super(message);
    Object.assign(this, { kind, status, wait, code });
  }
}

/** {data: models, agent: whether the server runs tools for agents}. */
export async function listModels() {
  const { data, agent = null } = await (await ask("/v1/models")).json();
  return { data, agent: Boolean(agent) };
}

/** What its operator turned on: {data: tools, servers, mode}. */
export async function listAgentTools() {
  return (await ask("/v1/agent/tools")).json();
}

/** The events of an agent's run. */
export async function* streamRun(body, signal) {
  for await (const data of streamed("/v1/agent/runs", body, signal)) {
    const event = JSON.parse(data);
    if (!event.kind) throw new ApiError("server", event.error?.message ?? "");
    yield event;
  }
}

/** What the reader says to a question of a run: "once", "session", "always" or "no". seen: all of it was shown. */
export async function answerQuestion(run, id, choice, reason, seen) {
  await post(`/v1/agent/runs/${run}/answers`, JSON.stringify({ id, choice, reason, seen }));
}

/** All of a call that a question shows in part. */
export async function shownWhole(address) {
  return (await ask(address)).text();
}

/** What the reader says to a question in the middle of a call: accept with what a form holds, decline or cancel. */
export async function answerInput(run, id, action, content) {
  await post(`/v1/agent/runs/${run}/answers`, JSON.stringify({ id, action, content }));
}

export async function stopRun(run) {
  await post(`/v1/agent/runs/${run}/stop`, "{}");
}

/** One model with all that the server tells of it, its card included. */
export async function modelCard(name) {
  return (await ask(`/v1/models/${encodeURIComponent(name)}`)).json();
}

/** The tools that the server runs itself, in OpenAI's form. */
export async function listTools() {
  return (await (await ask("/v1/tools")).json()).data;
}

/** What a tool of the server says to `given`, the JSON text of its arguments. */
export async function runTool(name, given) {
  return (await (await post(`/v1/tools/${encodeURIComponent(name)}`, given || "{}")).json()).content;
}

/** How many tokens a text has for a model, or null where the server does not count. */
export async function countTokens(model, text) {
  try {
    const { count } = await (await post("/tokenize", JSON.stringify({ model, prompt: text, parse_special: false }))).json();
    return Number.isFinite(count) ? count : null;
  } catch {
    return null;
  }
}

/** The text of a file: {text, pages, tokens, notes, …}. */
export async function readDocument(file, name, model, signal) {
  const query = new URLSearchParams({ name, ...(model ? { model } : {}) });
  const headers = { "Content-Type": file.type || "application/octet-stream" };
  return (await ask(`/v1/documents?${query}`, { method: "POST", headers, body: file, signal })).json();
}

/** An answer in one piece. */
export async function wholeAnswer(body) {
  const { stream, stream_options, ...rest } = body;
  return (await post("/v1/chat/completions", toJson(rest))).json();
}

function post(url, body, signal) {
  return ask(url, { method: "POST", headers: { "Content-Type": "application/json" }, body, signal });
}

async function ask(url, options = {}) {
  const headers = { ...options.headers };
  if (apiKey.get()) headers.Authorization = `Bearer ${apiKey.get()}`;
  let response;
  try {
    response = await fetch(url, { ...options, headers });
  } catch (error) {
    throw options.signal?.aborted ? error : new ApiError("offline");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const { status } = response;
  let message = "";
  let code = null;
  try {
    ({ message, code } = (await response.json()).error);
  } catch {
    // not our server's form: the status has to do
  }
  if (code === "context_length_exceeded") return new ApiError("context", message, { status });
  const kind = status === 401 ? "key" : status === 429 ? "busy" : status >= 500 ? "server" : "request";
  return new ApiError(kind, message, { status, code, wait: waitOf(response.headers.get("Retry-After")) });
}

/** Seconds of a Retry-After header, which is a number or a date. */
function waitOf(value) {
  if (!value) return null;
  const wait = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.max(0, Math.ceil(wait)) : null;
}

/** The chunks of one answer. Ends when the server says that it is whole; anything else raises. */
export async function* streamAnswer(body, signal) {
  for await (const data of streamed("/v1/chat/completions", body, signal)) {
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError("server", chunk.error.message);
    const seed = chunk.sansi?.sampling && /"seed":\s*(\d+)/.exec(data); // 63 bits: a number here would be rounded
    if (seed) chunk.sansi.sampling.seed = seed[1];
    yield chunk;
  }
}

/** The data of each event, in JSON. Raises where the server does not say that it was the last. */
async function* streamed(url, body, signal) {
  const response = await post(url, toJson(body), signal);
  for await (const data of serverEvents(response.body, signal)) {
    if (data === "[DONE]") return;
    yield data;
  }
  throw new ApiError("cut");
}

/** A seed is text on the page, as a number could not hold it, and a number in the request. */
function toJson(body) {
  const { seed, ...rest } = body;
  const json = JSON.stringify(rest);
  return seed ? `${json.slice(0, -1)},"seed":${BigInt(seed)}}` : json;
}

async function* serverEvents(stream, signal) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (buffer + value).split(/\r?\n\r?\n/);
      buffer = events.pop();
      for (const event of events) {
        const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
        if (data.length) yield data.map((line) => line.slice(5).trimStart()).join("\n");
      }
    }
  } catch (error) {
    throw signal?.aborted || error instanceof ApiError ? error : new ApiError("cut");
  } finally {
    reader.cancel().catch(() => {});
  }
}
