// The tools of a conversation in the drawer: the server's calculator, and a reader's own as a JSON list.
import { fit, h } from "./dom.js";
import { originOf } from "./call.js";
import { t } from "./strings.js";
import { isAgents, loadServerTools, server } from "./tools.js";
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
  if (server.on) return [h("h4", {}, t("tools")), ...serverTools(settings, set)];
  const switch_ = h("input", { type: "checkbox", checked: Boolean(settings.runs), onchange: () => set("runs", switch_.checked || undefined) });
  const calculator = h("label", { class: "check" }, switch_, h("span", {}, t("calculator"), h("small", {}, t("calculatorHint"))));
  return [h("h4", {}, t("tools")), calculator, ownTools(settings, set)];
}

/** What the operator turned on: all of it or a choice, by where it comes from, and how the MCP servers are. */
function serverTools(settings, set) {
  const rest = h("div", { class: "server-tools" });
  const switch_ = h("input", { type: "checkbox", checked: isAgents(settings), onchange: () => (set("agent", switch_.checked ? undefined : false), draw()) });
  const draw = () => {
    rest.hidden = !isAgents(settings);
    rest.replaceChildren(...server.servers.map(serverLine), ...byOrigin().map(([origin, tools]) => group(origin, tools, settings, set)));
  };
  draw();
  loadServerTools(true).then(draw, () => {}); // servers start and end
  const label = h("label", { class: "check" }, switch_, h("span", {}, t("agentTools"), h("small", {}, t("agentToolsHint", t(MODES[server.mode] ?? "modeAsk")))));
  return [label, rest];
}

const MODES = { plan: "modePlan", ask: "modeAsk", auto: "modeAuto", yolo: "modeYolo" };

function serverLine({ name, state, cause, tools, notes = [] }) {
  const ready = state === "ready";
  const odd = notes.map((note) => h("small", {}, note));
  return h("p", { class: `note${cause ? " bad" : ""}` }, ready ? t("serverReady", name, tools) : cause ?? t("serverStarting", name), ...odd);
}

function byOrigin() {
  const found = new Map();
  for (const tool of server.data) found.set(tool.origin, [...(found.get(tool.origin) ?? []), tool]);
  return [...found];
}

function group(origin, tools, settings, set) {
  const box = (tool) => {
    const input = h("input", { type: "checkbox", checked: !(settings.without ?? []).includes(tool.name), onchange: () => change(tool.name, input.checked) });
    return h("label", { class: "check" }, input, h("span", {}, h("code", {}, tool.name), h("small", {}, tool.description.split("\n")[0])));
  };
  const change = (name, on) => {
    const without = new Set(settings.without ?? []);
    if (on) without.delete(name);
    else without.add(name);
    set("without", without.size ? [...without] : undefined);
  };
  return h("fieldset", { class: "tool-group" }, h("legend", {}, originOf(origin)), ...tools.map(box));
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
