// An answer of an agent: the server runs the tools that its operator turned on, and tells each thing as it happens.
// One run grows over several messages: an answer with calls, their results, the next answer, and so on.
import { ApiError, answerInput, answerQuestion, stopRun, streamRun } from "./api.js";
import { Run, requestFor } from "./run.js";
import { namesFor } from "./tools.js";
import { add, closeCalls } from "./tree.js";

const TICK = 1000; // milliseconds between looks at the clock while a tool runs

export class AgentRun extends Run {
  /** `onmove` is called when the next message has begun: `node` is the new one then. */
  constructor(conversation, node, onchange, onmove) {
    super(conversation, node, onchange);
    this.onmove = onmove;
    this.first = 0; // seconds at which this message began
    delete node.calls;
  }

  async go() {
    const ticking = setInterval(() => this.node.calls?.some((call) => call.state === "running") && this.onchange(), TICK);
    try {
      for await (const event of streamRun(this.request(), this.signal)) {
        this.hear(event);
        this.onchange();
      }
      if (!this.finished) throw new ApiError("cut");
      this.settle(this.finished);
    } catch (error) {
      this.fail(error);
    } finally {
      clearInterval(ticking);
    }
    this.close();
  }

  request() {
    const { conversation, node } = this;
    const { stream_options, tools, ...body } = requestFor(conversation, node);
    const names = namesFor(conversation.settings);
    return { ...body, conversation: conversation.id, ...(names ? { tools: names } : {}) };
  }

  stop() {
    super.stop();
    if (this.id) stopRun(this.id).catch(() => {}); // where a proxy keeps the connection open, too
  }

  /** What the reader says to a question. */
  async answer(call, choice, reason = "") {
    await answerQuestion(this.id, call.id, choice, reason, call.seen === true);
  }

  /** What the reader says to a server that asks in the middle of a call. */
  async answerInput(id, action, content) {
    await answerInput(this.id, id, action, content);
  }

  clock() {
    return super.clock() - this.first;
  }

  hear(event) {
    const act = HEARD[event.kind];
    if (act) act(this, event);
  }

  call(id) {
    return this.node.calls?.find((call) => call?.id === id);
  }

  delta(delta) {
    this.take({ choices: [{ delta }] });
  }

  /** The message is whole and its calls are answered: go on in a new one. */
  next() {
    const { conversation, node } = this;
    node.status = "done";
    this.end();
    const results = node.calls.map((call) => ({ tool_call_id: call.id, content: call.result?.text ?? "" }));
    const said = add(conversation, node.id, { role: "tool", results, byAgent: true });
    this.node = add(conversation, said.id, { role: "assistant", model: node.model, ask: node.ask, tab: node.tab });
    this.first = super.clock();
    this.begin();
    this.onmove(node, this.node);
  }

  settle({ status, stopped_reason, error }) {
    const { node } = this;
    if (stopped_reason === "length") node.finish = "length";
    node.finish ??= "stop";
    if (status === "failed") throw new ApiError("server", error ?? "");
    if (stopped_reason === "context" && !node.text) throw new ApiError("context", error ?? "");
    node.status = status === "cancelled" ? "stopped" : "done";
  }

  /** What did not end will not: say so on its card. */
  close() {
    closeCalls(this.node);
    this.end();
  }
}

const HEARD = {
  run: (run, { id }) => (run.id = id),
  step: (run, { index }) => {
    if (run.node.calls?.length) run.next();
    else if (index > 0 && run.node.text) run.node.text += "\n\n"; // it was asked again for what it had announced
  },
  reasoning: (run, { text, closing }) => run.delta({ reasoning_content: text, closing_phrase: closing }),
  content: (run, { text }) => run.delta({ content: text }),
  call_started: (run, { index, id, name }) => {
    run.delta({ tool_calls: [{ index, id, function: { name, arguments: "" } }] });
    run.node.calls[index].state = "writing";
  },
  call_arguments: (run, { index, text }) => run.delta({ tool_calls: [{ index, function: { arguments: text } }] }),
  reply: (run, { message, finish_reason, usage, report }) => {
    const { node } = run;
    node.finish = finish_reason;
    node.report = reportOf(report);
    const details = { reasoning_tokens: usage.reasoning_tokens, closing_phrase_tokens: report.closing_phrase_tokens ?? 0 };
    run.count({ ...usage, completion_tokens_details: details });
    node.calls = message.tool_calls?.map((call, i) => ({
      ...node.calls?.[i],
      ...{ id: call.id, name: call.function.name, arguments: call.function.arguments, state: "ready" },
      ...(message.call_errors?.[call.id] ? { error: message.call_errors[call.id] } : {}),
    }));
    if (!node.calls) delete node.calls;
  },
  call_ready: (run, { id, origin }) => Object.assign(run.call(id) ?? {}, { origin, state: "ready" }),
  approval_asked: (run, { id, details }) => Object.assign(run.call(id) ?? {}, { state: "asking", question: details }),
  approval_answered: (run, { id }) => {
    const call = run.call(id);
    if (!call) return;
    delete call.question;
    call.state = "ready";
  },
  input_asked: (run, { id, question, server, message, schema, url }) => {
    const call = run.call(id);
    if (!call) return;
    (call.inputs ??= []).push({ id: question, server, message, schema, url });
    call.state = "asking";
  },
  input_answered: (run, { id, question }) => {
    const call = run.call(id);
    if (!call?.inputs) return;
    call.inputs = call.inputs.filter((each) => each.id !== question);
    if (call.inputs.length) return;
    delete call.inputs;
    delete call.progress;
    call.state = "running";
  },
  call_running: (run, { id }) => Object.assign(run.call(id) ?? {}, { state: "running", since: run.clock() }),
  progress: (run, { id, text }) => Object.assign(run.call(id) ?? {}, { progress: text }),
  observation: (run, event) => {
    const call = run.call(event.id);
    if (!call) return;
    const { text, status, seconds, origin, tainted, whole, attachments } = event;
    delete call.progress;
    delete call.question;
    delete call.inputs;
    call.state = "done";
    call.result = { text, status, seconds, tainted, cut: Boolean(whole), ...(origin ? { origin } : {}), attachments: attachments.map(fileOf) };
  },
  notice: (run, { text }) => (run.node.notices ??= []).push(text),
  finished: (run, event) => (run.finished = event),
};

const fileOf = ({ name, media_type: type, size, base64 }) => ({ name, type, size, base64 });

/** The report of a step, in the names of the API. */
function reportOf({ budget_requested, budget_applied, ...rest }) {
  return { ...rest, thinking_budget_requested: budget_requested, thinking_budget_applied: budget_applied };
}
