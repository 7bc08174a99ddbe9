// The collapsible panel of a thought: its tokens and seconds while it grows, and then why it ended.
import { announce, h, icon } from "./dom.js";
import { endOf } from "./facts.js";
import { closingOf, countsOf, thoughtSeconds } from "./run.js";
import { prefer, preferences } from "./store.js";
import { number, seconds, t, tokens } from "./strings.js";

const LONG_THOUGHT = 700; // characters; a longer one closes when it ends

export class Thought {
  /** `quiet`: one of several beside each other, which tells nothing aloud and prefers nothing. */
  constructor(node, quiet = false) {
    Object.assign(this, { node, quiet });
    this.title = h("span", { class: "thought-title" });
    this.count = h("span", { class: "thought-count" });
    this.end = h("span", { class: "thought-end" });
    this.meter = h("span", { class: "meter", hidden: true }, h("span"));
    this.words = document.createTextNode("");
    this.cut = h("p", { class: "thought-cut", hidden: true });
    this.text = h("div", { class: "thought-text", dir: "auto", tabIndex: 0, role: "group", "aria-label": t("thought") }, this.words, this.cut);
    const summary = h("summary", { onclick: () => this.chosen() }, icon("right"), this.title, this.count, this.end, this.meter);
    this.element = h("details", { class: "thought", hidden: true }, summary, this.text);
    this.element.open = preferences.thoughts !== "closed";
    this.live = false;
  }

  /** What a reader chooses for one thought holds for the following ones. */
  chosen() {
    this.touched = true;
    if (!this.quiet) prefer({ thoughts: this.element.open ? "closed" : "open" });
  }

  update(now) {
    const { node } = this;
    this.element.hidden = !node.thought;
    if (!node.thought) return;
    const live = node.status === "running" && !node.text && !node.calls?.length;
    if (live && !this.live && !this.quiet) announce(t("saidThinking"));
    if (!live && this.settled !== true) this.settle();
    if (live) this.settled = false;
    this.grow(live);
    this.live = live;
    this.element.classList.toggle("live", live);
    const taken = thoughtSeconds(node, now);
    const time = taken === null ? null : seconds(taken);
    this.title.textContent = live ? t("thinking") : time && !this.quiet ? t("thoughtFor", time) : t("thought");
    this.showCount(live, time);
    this.showEnd(live);
  }

  /** The text, less the phrase that the server closed it with: those are not the model's words. */
  grow(live) {
    const { own } = closingOf(this.node); // its end is trimmed: it may come again with what follows
    const follows = this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 40;
    if (own.startsWith(this.words.data)) this.words.appendData(own.slice(this.words.length));
    else this.words.data = own;
    if (live && follows) this.text.scrollTop = this.text.scrollHeight;
  }

  /** It has ended: a long one makes room for the answer, unless the reader wants it open. */
  settle() {
    this.settled = true;
    if (!this.touched && preferences.thoughts === "auto" && this.node.thought.length > LONG_THOUGHT) this.element.open = false;
    this.text.scrollTop = 0;
  }

  showEnd(live) {
    const end = live ? null : endOf(this.node);
    this.end.textContent = end?.text ?? "";
    this.end.classList.toggle("cut", Boolean(end?.cut));
    const { phrase } = closingOf(this.node);
    this.cut.hidden = !phrase;
    this.cut.textContent = t("cutHere", tokens(countsOf(this.node).own));
    this.cut.title = phrase ? t("closingPhrase", phrase.trim()) : "";
  }

  showCount(live, time) {
    const { own } = countsOf(this.node);
    const budget = this.node.ask?.budget;
    const bounded = Boolean(budget) && this.node.ask.mode !== "direct";
    const shown = bounded ? Math.min(own, budget) : own; // while it streams, a piece is only about a token
    const words = bounded && live ? t("ofBudget", number(shown), number(budget)) : tokens(shown);
    this.count.textContent = live && time && !this.quiet ? `${words} · ${time}` : words;
    this.meter.hidden = !bounded;
    if (bounded) this.meter.firstElementChild.style.inlineSize = `${Math.min(100, (100 * shown) / budget)}%`;
  }
}
