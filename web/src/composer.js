// The box at the bottom: the message, the mode of thinking and its budget.
import { $, fit, isComposing } from "./dom.js";
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
  constructor({ send, stop, editLast, canSend }) {
    Object.assign(this, { send, stop, editLast, canSend, steps: [null], busy: false });
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.busy ? this.stop() : this.submit();
    });
    $("question").addEventListener("keydown", (event) => this.#key(event));
    $("question").addEventListener("input", () => this.update());
    $("budget").addEventListener("input", () => this.#chosen({ budget: this.steps[$("budget").value] }));
    for (const radio of document.getElementsByName("mode")) radio.addEventListener("change", () => this.#chosen({ mode: radio.value }));
  }

  /** What the next message is asked with. */
  get ask() {
    const { mode, budget } = preferences;
    return { mode, budget: budget === null ? null : this.steps[this.#nearest(budget)] };
  }

  submit() {
    const text = $("question").value.trim();
    if (!text || this.busy || !this.canSend()) return;
    $("question").value = "";
    this.update();
    this.send(text);
  }

  setContext(context) {
    this.steps = budgetSteps(context);
    $("budget").max = this.steps.length - 1;
    this.update();
  }

  setBusy(busy) {
    this.busy = busy;
    this.update();
  }

  nextMode() {
    this.#chosen({ mode: MODES[(MODES.indexOf(preferences.mode) + 1) % MODES.length] });
  }

  update() {
    fit($("question"));
    const { mode, budget } = preferences;
    const text = mode === "direct" ? t("noThought") : budget === null ? t("unlimited") : tokens(this.ask.budget ?? budget);
    for (const radio of document.getElementsByName("mode")) radio.checked = radio.value === mode;
    $("budget").value = budget === null ? this.steps.length - 1 : this.#nearest(budget);
    $("budget").disabled = mode === "direct";
    $("budget").setAttribute("aria-valuetext", text);
    $("budget-value").textContent = mode !== "direct" && budget !== null ? number(this.ask.budget ?? budget) : text;
    $("budget").style.setProperty("--fill", `${(100 * $("budget").value) / Math.max(1, $("budget").max)}%`);
    $("budget-field").classList.toggle("off", mode === "direct");
    $("composer").classList.toggle("busy", this.busy);
    const label = t(this.busy ? "stop" : "send");
    Object.assign($("send"), { disabled: !this.busy && (!$("question").value.trim() || !this.canSend()), title: label });
    $("send").setAttribute("aria-label", label);
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
