// An answer as it is shown: the thought, the text, calls of tools, what went wrong, and what can be done with it.
import { CallCard } from "./call.js";
import { card, resultsForm } from "./cards.js";
import { copy, h, icon, iconButton } from "./dom.js";
import { problemOf, rows, summary } from "./facts.js";
import { editForm } from "./forms.js";
import { sourcesList, sourcesOf } from "./sources.js";
import { seconds, t } from "./strings.js";
import { Thought } from "./thought.js";
import { Turn } from "./turn.js";
import { show } from "./words.js";

const SHORT = 24; // characters; an answer of a word or a number is written large

export class Answer extends Turn {
  constructor(page, conversation, node, quiet = false) {
    super(page, conversation, node, "answer", t("answer"));
    this.thought = new Thought(node, quiet);
    this.who = h("p", { class: "who", hidden: true });
    this.body = h("div", { class: "md" });
    this.waiting = h("p", { class: "waiting", "aria-label": t("waiting") });
    this.cards = h("div", { class: "cards" });
    this.calls = new Map(); // cards of an agent's calls, in order: they stay while something is typed in them
    this.notes = h("div", { class: "notices", hidden: true });
    this.sources = h("div", { hidden: true });
    this.problem = h("div", { class: "problem", hidden: true });
    this.facts = h("span", { class: "facts" });
    this.report = h("div", { class: "report", hidden: true });
    this.editing = false;
    this.makeButtons();
    this.actions.append(this.versions, this.buttons, this.facts);
    this.element.append(this.who, this.thought.element, this.waiting, this.body, this.sources, this.cards, this.notes, this.problem, this.actions, this.report);
  }

  makeButtons() {
    const { page, node } = this;
    this.copyButton = iconButton("copy", t("copyMarkdown"), () => copy(node.text, this.copyButton));
    this.againButton = iconButton("again", t("regenerate"), () => page.regenerate(node), { class: "quiet icon-only again" });
    this.editButton = iconButton("edit", t("editAnswer"), () => this.edit(), { class: "quiet icon-only edit" });
    this.compareButton = iconButton("columns", t("compareBudgets"), () => page.compare(node.parent), { class: "quiet icon-only compare" });
    this.moreButton = iconButton("info", t("details"), () => this.toggleReport(), { "aria-expanded": "false", class: "quiet icon-only did" });
    this.buttons = h("span", { class: "buttons" }, this.copyButton, this.againButton, this.editButton, this.compareButton, this.moreButton);
  }

  update(now) {
    const { node, page } = this;
    const running = node.status === "running";
    this.element.classList.toggle("running", running);
    this.element.setAttribute("aria-busy", String(running));
    this.thought.update(now);
    this.waiting.hidden = !running || Boolean(node.thought || node.text || node.calls?.length);
    if (this.shown !== node.text || this.whole === running) show(this.body, node.text, !running);
    this.body.classList.toggle("short", node.finish !== "length" && node.text.trim().length <= SHORT && !/[\n$`#|]/.test(node.text.trim()));
    Object.assign(this, { shown: node.text, whole: !running });
    this.who.hidden = !page.namesModels(node);
    this.who.textContent = node.model ?? "";
    this.showCards(running, now);
    this.showNotes(running);
    this.showProblem();
    this.showVersions();
    this.showButtons(running);
    this.facts.textContent = running ? summary(node, now) : node.edited ? t("edited") : "";
  }

  showButtons(running) {
    const { node, page } = this;
    const busy = page.busy();
    const empty = !node.text && !node.calls?.length;
    this.buttons.hidden = running;
    this.actions.hidden = this.editing || this.goesOn; // there is nothing to do about a step of an agent
    this.copyButton.hidden = this.editButton.hidden = !node.text;
    this.againButton.hidden = empty && node.status === "failed"; // there it is "Try again"
    this.compareButton.hidden = this.againButton.hidden || Boolean(node.group) || this.conversation.nodes[node.parent].role !== "user";
    this.moreButton.hidden = !node.report;
    for (const button of [this.againButton, this.editButton, this.compareButton]) button.disabled = busy;
  }

  /** An agent has gone on from here: this is a step on its way. */
  get goesOn() {
    const { nodes, chosen } = this.conversation;
    return Boolean(nodes[chosen[this.node.id]]?.byAgent);
  }

  edit() {
    const form = editForm(this.node.text, {
      label: t("editAnswer"),
      note: t("editAnswerNote"),
      act: t("keep"),
      submit: (text) => this.page.editAnswer(this.node, text),
      close: () => {
        form.replaceWith(this.body);
        this.editing = this.actions.hidden = false;
        this.editButton.focus();
      },
    });
    this.body.replaceWith(form);
    this.editing = this.actions.hidden = true;
    form.start();
  }

  toggleReport(open = this.report.hidden) {
    this.report.hidden = !open;
    this.moreButton.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const entries = rows(this.node).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
    const act = h("button", { type: "button", class: "plain small", onclick: () => this.page.showProbabilities(this.node, this.report) }, t("probabilities"));
    this.report.replaceChildren(h("dl", {}, ...entries), ...(this.node.text || this.node.thought ? [act] : []));
    this.report.scrollIntoView({ block: "nearest" });
  }

  showProblem() {
    const { node } = this;
    const text = problemOf(node);
    this.problem.hidden = !text;
    const mild = !node.error && node.status !== "failed";
    const key = JSON.stringify([text, this.page.canGoOn(node)]);
    if (!text || this.problem.dataset.key === key) return;
    this.problem.dataset.key = key;
    this.problem.classList.toggle("mild", mild);
    this.problem.setAttribute("role", mild ? "note" : "alert");
    this.problem.replaceChildren(...(mild ? [] : [icon("alert")]), h("span", {}, text), ...this.remedies(mild));
  }

  /** What can be done about it: never what must fail again. */
  remedies(mild) {
    const { node, page } = this;
    const button = (name, act, extra = "") => h("button", { type: "button", class: `plain ${extra}`, onclick: act }, t(name));
    if (mild) return page.canGoOn(node) ? [button("goOn", () => page.goOn(node), "small")] : [];
    if (node.error?.kind === "key") return [button("enterKey", () => page.enterKey())];
    if (node.error?.kind === "context") {
      const shorter = page.canForget() ? [button("withoutOldest", () => page.withoutOldest(node))] : [];
      return [button("newChat", () => page.askAnew(node)), ...shorter, button("edit", () => page.editQuestion(node.parent))];
    }
    const retry = button("retry", () => page.retry(node), "retry");
    if (node.error?.wait) this.countDown(retry);
    return [...(page.canGoOn(node) ? [button("goOn", () => page.goOn(node))] : []), retry];
  }

  /** The server asked to wait: say for how long, but let the reader decide. */
  countDown(button) {
    const { at, wait } = this.node.error;
    const left = Math.ceil(wait - (Date.now() - at) / 1000);
    button.textContent = left > 0 ? `${t("retry")} (${seconds(left)})` : t("retry");
    if (left > 0 && this.node.error) setTimeout(() => this.countDown(button), 1000);
  }

  /** What the loop did by itself, and what the answer cites. */
  showNotes(running) {
    const { node } = this;
    const notices = node.notices ?? [];
    this.notes.hidden = !notices.length;
    if (this.notes.childElementCount !== notices.length) this.notes.replaceChildren(...notices.map((text) => h("p", { class: "note" }, text)));
    const key = running ? "" : node.text;
    if (this.citing === key) return;
    this.citing = key;
    const sources = running ? [] : sourcesOf(this.conversation, node);
    this.sources.hidden = !sources.length;
    this.sources.replaceChildren(...(sources.length ? [sourcesList(sources)] : []));
  }

  /** Cards of calls that the server runs; each is brought up to date, not made anew. */
  showAgentCards(calls, now) {
    calls.forEach((call, i) => {
      const known = this.calls.get(i) ?? new CallCard(this.page, this.node, call);
      if (!this.calls.has(i)) this.cards.append(known.element);
      this.calls.set(i, known);
      known.update(call, now);
    });
  }

  showCards(running, now) {
    const calls = (this.node.calls ?? []).filter(Boolean);
    if (calls.some((call) => call.state)) return this.showAgentCards(calls, now);
    const waits = !running && this.page.waitsForResults(this.node);
    const key = JSON.stringify([calls, waits, running]);
    if (key === this.cardsKey) return undefined;
    this.cardsKey = key;
    const errors = this.node.report?.tool_call_errors ?? {};
    this.cards.replaceChildren(...calls.map((call, i) => card(call, errors[call.id], running && i === calls.length - 1)));
    const able = calls.filter((call) => !errors[call.id]);
    if (waits && able.length) this.cards.append(resultsForm(able, (results) => this.page.giveResults(this.node, results)));
    return undefined;
  }
}
