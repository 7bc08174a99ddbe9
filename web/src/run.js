// One answer under way: the request, and a node of the conversation that grows with the stream.
import { ApiError, streamAnswer } from "./api.js";
import { messagesFor } from "./tree.js";
import { prepare, toolsOf } from "./tools.js";
import { SAMPLING } from "./values.js";

/** The body of the request for an answer, by its `ask` = {mode, budget, seed}; `goOn`: for the rest of it. */
export function requestFor(conversation, node, goOn = false) {
  const { settings } = conversation;
  const { mode, budget, seed } = node.ask;
  const messages = messagesFor(conversation, node.parent, goOn ? node : null);
  const body = { model: node.model ?? conversation.model, messages, stream: true, stream_options: { include_usage: true } };
  if (mode !== "auto") body.enable_thinking = mode === "think";
  if (mode !== "direct" && budget !== null) body.thinking_budget = budget;
  for (const name of SAMPLING) if (settings[name] !== undefined) body[name] = settings[name];
  if (seed || settings.seed) body.seed = seed || settings.seed;
  if (settings.history === "keep") body.history = "keep";
  const tools = toolsOf(settings);
  if (tools.length) body.tools = tools;
  if (goOn) body.continue_final = node.text ? "answer" : "thought";
  return body;
}

const NOTHING = { thought: 0, closing: 0, answer: 0, exact: false };

export class Run {
  #controller = new AbortController();
  #started = performance.now();

  get signal() {
    return this.#controller.signal;
  }

  /** `onchange` is called after every piece; the node holds all there is to show. `goOn`: its text is gone on with. */
  constructor(conversation, node, onchange, goOn = false) {
    Object.assign(this, { conversation, node, onchange, goOn });
    this.before = goOn ? { ...NOTHING, ...node.counts } : NOTHING;
    for (const name of ["error", "finish"]) delete node[name];
    if (!goOn) node.text = "";
    this.begin();
  }

  begin() {
    Object.assign(this.node, { status: "running", counts: { ...this.before, exact: false }, times: {} });
  }

  stop() {
    this.#controller.abort();
  }

  async go() {
    const { node } = this;
    try {
      await prepare(this.conversation.settings);
      const body = requestFor(this.conversation, node, this.goOn);
      for await (const chunk of streamAnswer(body, this.#controller.signal)) {
        this.take(chunk);
        this.onchange();
      }
      if (!node.finish) throw new ApiError("cut");
      node.status = "done";
    } catch (error) {
      this.fail(error);
    }
    this.end();
  }

  end() {
    const { node } = this;
    node.ended = Date.now();
    node.times.all = this.clock();
    node.times.thoughtTo ??= node.thought ? node.times.all : undefined;
  }

  fail(error) {
    const stopped = this.#controller.signal.aborted;
    this.node.status = stopped ? "stopped" : "failed";
    if (stopped) return;
    if (!(error instanceof ApiError)) console.error(error);
    const { kind = "cut", message = "", wait = null, status = 0 } = error instanceof ApiError ? error : {};
    this.node.error = { kind, message, wait, status, at: Date.now() };
  }

  clock() {
    return (performance.now() - this.#started) / 1000;
  }

  take(chunk) {
    const { node } = this;
    const choice = chunk.choices?.[0];
    if (chunk.usage) this.count(chunk.usage);
    if (chunk.sansi) node.report = chunk.sansi;
    if (choice?.finish_reason) node.finish = choice.finish_reason;
    const delta = choice?.delta ?? {};
    const calls = delta.tool_calls ?? [];
    if (!delta.reasoning_content && !delta.content && !calls.length) return;
    node.times.first ??= this.clock();
    if (delta.reasoning_content) this.#think(delta.reasoning_content, delta.closing_phrase === true);
    if (delta.content || calls.length) this.#answer(delta.content ?? "", calls);
  }

  // A piece is about a token; the exact counts come at the end and take the place of these.
  #think(text, closing) {
    const { node } = this;
    node.times.thoughtFrom ??= node.times.first;
    if (closing) node.closingFrom ??= node.thought?.length ?? 0;
    else node.counts.thought += 1;
    node.thought = (node.thought ?? "") + text;
  }

  #answer(text, calls) {
    const { node } = this;
    if (node.thought) node.times.thoughtTo ??= this.clock();
    node.text += text;
    node.counts.answer += 1;
    for (const { index, id, function: { name, arguments: text } } of calls) {
      node.calls ??= [];
      node.calls[index] ??= { id: "", name: "", arguments: "" };
      const call = node.calls[index];
      Object.assign(call, { id: id ?? call.id, name: name ?? call.name, arguments: call.arguments + (text ?? "") });
    }
  }

  count(usage) {
    const thought = usage.completion_tokens_details?.reasoning_tokens ?? 0;
    const closing = usage.completion_tokens_details?.closing_phrase_tokens ?? 0;
    const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
    const { before } = this;
    this.node.counts = {
      thought: before.thought + thought,
      closing: before.closing + closing,
      answer: before.answer + usage.completion_tokens - thought - closing,
      prompt: before.prompt ?? usage.prompt_tokens,
      cached: before.cached ?? cached,
      exact: true,
    };
  }
}

/** Tokens in all, those of the thought that are the model's own, the closing phrase, and what is left. */
export function countsOf(node) {
  const { thought: own = 0, closing = 0, answer = 0 } = node.counts ?? {};
  return { all: own + closing + answer, own, closing, answer };
}

/** A thought in two: what the model wrote, and the phrase with which the server closed it. */
export function closingOf(node) {
  const thought = node.thought ?? "";
  const from = node.closingFrom ?? thought.length;
  return { own: thought.slice(0, from).trimEnd(), phrase: thought.slice(from) };
}

/** Tokens a second after the first: the server's own figure when it gives one. */
export function speedOf(node, now) {
  const told = node.report?.timing?.tokens_per_second;
  if (told) return told;
  const { first, all = now } = node.times ?? {};
  const { all: count } = countsOf(node);
  return first !== undefined && all > first && count > 1 ? (count - 1) / (all - first) : null;
}

const SHORT = 0.1; // seconds

/** How long the thought took. A short one comes in a piece or two: the tokens and their speed then know it better. */
export function thoughtSeconds(node, now) {
  const { thoughtFrom = 0, thoughtTo = now } = node.times ?? {};
  if (thoughtTo === undefined) return null;
  const measured = Math.max(0, thoughtTo - (thoughtFrom ?? 0));
  const told = node.report?.timing?.tokens_per_second;
  return told && measured < SHORT ? Math.max(measured, (node.counts?.thought ?? 0) / told) : measured;
}

export const firstTokenOf = (node) => node.report?.timing?.first_token_s ?? node.times?.first ?? null;

export const totalSeconds = (node, now) => node.report?.timing?.total_s ?? node.times?.all ?? now ?? null;
