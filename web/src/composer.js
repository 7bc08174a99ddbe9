// The box at the bottom: the message, what is attached to it, the mode of thinking, and its budget or budgets.
import { attachedFrom } from "./attach.js";
import { budgetField, budgetRow } from "./budgets.js";
import { MOST } from "./compare.js";
import { $, fit, h, icon, isComposing } from "./dom.js";
import { prefer, preferences } from "./store.js";
import { number, t, tokens } from "./strings.js";

const LEAST = 8;
export const MODES = ["auto", "think", "direct"];

/** Budgets on a scale that doubles every second step, up to what the context holds; null, the last, is unlimited. */
export function budgetSteps(context) {
  const steps = [];
  for (let step = LEAST; step <= context; step *= 2) steps.push(step, step * 1.5);
  return [...steps.filter((step) => step <= context), null];
}

export class Composer {
  /** `parts`: send(message), stop, editLast, canSend, cannotSend, changed, model(), counted(text, tokens), sizeOf(attached), in words. */
  constructor(parts) {
    Object.assign(this, { ...parts, steps: [null], context: Infinity, busy: false, attachments: [], reading: [], refused: [], recommended: undefined, thinks: true });
    this.field = budgetField(null, t("budget"), (budget) => this.#chosen({ budget }));
    $("budget-typed").append(this.field.element);
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.busy ? this.stop() : this.submit();
    });
    $("question").addEventListener("keydown", (event) => this.#key(event));
    $("question").addEventListener("input", () => this.update());
    $("budget").addEventListener("input", () => this.#chosen({ budget: this.steps[$("budget").value] }));
    $("compare").addEventListener("click", () => this.#chosen({ compare: !preferences.compare }));
    // A press leaves the caret in the question, so that Enter asks instead of taking the choice back.
    for (const id of ["compare", "recommended"]) $(id).addEventListener("mousedown", (event) => event.preventDefault());
    $("recommended").addEventListener("click", () => this.#chosen({ budget: this.recommended, compare: false }));
    for (const radio of document.getElementsByName("mode")) radio.addEventListener("change", () => this.#chosen({ mode: radio.value }));
  }

  /** What the next message is asked with; a model that does not think is asked for no mode. */
  get ask() {
    if (!this.thinks) return { mode: "auto", budget: null };
    const { mode, budget } = preferences;
    return { mode, budget: budget !== null && budget <= this.context ? budget : null };
  }

  /** The budgets that are compared. */
  get budgets() {
    const held = preferences.budgets.filter((budget) => budget === null || budget <= this.context);
    return held.length ? held : [0, null];
  }

  get draft() {
    return { text: $("question").value.trim(), attachments: this.attachments };
  }

  focus() {
    $("question").focus();
  }

  submit() {
    const { text, attachments } = this.draft;
    if (!(text || attachments.length) || this.busy || this.reading.length) return;
    const compares = preferences.compare && this.thinks;
    if (!this.canSend()) return this.cannotSend();
    $("question").value = "";
    this.attachments = [];
    this.refused = [];
    this.update();
    this.send({ text, attachments, budgets: compares ? this.budgets : null });
  }

  /** A text in the place of the selection, as if it had been typed. */
  insert(text) {
    const box = $("question");
    box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
    box.focus();
    this.update();
  }

  /** Read files; each that has text is attached, of any other it is said why not. */
  async attach(files) {
    this.refused = [];
    await Promise.all(files.map((file) => this.#read(file)));
    this.focus();
  }

  async #read(file) {
    const stop = new AbortController();
    const entry = { name: file.name, stop: () => stop.abort() };
    this.reading = [...this.reading, entry];
    this.update();
    try {
      const { tokens, ...attached } = await attachedFrom(file, this.model(), stop.signal);
      if (Number.isFinite(tokens)) this.counted(attached.text, tokens);
      if (!stop.signal.aborted) this.attachments = [...this.attachments, attached];
    } catch (error) {
      if (!stop.signal.aborted) this.refused = [...this.refused, { name: file.name, message: error.message }];
    }
    this.reading = this.reading.filter((each) => each !== entry);
    this.update();
  }

  /** `recommended`: a budget that is nearly as good as none, where the model's curve tells it. `thinks`: it has a thinking mode. */
  setModel(context, recommended, thinks) {
    Object.assign(this, { context, recommended, thinks, steps: budgetSteps(context) });
    $("budget").max = this.steps.length - 1;
    this.update();
  }

  setBusy(busy) {
    this.busy = busy;
    this.update();
  }

  nextMode() {
    if (!this.thinks) return;
    this.#chosen({ mode: MODES[(MODES.indexOf(preferences.mode) + 1) % MODES.length], compare: false });
  }

  update() {
    fit($("question"));
    this.#showModes();
    this.#showBudget();
    this.#showCompared();
    this.#showAttached();
    $("composer").classList.toggle("busy", this.busy);
    const label = t(this.busy ? "stop" : preferences.compare && this.thinks ? "sendCompare" : "send");
    const { text, attachments } = this.draft;
    Object.assign($("send"), { disabled: !this.busy && (!(text || attachments.length) || this.reading.length > 0), title: label });
    $("send").setAttribute("aria-label", label);
    this.changed();
  }

  #showModes() {
    const { mode, compare } = preferences;
    for (const radio of document.getElementsByName("mode")) radio.checked = radio.value === mode;
    $("modes").hidden = compare || !this.thinks;
    $("compare").hidden = !this.thinks;
    $("mode-note").textContent = t(!this.thinks ? "noThoughts" : compare ? "compareNote" : `${mode}Note`);
    const { recommended } = this;
    const useful = this.thinks && recommended !== undefined && mode !== "direct" && !compare && this.ask.budget !== recommended;
    $("recommended").hidden = !useful;
    if (useful) $("recommended").textContent = t("recommended", tokens(recommended));
  }

  #showBudget() {
    const off = preferences.mode === "direct";
    const { budget } = this.ask;
    $("budget").value = budget === null ? this.steps.length - 1 : this.#nearest(budget);
    $("budget").disabled = off;
    $("budget").setAttribute("aria-valuetext", off ? t("noThought") : budget === null ? t("unlimited") : tokens(budget));
    $("budget").style.setProperty("--fill", `${(100 * $("budget").value) / Math.max(1, $("budget").max)}%`);
    $("budget-field").classList.toggle("off", off);
    $("budget-field").hidden = preferences.compare || !this.thinks;
    this.field.set(budget, off);
  }

  #showCompared() {
    const on = preferences.compare && this.thinks;
    $("compare").setAttribute("aria-pressed", String(on));
    $("compare-row").hidden = !on;
    const key = JSON.stringify([on, this.budgets, document.documentElement.lang]);
    if (!on || key === this.comparedKey) return;
    this.comparedKey = key;
    $("compare-budgets").replaceChildren(...budgetRow(this.budgets, MOST, (budgets) => this.#chosen({ budgets })));
  }

  #showAttached() {
    const one = (list, entry, ...shown) => {
      const drop = () => {
        entry.stop?.();
        this[list] = this[list].filter((each) => each !== entry);
        this.update();
        this.focus();
      };
      const label = t("detach", entry.name);
      return h("li", { class: list === "attachments" ? "ready" : list }, icon(list === "refused" ? "alert" : "file"), ...shown, h("button", { type: "button", class: "drop", title: label, "aria-label": label, onclick: drop }, "×"));
    };
    const named = (entry, size) => [h("span", { class: "attached-name", dir: "auto" }, entry.name), h("span", { class: "unit" }, size)];
    const sizeOf = (entry) => [...(entry.pages ? [t("pages", entry.pages)] : []), this.sizeOf(entry), ...(entry.notes ?? [])].filter(Boolean).join(" · ");
    const shown = [
      ...this.attachments.map((entry) => one("attachments", entry, ...named(entry, sizeOf(entry)))),
      ...this.reading.map((entry) => one("reading", entry, ...named(entry, t("attachReading")))),
      ...this.refused.map((entry) => one("refused", entry, h("span", { role: "alert" }, entry.message))),
    ];
    $("attachments").hidden = !shown.length;
    $("attachments").replaceChildren(...shown);
  }

  #chosen(changes) {
    prefer(changes);
    this.update();
  }

  #nearest(budget) {
    const above = this.steps.findIndex((step) => step === null || step >= budget);
    return above < 0 ? this.steps.length - 1 : above;
  }

  #key(event) {
    if (isComposing(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (!this.busy) this.submit();
    }
    if (event.key === "ArrowUp" && !$("question").value && !this.busy) {
      event.preventDefault();
      this.editLast();
    }
  }
}
