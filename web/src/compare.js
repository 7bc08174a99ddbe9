// The same question at several budgets, side by side: each column is an answer of its own, and a branch of the conversation.
import { Answer } from "./answer.js";
import { budgetField } from "./budgets.js";
import { h, iconButton } from "./dom.js";
import { endOf } from "./facts.js";
import { accuracyAt, curveOf } from "./models.js";
import { countsOf, totalSeconds } from "./run.js";
import { number, percent, seconds, t, tokens } from "./strings.js";
import { compared } from "./tree.js";
import { Turn } from "./turn.js";

export const MOST = 5; // columns; a browser holds six connections to a server, and one is for all else

export class Comparison extends Turn {
  constructor(page, conversation, node) {
    super(page, conversation, node, "comparison", t("comparison"));
    this.columns = new Map();
    this.grid = h("div", { class: "columns" });
    this.curve = h("div", { class: "curve" });
    this.title = h("p", { class: "comparison-title" });
    this.addButton = iconButton("plus", t("addBudget"), () => this.add(), { text: true, class: "plain small" });
    this.stopButton = iconButton("stop", t("stopAll"), () => page.stop(), { text: true, class: "plain small" });
    this.head = h("div", { class: "comparison-head" }, h("div", {}, this.title, h("p", { class: "note" }, t("sameSeed"))), this.curve);
    this.actions.append(this.versions, this.addButton, this.stopButton);
    this.element.append(this.head, this.grid, this.actions);
  }

  get members() {
    return compared(this.conversation, this.node);
  }

  update() {
    // Whichever of them the conversation goes on from stands for all.
    this.node = this.page.onPath(this.members) ?? this.members[0] ?? this.node;
    const { members, page } = this;
    for (const [id] of this.columns) if (!members.some((node) => node.id === id)) this.columns.delete(id);
    for (const node of members) if (!this.columns.has(node.id)) this.columns.set(node.id, new Column(page, this.conversation, node));
    const wanted = members.map((node) => this.columns.get(node.id).element);
    if (wanted.some((element, i) => element !== this.grid.children[i]) || wanted.length !== this.grid.children.length) this.grid.replaceChildren(...wanted);
    this.grid.style.setProperty("--columns", String(members.length));
    for (const column of this.columns.values()) column.update();
    this.title.textContent = t("comparisonOf", number(members.length));
    this.addButton.hidden = page.busy() || members.length >= MOST;
    this.stopButton.hidden = !page.busy();
    this.showVersions();
    this.showCurve();
  }

  /** A budget that is not there yet: twice the largest bounded one. */
  add() {
    const largest = Math.max(8, ...this.members.map((node) => node.ask.budget ?? 0));
    this.page.addColumn(this.node, 2 * largest);
  }

  showCurve() {
    const { model } = this.page.modelOf(this.node) ?? {};
    const curve = curveOf(this.page.modelOf(this.node));
    const budgets = this.members.map((node) => node.ask.budget);
    const key = JSON.stringify([model, budgets]);
    if (key === this.curveKey || curve.length < 3) return;
    this.curveKey = key;
    this.curve.replaceChildren(chart(curve, budgets), h("p", { class: "note" }, t("curveNote")));
  }
}

const [WIDE, HIGH, EDGE] = [180, 52, 5];

/** Accuracy over the logarithm of the budget, as a line; a dot for each budget in `shown`. */
function chart(curve, shown) {
  const bounded = curve.filter((point) => point.budget !== null).map((point) => point.budget);
  const far = Math.log2(Math.max(...bounded) + 1) + 1;
  const x = (budget) => EDGE + ((WIDE - 2 * EDGE) * (budget === null ? far : Math.min(far, Math.log2(budget + 1)))) / far;
  const y = (share) => HIGH - EDGE - (HIGH - 2 * EDGE) * share;
  const draw = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const line = curve.map(({ budget, accuracy }, i) => `${i ? "L" : "M"}${x(budget).toFixed(1)} ${y(accuracy).toFixed(1)}`).join("");
  const model = { sansi: { budget_curve: { points: curve } } };
  const dots = shown.map((budget) => [budget, accuracyAt(model, budget)]).filter(([, found]) => found);
  const svg = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "chart", "aria-hidden": "true" });
  svg.append(draw("path", { d: `M${EDGE} ${HIGH - EDGE}H${WIDE - EDGE}`, class: "axis" }), draw("path", { d: line }));
  svg.append(...dots.map(([budget, { share }]) => draw("circle", { cx: x(budget), cy: y(share), r: 3.5 })));
  return svg;
}

class Column extends Answer {
  constructor(page, conversation, node) {
    super(page, conversation, node, true);
    this.element.className = "column";
    const name = node.ask.budget === null ? t("unlimited") : tokens(node.ask.budget);
    this.element.setAttribute("aria-label", t("columnOf", name));
    this.field = budgetField(node.ask.budget, t("budget"), (budget) => page.redo(node, budget));
    this.close = iconButton("close", t("dropBudget", name), () => page.dropColumn(node), { class: "quiet icon-only drop" });
    this.share = h("p", { class: "share" });
    this.spent = h("p", { class: "spent" });
    this.none = h("p", { class: "note none" }, t("noThought"));
    this.fromHere = h("button", { type: "button", class: "plain small from-here", onclick: () => page.goOnFrom(node) });
    const head = h("div", { class: "column-head" }, h("div", { class: "column-budget" }, this.field.element, this.close), this.share);
    const thought = h("div", { class: "column-thought" }, this.none, this.thought.element);
    const said = h("div", { class: "column-answer" }, this.who, this.waiting, this.body, this.cards, this.problem);
    this.buttons.replaceChildren(this.copyButton, this.moreButton);
    this.actions.replaceChildren(this.fromHere, this.buttons);
    this.element.replaceChildren(this.element.firstElementChild, head, thought, said, h("div", { class: "column-foot" }, this.spent, this.actions), this.report);
  }

  update() {
    const { node, page } = this;
    super.update(page.clock(node));
    const running = node.status === "running";
    const chosen = page.isChosen(node);
    this.element.classList.toggle("chosen", chosen && !running);
    this.field.set(node.ask.budget, page.busy());
    this.close.hidden = page.busy() || compared(this.conversation, node).length < 2;
    this.none.hidden = running || Boolean(node.thought);
    this.fromHere.hidden = running;
    this.fromHere.textContent = t(chosen ? "goesOnHere" : "goOnHere");
    this.fromHere.setAttribute("aria-pressed", String(chosen));
    this.spent.textContent = this.spentText();
    this.showShare();
  }

  spentText() {
    const { own, answer } = countsOf(this.node);
    const parts = [own ? t("spent", number(own), number(answer)) : t("spentAnswer", number(answer))];
    const took = totalSeconds(this.node, this.page.clock(this.node));
    if (took) parts.push(seconds(took));
    const end = this.node.status === "running" ? null : endOf(this.node);
    return [...parts, ...(end ? [end.text] : [])].join(" · ");
  }

  showShare() {
    const { node, page } = this;
    const found = accuracyAt(page.modelOf(node), node.ask.budget);
    this.share.hidden = !found;
    if (!found) return;
    const words = percent(found.share);
    this.share.textContent = t(found.exact ? "shareRight" : "shareAbout", words);
    this.share.title = t("shareTitle", words);
    this.share.style.setProperty("--share", String(found.share));
  }
}
