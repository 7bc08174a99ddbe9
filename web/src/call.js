// The card of a call that the server runs: what is called and where, how far it is, the question, and what came of it.
// Everything in it that a tool or a model wrote is text: no markup, no link, no picture from elsewhere.
import { shownWhole } from "./api.js";
import { argumentsOf } from "./cards.js";
import { announce, copy, download, h, icon, iconButton } from "./dom.js";
import { number, seconds, t } from "./strings.js";

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"]; // no SVG: it is a document
const SHORT_LINES = 6;
const SHORT = 400; // characters of a result, beyond which it is folded

const extras = () => import("./extras.js"); // forms of servers are seldom met

export class CallCard {
  constructor(page, node, call) {
    Object.assign(this, { page, node });
    this.state = h("span", { class: "card-state" });
    this.origin = h("span", { class: "card-origin", hidden: true });
    const head = h("div", { class: "card-head" }, icon("tool"), h("code", {}, call.name), this.origin, this.state);
    this.given = h("div", { class: "card-given" });
    this.asked = h("div", { class: "card-question", hidden: true });
    this.inputs = h("div", { class: "card-question", hidden: true });
    this.progress = h("p", { class: "note card-progress", hidden: true });
    this.result = h("div", { class: "card-result", hidden: true });
    this.element = h("section", { class: "card call", "aria-label": `${t("toolWants")} ${call.name}` }, head, this.given, this.asked, this.inputs, this.progress, this.result);
  }

  update(call, now) {
    Object.assign(this.element.dataset, { call: call.id, state: stateOf(call) });
    this.origin.hidden = !call.origin;
    this.origin.textContent = call.origin ? originOf(call.origin) : "";
    this.state.textContent = wordsFor(call, now, this.node.calls ?? []);
    this.state.classList.toggle("bad", Boolean(call.error) || ["failed", "asking"].includes(stateOf(call)));
    if (this.shown !== call.arguments + call.state) this.given.replaceChildren(argumentsOf(call));
    this.shown = call.arguments + call.state;
    this.progress.hidden = !call.progress;
    this.progress.textContent = call.progress ?? "";
    this.showQuestion(call);
    this.showInputs(call);
    if (call.result && !this.told) this.result.replaceChildren(...resultOf(call, (change) => this.page.log.keepEnd(change)));
    this.told = Boolean(call.result);
    this.result.hidden = !call.result;
  }

  /** What the server behind the call asks; a form stays as it is while it is filled in. */
  showInputs({ inputs = [] }) {
    const ids = inputs.map(({ id }) => id).join();
    this.inputs.hidden = !ids;
    if (this.filling === ids) return;
    this.filling = ids;
    extras().then(({ inputForm }) => this.filling === ids && this.putForms(inputs, inputForm));
  }

  putForms(inputs, inputForm) {
    const before = this.forms ?? new Map();
    const made = (asked) => inputForm(asked, (...said) => this.page.answerInput(this.node, asked.id, ...said));
    this.forms = new Map(inputs.map((asked) => [asked.id, before.get(asked.id) ?? made(asked)]));
    for (const [id, form] of before) if (!this.forms.has(id)) form.remove();
    for (const form of this.forms.values()) if (!form.isConnected) this.inputs.append(form);
  }

  /** The thing itself, why it is asked, and the four answers. The box for the reason stays while it is written in. */
  showQuestion(call) {
    const { question } = call;
    this.asked.hidden = !question;
    this.given.hidden = Boolean(question);
    if (!question) return (this.questioned = null);
    if (this.questioned === question.id) return undefined;
    this.questioned = question.id;
    announce(t("saidAsked", question.tool));
    const reason = h("input", { type: "text", "aria-label": t("askReason"), placeholder: t("askReason"), dir: "auto" });
    const say = async (choice) => {
      for (const button of buttons.children) button.disabled = true;
      wrong.hidden = true;
      try {
        await this.page.answerCall(this.node, call, choice, choice === "no" ? reason.value.trim() : "");
      } catch (error) {
        wrong.hidden = false;
        wrong.textContent = error.message || t("errorOffline");
        for (const button of buttons.children) button.disabled = false;
      }
    };
    const buttons = h("div", { class: "row" });
    const offer = (choices) => buttons.replaceChildren(...choices.map((choice) => h("button", { type: "button", class: choice === "once" ? "primary" : "plain", onclick: () => say(choice) }, t(ANSWERS[choice]))));
    offer(question.choices);
    const thing = h("pre", { class: "asked", tabIndex: 0, dir: "auto" }, question.shown);
    const whole = question.whole ? [wholeOf(question, thing, () => (call.seen = true, offer(Object.keys(ANSWERS).filter((choice) => [...question.choices, ...question.when_seen].includes(choice)))))] : [];
    const wrong = h("small", { class: "bad", role: "alert", hidden: true });
    const form = h("form", { class: "ask-reason", onsubmit: (event) => (event.preventDefault(), say("no")) }, reason);
    const reasons = question.reasons.map((why) => h("p", { class: "note" }, why));
    const unsaid = question.copied.filter(({ value }) => !question.reasons.some((why) => why.includes(value.slice(0, 200))));
    const copied = unsaid.map((each) => h("p", { class: "note bad" }, t("askCopied", each.argument, each.origin, each.value)));
    const changed = question.difference ? [h("p", { class: "note bad" }, t("askChanged")), h("pre", { tabIndex: 0, dir: "ltr" }, question.difference)] : [];
    this.asked.replaceChildren(thing, ...whole, h("div", { class: "card-why" }, ...reasons, ...copied, ...changed), buttons, form, wrong);
    return undefined;
  }
}

/** A button that puts all of a call in the place of what is shown in part; `onseen`: once it stands there. */
function wholeOf({ whole }, thing, onseen) {
  const wrong = h("small", { class: "bad", role: "alert" });
  const see = async () => {
    button.disabled = true;
    try {
      thing.textContent = await shownWhole(whole);
    } catch (error) {
      wrong.textContent = error.message || t("errorOffline");
      button.disabled = false;
      return;
    }
    row.hidden = true;
    onseen();
  };
  const button = h("button", { type: "button", class: "plain", onclick: see }, t("askWhole"));
  const row = h("div", { class: "row" }, button, wrong);
  return row;
}

const ANSWERS = { once: "askOnce", session: "askSession", always: "askAlways", no: "askNo" };

/** writing, ready, asking, running, done, failed, denied or cancelled. */
function stateOf(call) {
  if (call.error) return "failed";
  if (!call.result) return call.state ?? "ready";
  const { status } = call.result;
  return { ok: "done", denied: "denied", cancelled: "cancelled" }[status] ?? "failed";
}

function wordsFor(call, now, others) {
  if (call.error) return t("toolCannot", call.error);
  const state = stateOf(call);
  const taken = call.result?.seconds ? ` · ${seconds(call.result.seconds)}` : ""; // what never ran took no time
  if (state === "ready" && others.some((other) => other !== call && stateOf(other) === "asking")) return t("callWaits");
  if (state === "running") return t("callRunning", seconds(Math.max(0, Math.round((now ?? 0) - (call.since ?? 0)))));
  if (state === "failed") return t(call.result.status === "timeout" ? "callTimeout" : "callFailed") + taken;
  return t({ writing: "toolWriting", ready: "callReady", asking: "callAsking", done: "callDone", denied: "callDenied", cancelled: "callCancelled" }[state]) + taken;
}

export function originOf(origin) {
  if (origin.startsWith("mcp:")) return t("originServer", origin.slice(4));
  return t(origin === "built-in" ? "originBuiltIn" : "originOwn");
}

function resultOf({ result }, grow) {
  const { text, attachments = [], status } = result;
  const lines = text.split("\n").length;
  const facts = [t("resultSize", number(text.length))];
  if (result.cut) facts.push(t("resultCut"));
  if (result.tainted) facts.push(t("resultTainted"));
  if (result.origin && !/^(python|built-in|mcp:)/.test(result.origin)) facts.push(result.origin);
  const body = h("pre", { tabIndex: 0, dir: "auto" }, text);
  const bad = !["ok", "cancelled"].includes(status);
  const copying = iconButton("copy", t("copyResult"), () => copy(text, copying));
  const details = h("details", { open: text.length <= SHORT && lines <= SHORT_LINES, class: bad ? "bad" : "" }, h("summary", {}, facts.join(" · ")), h("div", { class: "result-body" }, body, copying));
  return [details, ...attachments.map((file) => attached(file, grow))];
}

/** A picture of a kind that runs nothing is shown from the page's own memory; everything else can be saved. */
function attached({ name, type, size, base64 }, grow) {
  const bytes = bytesOf(base64);
  const save = () => download(name, bytes, "application/octet-stream");
  const button = h("button", { type: "button", class: "link", onclick: save }, t("saveFile", name, number(Math.ceil(size / 1024))));
  if (!PICTURES.includes(type)) return h("p", { class: "note file" }, button);
  const image = h("img", { alt: t("pictureOf", name), src: URL.createObjectURL(new Blob([bytes], { type })) });
  const figure = h("figure", { class: "made" }, h("figcaption", { class: "note" }, button));
  const settle = () => URL.revokeObjectURL(image.src);
  image.decode().then(() => grow(() => figure.prepend(image)), () => {}).then(settle); // its height is known then
  return figure;
}

function bytesOf(base64) {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
