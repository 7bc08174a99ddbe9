// A budget that is typed: tokens, or no bound.
import { h } from "./dom.js";
import { number, t } from "./strings.js";
import { budgetIn } from "./values.js";

export const budgetText = (budget) => (budget === null ? t("unlimited") : String(budget));

/** A field for one budget: {element, set(budget, disabled)}. `change` gets a new budget once it is whole. */
export function budgetField(budget, label, change) {
  const box = h("input", { type: "text", inputMode: "numeric", autocomplete: "off", spellcheck: false, "aria-label": label });
  const unit = h("span", { class: "unit", "aria-hidden": "true" });
  const element = h("span", { class: "budget-box" }, box, unit);
  let now = budget;
  const show = () => {
    if (document.activeElement !== box) box.value = budgetText(now);
    unit.textContent = t("unit");
    unit.hidden = budgetIn(box.value) === null;
    box.size = Math.max(1, box.value.length);
  };
  const check = () => {
    const found = budgetIn(box.value);
    box.setAttribute("aria-invalid", String(found === undefined));
    box.title = found === undefined ? t("budgetWant") : "";
    unit.hidden = found === null;
    box.size = Math.max(1, box.value.length);
    return found;
  };
  const commit = () => {
    const found = check();
    if (found === undefined || found === now) return;
    now = found;
    change(found);
  };
  box.addEventListener("input", check);
  box.addEventListener("change", commit);
  box.addEventListener("focus", () => box.select());
  box.addEventListener("blur", () => {
    box.setAttribute("aria-invalid", "false");
    setTimeout(show);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") box.value = budgetText(now);
    else if (check() === undefined) return;
    box.blur();
  });
  show();
  const set = (next, disabled = false) => {
    now = next;
    box.disabled = disabled;
    show();
  };
  return { element, box, set };
}

/** The budgets to compare, in a row of fields: `change` gets them all, sorted, no two alike. */
export function budgetRow(budgets, most, change) {
  const replace = (i, budget) => {
    const all = budgets.with(i, budget);
    change(sorted(all));
  };
  const field = (budget, i) => {
    const { element } = budgetField(budget, t("budgetNo", number(i + 1)), (next) => replace(i, next));
    const drop = h("button", { type: "button", class: "drop", title: t("dropBudget", budgetText(budget)), "aria-label": t("dropBudget", budgetText(budget)), disabled: budgets.length < 2 }, "×");
    drop.addEventListener("click", () => change(budgets.filter((_, at) => at !== i)));
    element.append(drop);
    return element;
  };
  const more = () => change(sorted([...budgets, 2 * Math.max(8, ...budgets.map((each) => each ?? 0))]));
  const add = h("button", { type: "button", class: "drop add", title: t("addBudget"), "aria-label": t("addBudget"), hidden: budgets.length >= most, onclick: more }, "+");
  return [...budgets.map(field), add];
}

function sorted(budgets) {
  return [...new Set(budgets)].sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
}
