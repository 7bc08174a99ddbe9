// The tools of a conversation in the drawer: the server's calculator, and a reader's own as a JSON list.
import { fit, h } from "./dom.js";
import { t } from "./strings.js";
import { isToolList, problemOfTools } from "./values.js";

const EXAMPLE = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather forecast for a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string" }, days: { type: "integer", minimum: 1, maximum: 7 } },
        required: ["city"],
      },
    },
  },
];

export function toolsPart(settings, set) {
  const switch_ = h("input", { type: "checkbox", checked: Boolean(settings.runs), onchange: () => set("runs", switch_.checked || undefined) });
  const calculator = h("label", { class: "check" }, switch_, h("span", {}, t("calculator"), h("small", {}, t("calculatorHint"))));
  return [h("h4", {}, t("tools")), calculator, ownTools(settings, set)];
}

function ownTools(settings, set) {
  const wrong = h("small", { class: "bad", id: "tools-wrong", role: "alert", hidden: true });
  const hint = h("small", { id: "tools-hint" }, t("toolsHint"));
  const box = h("textarea", { rows: 5, dir: "ltr", class: "mono", spellcheck: false, value: settings.tools ?? "", "aria-label": t("ownTools"), "aria-describedby": "tools-hint tools-wrong" });
  const check = () => {
    const problem = problemOfTools(box.value);
    wrong.hidden = !problem;
    wrong.textContent = problem && t("notUsed", problem);
    box.setAttribute("aria-invalid", String(Boolean(problem)));
    format.disabled = !box.value.trim() || Boolean(problem);
    example.hidden = Boolean(box.value.trim());
    set("tools", !problem && box.value.trim() ? box.value : undefined);
    fit(box);
  };
  const put = (text) => {
    box.value = text;
    check();
    box.focus();
  };
  const act = (label, onclick) => h("button", { type: "button", class: "plain small", onclick }, label);
  const format = act(t("toolsFormat"), () => put(JSON.stringify(JSON.parse(box.value), null, 2)));
  const example = act(t("toolsExample"), () => put(JSON.stringify(EXAMPLE, null, 2)));
  box.addEventListener("input", check);
  format.disabled = !isToolList(box.value) || !box.value.trim();
  example.hidden = Boolean(box.value.trim());
  return h("div", { class: "field" }, h("span", {}, t("ownTools")), box, wrong, h("div", { class: "row" }, example, format), hint);
}
