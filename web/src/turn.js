// One message of the conversation as it is shown. A view has an element, and `update()` brings it to its node.
import { announce, copy, fit, h, icon, iconButton, isComposing } from "./dom.js";
import { endOf, problemOf, rows, summary } from "./facts.js";
import { show } from "./markdown.js";
import { countsOf, thoughtSeconds } from "./run.js";
import { prefer, preferences } from "./store.js";
import { number, seconds, t, tokens } from "./strings.js";
import { versions } from "./tree.js";

const LONG_THOUGHT = 700; // characters; a longer one closes when it ends

/** `page`: what a turn may ask of the page: choose, edit, regenerate, retry, giveResults, enterKey. */
export function viewOf(page, conversation, node) {
  const kinds = { user: Question, assistant: Answer, tool: Results };
  return new kinds[node.role](page, conversation, node);
}

class Turn {
  constructor(page, conversation, node, kind, name) {
    Object.assign(this, { page, conversation, node });
    this.versions = h("span", { class: "versions", role: "group" });
    this.actions = h("div", { class: "actions" });
    this.element = h("article", { class: `turn ${kind}`, tabIndex: -1 }, h("h2", { class: "unseen" }, name));
  }

  showVersions() {
    const { ids, at } = versions(this.conversation, this.node);
    this.versions.hidden = ids.length < 2;
    if (ids.length < 2) return;
    const busy = this.page.busy();
    const go = (step) => () => this.page.choose(ids[at + step], step);
    const before = iconButton("left", t("previous"), go(-1), { disabled: busy || at === 0 });
    const after = iconButton("right", t("next"), go(1), { disabled: busy || at === ids.length - 1 });
    const label = h("span", { "aria-hidden": "true" }, `${number(at + 1)}/${number(ids.length)}`);
    this.versions.setAttribute("aria-label", t("branch", at + 1, ids.length));
    this.versions.replaceChildren(before, label, after);
  }
}

class Question extends Turn {
  constructor(page, conversation, node) {
    super(page, conversation, node, "question", t("you"));
    this.text = h("div", { class: "bubble", dir: "auto" }, node.text);
    const copyButton = iconButton("copy", t("copy"), () => copy(node.text, copyButton));
    this.editButton = iconButton("edit", t("edit"), () => this.edit(), { class: "quiet icon-only edit" });
    this.actions.append(this.versions, copyButton, this.editButton);
    this.element.append(this.text, this.actions);
  }

  update() {
    this.showVersions();
    this.editButton.disabled = this.page.busy();
  }

  edit() {
    const box = h("textarea", { class: "edit-box", dir: "auto", value: this.node.text, "aria-label": t("edit") });
    const close = () => {
      form.replaceWith(this.text);
      this.actions.hidden = false;
      this.editButton.focus();
    };
    const submit = (event) => {
      event?.preventDefault();
      const text = box.value.trim();
      if (!text) return;
      close();
      this.page.edit(this.node, text);
    };
    const buttons = h(
      "div",
      { class: "edit-foot" },
      h("span", { class: "note" }, t("editNote")),
      h("button", { type: "button", class: "plain", onclick: close }, t("cancel")),
      h("button", { type: "submit", class: "primary" }, t("save")),
    );
    const form = h("form", { class: "edit-form", onsubmit: submit }, box, buttons);
    box.addEventListener("keydown", (event) => {
      if (isComposing(event)) return;
      if (event.key === "Enter" && !event.shiftKey) submit(event);
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    });
    box.addEventListener("input", () => fit(box));
    this.text.replaceWith(form);
    this.actions.hidden = true;
    fit(box);
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }
}

class Answer extends Turn {
  constructor(page, conversation, node) {
    super(page, conversation, node, "answer", t("answer"));
    this.thought = new Thought(node);
    this.body = h("div", { class: "md" });
    this.waiting = h("p", { class: "waiting", "aria-label": t("waiting") });
    this.cards = h("div", { class: "cards" });
    this.problem = h("div", { class: "problem", hidden: true });
    this.facts = h("span", { class: "facts" });
    this.report = h("dl", { class: "report", hidden: true });
    const copyButton = iconButton("copy", t("copyMarkdown"), () => copy(node.text, copyButton));
    this.againButton = iconButton("again", t("regenerate"), () => page.regenerate(node), { class: "quiet icon-only again" });
    this.moreButton = iconButton("info", t("details"), () => this.toggleReport(), { "aria-expanded": "false", class: "quiet icon-only did" });
    this.buttons = h("span", { class: "buttons" }, copyButton, this.againButton, this.moreButton);
    this.actions.append(this.versions, this.buttons, this.facts);
    this.element.append(this.thought.element, this.waiting, this.body, this.cards, this.problem, this.actions, this.report);
  }

  update(now) {
    const { node } = this;
    const running = node.status === "running";
    this.element.classList.toggle("running", running);
    this.element.setAttribute("aria-busy", String(running));
    this.thought.update(now);
    this.waiting.hidden = !running || Boolean(node.thought || node.text || node.calls?.length);
    if (this.shown !== node.text || this.whole === running) show(this.body, node.text, !running);
    Object.assign(this, { shown: node.text, whole: !running });
    this.showCards(running);
    this.showProblem();
    this.showVersions();
    this.buttons.hidden = running;
    this.againButton.disabled = this.page.busy();
    this.moreButton.hidden = !node.report;
    this.facts.textContent = summary(node, now);
  }

  toggleReport() {
    const open = this.report.hidden;
    this.report.hidden = !open;
    this.moreButton.setAttribute("aria-expanded", String(open));
    if (!open) return;
    this.report.replaceChildren(...rows(this.node).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    this.report.scrollIntoView({ block: "nearest" });
  }

  showProblem() {
    const { node } = this;
    const text = problemOf(node);
    this.problem.hidden = !text;
    if (!text || this.problem.dataset.text === text) return;
    const mild = !node.error && node.status !== "failed";
    this.problem.dataset.text = text;
    this.problem.classList.toggle("mild", mild);
    this.problem.setAttribute("role", mild ? "note" : "alert");
    const act = node.error?.kind === "key" ? h("button", { type: "button", class: "plain", onclick: () => this.page.enterKey() }, t("enterKey")) : null;
    const retry = h("button", { type: "button", class: "plain retry", onclick: () => this.page.retry(node) }, t("retry"));
    this.problem.replaceChildren(...(mild ? [] : [icon("alert")]), h("span", {}, text), ...(mild ? [] : [act ?? retry]));
    if (node.error?.wait) this.countDown(retry);
  }

  /** The server asked to wait: say for how long, but let the reader decide. */
  countDown(button) {
    const { at, wait } = this.node.error;
    const left = Math.ceil(wait - (Date.now() - at) / 1000);
    button.textContent = left > 0 ? `${t("retry")} (${seconds(left)})` : t("retry");
    if (left > 0 && this.node.error) setTimeout(() => this.countDown(button), 1000);
  }

  showCards(running) {
    const calls = (this.node.calls ?? []).filter(Boolean);
    const waits = !running && this.page.waitsForResults(this.node);
    const key = JSON.stringify([calls, waits, running]);
    if (key === this.cardsKey) return;
    this.cardsKey = key;
    const errors = this.node.report?.tool_call_errors ?? {};
    this.cards.replaceChildren(...calls.map((call, i) => card(call, errors[call.id], running && i === calls.length - 1)));
    const able = calls.filter((call) => !errors[call.id]);
    if (waits && able.length) this.cards.append(this.resultsForm(able));
  }

  resultsForm(calls) {
    const boxes = calls.map((call) => h("textarea", { rows: 2, dir: "auto", placeholder: t("toolGive"), "aria-label": t("toolFor", call.name) }));
    const submit = (event) => {
      event.preventDefault();
      const results = calls.map((call, i) => ({ tool_call_id: call.id, content: boxes[i].value }));
      this.page.giveResults(this.node, results);
    };
    const fields = calls.map((call, i) => h("label", {}, h("span", {}, t("toolFor", call.name)), boxes[i]));
    return h("form", { class: "results-form", onsubmit: submit }, ...fields, h("button", { type: "submit", class: "primary" }, t("toolSend")));
  }
}

function card(call, error, writing) {
  const state = error ? t("toolCannot", error) : writing ? t("toolWriting") : "";
  const head = h("div", { class: "card-head" }, icon("tool"), h("span", { class: "card-kind" }, t("toolWants")), h("code", {}, call.name), h("span", { class: `card-state${error ? " bad" : ""}` }, state));
  return h("section", { class: "card", "aria-label": `${t("toolWants")} ${call.name}` }, head, argumentsOf(call));
}

/** Arguments as a table when they are whole and flat enough to read, else the text as it came. */
function argumentsOf(call) {
  let values;
  try {
    values = JSON.parse(call.arguments || "{}");
  } catch {
    return h("pre", { tabIndex: 0 }, call.arguments);
  }
  const entries = Object.entries(values ?? {});
  if (!entries.length) return h("p", { class: "note" }, t("noArguments"));
  const word = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, JSON.stringify(value).length < 60 ? 0 : 2));
  return h("dl", { class: "arguments" }, ...entries.flatMap(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, word(value))]));
}

class Results extends Turn {
  constructor(page, conversation, node) {
    super(page, conversation, node, "results", t("toolResults"));
    const names = new Map((conversation.nodes[node.parent].calls ?? []).map((call) => [call.id, call.name]));
    const one = (result) =>
      h("section", { class: "card result" }, h("div", { class: "card-head" }, icon("tool"), h("span", {}, t("toolFor", names.get(result.tool_call_id) ?? ""))), h("pre", { tabIndex: 0, dir: "auto" }, result.content));
    this.actions.append(this.versions);
    this.element.append(...node.results.map(one), this.actions);
  }

  update() {
    this.showVersions();
  }
}

/** The collapsible panel of a thought: its tokens and seconds while it grows, and then why it ended. */
class Thought {
  constructor(node) {
    this.node = node;
    this.title = h("span", { class: "thought-title" });
    this.count = h("span", { class: "thought-count" });
    this.end = h("span", { class: "thought-end" });
    this.meter = h("span", { class: "meter", hidden: true }, h("span"));
    this.words = document.createTextNode("");
    this.text = h("div", { class: "thought-text", dir: "auto", tabIndex: 0, role: "group", "aria-label": t("thought") }, this.words);
    this.closing = h("p", { class: "closing", hidden: true });
    const summary = h("summary", { onclick: () => this.chosen() }, icon("right"), this.title, this.count, this.end, this.meter);
    this.element = h("details", { class: "thought", hidden: true }, summary, this.text, this.closing);
    this.element.open = preferences.thoughts !== "closed";
    this.live = false;
  }

  /** What a reader chooses for one thought holds for the following ones. */
  chosen() {
    this.touched = true;
    prefer({ thoughts: this.element.open ? "closed" : "open" });
  }

  update(now) {
    const { node } = this;
    this.element.hidden = !node.thought;
    if (!node.thought) return;
    const live = node.status === "running" && !node.text && !node.calls?.length;
    this.grow(live);
    if (live && !this.live) announce(t("saidThinking"));
    if (!live && this.settled !== true) this.settle();
    this.live = live;
    this.element.classList.toggle("live", live);
    const taken = thoughtSeconds(node, now);
    const time = taken === null ? null : seconds(taken);
    this.title.textContent = live ? t("thinking") : time ? t("thoughtFor", time) : t("thought");
    this.showCount(live, time);
    const end = live ? null : endOf(node);
    this.end.textContent = end?.text ?? "";
    const { closing } = countsOf(node);
    this.closing.hidden = live || !closing;
    this.closing.textContent = t("closingPhrase", number(closing));
    this.end.classList.toggle("cut", Boolean(end?.cut));
  }

  grow(live) {
    const { thought } = this.node;
    if (this.words.length >= thought.length) return;
    const follows = this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 40;
    this.words.appendData(thought.slice(this.words.length));
    if (live && follows) this.text.scrollTop = this.text.scrollHeight;
  }

  /** It has ended: a long one makes room for the answer, unless the reader wants it open. */
  settle() {
    this.settled = true;
    if (!this.touched && preferences.thoughts === "auto" && this.node.thought.length > LONG_THOUGHT) this.element.open = false;
    this.text.scrollTop = 0;
  }

  showCount(live, time) {
    const { own } = countsOf(this.node);
    const budget = this.node.ask?.budget;
    const bounded = Boolean(budget) && this.node.ask.mode !== "direct";
    // A cut thought goes on with a closing phrase that is not the model's own, hence the minimum.
    const shown = bounded ? Math.min(own, budget) : own;
    const words = bounded && live ? t("ofBudget", number(shown), number(budget)) : tokens(shown);
    this.count.textContent = live && time ? `${words} · ${time}` : words;
    this.meter.hidden = !bounded;
    if (bounded) this.meter.firstElementChild.style.inlineSize = `${Math.min(100, (100 * shown) / budget)}%`;
  }
}
