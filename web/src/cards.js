// Calls of tools as cards, and the form for their results.
import { h, icon } from "./dom.js";
import { t } from "./strings.js";

export function card(call, error, writing) {
  const state = error ? t("toolCannot", error) : writing ? t("toolWriting") : "";
  const head = h("div", { class: "card-head" }, icon("tool"), h("span", { class: "card-kind" }, t("toolWants")), h("code", {}, call.name), h("span", { class: `card-state${error ? " bad" : ""}` }, state));
  return h("section", { class: "card", "aria-label": `${t("toolWants")} ${call.name}` }, head, argumentsOf(call));
}

/** Arguments as a table when they are whole and flat enough to read, else the text as it came. */
export function argumentsOf(call) {
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

export function resultsForm(calls, send) {
  const boxes = calls.map((call) => h("textarea", { rows: 2, dir: "auto", placeholder: t("toolGive"), "aria-label": t("toolFor", call.name) }));
  const submit = (event) => {
    event.preventDefault();
    send(calls.map((call, i) => ({ tool_call_id: call.id, content: boxes[i].value })));
  };
  const fields = calls.map((call, i) => h("label", {}, h("span", {}, t("toolFor", call.name)), boxes[i]));
  return h("form", { class: "results-form", onsubmit: submit }, ...fields, h("button", { type: "submit", class: "primary" }, t("toolSend")));
}
