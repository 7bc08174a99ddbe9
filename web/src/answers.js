// The answers that are under way, in whatever conversation; a comparison has several at once.
import { AgentRun } from "./agent.js";
import { Run } from "./run.js";
import { Subject } from "./subject.js";

/** Tells ("began" | "grew" | "moved" | "ended", conversation, node); "moved": the run goes on in the next message. */
export class Answers extends Subject {
  #runs = new Set();
  tab = null; // the name of this tab

  of(id) {
    return [...this.#runs].filter((run) => run.conversation.id === id);
  }

  busy(id) {
    return this.of(id).length > 0;
  }

  /** The run that grows in this message. */
  #of(node) {
    return [...this.#runs].find((run) => run.node.id === node.id);
  }

  runs(node) {
    return Boolean(this.#of(node));
  }

  /** Seconds since the answer was asked for; undefined where it is not under way. */
  clock(node) {
    return this.#of(node)?.clock();
  }

  stop(id) {
    for (const run of this.of(id)) run.stop();
  }

  stopOne(node) {
    this.#of(node)?.stop();
  }

  /** The conversation, live, of an answer that grows in it. */
  conversation(id) {
    return this.of(id)[0]?.conversation;
  }

  /** Answer a question of the run in this message. */
  answerCall(node, call, choice, reason) {
    return this.#of(node)?.answer?.(call, choice, reason);
  }

  /** Answer what a server asks in the middle of a call of this message. */
  answerInput(node, id, action, content) {
    return this.#of(node)?.answerInput?.(id, action, content);
  }

  /** Ask for what `node` shall hold; with `goOn` for the rest of what it holds. */
  start(conversation, node, goOn = false) {
    return this.#go(new Run(conversation, node, () => this.tell("grew", conversation, node), goOn));
  }

  /** Let the server's agent answer in `node`, and in the messages that follow from it. */
  startAgent(conversation, node) {
    const grew = () => this.tell("grew", conversation, run.node);
    const run = new AgentRun(conversation, node, grew, () => this.tell("moved", conversation, run.node));
    return this.#go(run);
  }

  async #go(run) {
    this.#runs.add(run);
    run.node.tab = this.tab; // in which it grows
    this.tell("began", run.conversation, run.node);
    try {
      await run.go();
    } finally {
      this.#runs.delete(run);
      this.tell("ended", run.conversation, run.node);
    }
  }
}
