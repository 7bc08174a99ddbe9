// What a model is: its size, bits, context and memory, how good it is at each budget, and its card.
import { modelCard } from "./api.js";
import { h, sheet } from "./dom.js";
import { contextOf, curveOf, descriptionOf } from "./models.js";
import { language, number, percent, t, tokens } from "./strings.js";
import { show } from "./words.js";

export async function openAbout(model) {
  if (!model) return;
  const body = h("div", { class: "sheet-body" });
  fill(body, model);
  sheet("about", model.id, body);
  try {
    const whole = await modelCard(model.id);
    if (body.isConnected) fill(body, whole);
  } catch {
    // what the list of models told has to do
  }
}

function fill(body, model) {
  const about = descriptionOf(model, language());
  const entries = rowsOf(model).flatMap(([name, value]) => [h("dt", {}, t(name)), h("dd", {}, value)]);
  body.replaceChildren(...(about ? [h("p", {}, about)] : []), h("dl", { class: "facts-list" }, ...entries), ...curvePart(model), ...cardPart(model));
}

function rowsOf(model) {
  const { parameters, bits_per_parameter: bits, weight_bytes, cache_bytes, cache_tokens, memory_bytes, device, backend } = model.sansi ?? {};
  const found = [["aboutContext", tokens(contextOf(model))]];
  if (parameters) found.unshift(["aboutSize", t("aboutParameters", counted(parameters))]);
  if (weight_bytes) found.push(["aboutWeights", t("aboutBits", sized(weight_bytes), number(bits, 1))]);
  if (memory_bytes) found.push(["aboutMemory", t("aboutPlan", sized(memory_bytes), sized(cache_bytes), number(cache_tokens))]);
  if (backend) found.push(["aboutBackend", t("aboutPlace", device, backend)]);
  return found;
}

function curvePart(model) {
  const curve = curveOf(model);
  if (!curve.length) return [];
  const row = ({ budget, accuracy }) => h("tr", {}, h("th", { scope: "row" }, budget === null ? t("unlimited") : number(budget)), h("td", {}, percent(accuracy, 1)));
  const head = h("tr", {}, h("th", { scope: "col" }, t("budget")), h("th", { scope: "col" }, t("aboutRight")));
  return [h("h3", {}, t("aboutCurve")), h("p", { class: "note" }, t("aboutCurveNote")), h("table", {}, h("thead", {}, head), h("tbody", {}, ...curve.map(row)))];
}

function cardPart(model) {
  if (!model.text) return [];
  const text = h("div", { class: "md" });
  show(text, model.text, true);
  return [h("details", { class: "card-text" }, h("summary", {}, t("aboutCard")), text)];
}

const UNITS = [
  [1e9, "billion"],
  [1e6, "million"],
  [1e3, "thousand"],
];

function counted(value) {
  const [size, name] = UNITS.find(([size]) => value >= size) ?? [1, ""];
  return name ? t(name, number(value / size, value / size < 100 ? 2 : 0)) : number(value);
}

const sized = (bytes) => (bytes >= 2 ** 30 ? `${number(bytes / 2 ** 30, 1)} GiB` : `${number(bytes / 2 ** 20, 1)} MiB`);
