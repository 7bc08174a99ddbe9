// The answers that are under way, in whatever conversation; a comparison has several at once.
import { Run } from "./run.js";
import { Subject } from "./subject.js";

/** Tells ("began" | "grew" | "ended", conversation, node). */
export class Answers extends Subject {
  #runs = new Map(); // by the node that grows
  tab = null; // the name of this tab

  of(id) {
    return [...this.#runs.values()].filter((run) => run.conversation.id === id);
  }

  busy(id) {
    return this.of(id).length > 0;
  }

  runs(node) {
    return this.#runs.has(node.id);
  }

  /** Seconds since the answer was asked for; undefined where it is not under way. */
  clock(node) {
    return this.#runs.get(node.id)?.clock();
  }

  stop(id) {
    for (const run of this.of(id)) run.stop();
  }

  stopOne(node) {
    this.#runs.get(node.id)?.stop();
  }

  /** The conversation, live, of an answer that grows in it. */
  conversation(id) {
    return this.of(id)[0]?.conversation;
  }

  /** Ask for what `node` shall hold; with `goOn` for the rest of what it holds. */
  async start(conversation, node, goOn = false) {
    const run = new Run(conversation, node, () => this.tell("grew", conversation, node), goOn);
    this.#runs.set(node.id, run);
    node.tab = this.tab; // in which it grows
    this.tell("began", conversation, node);
    try {
      await run.go();
    } finally {
      this.#runs.delete(node.id);
      this.tell("ended", conversation, node);
    }
  }
}
