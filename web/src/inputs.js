// What a server asks the reader in the middle of a call: a form, or a page to visit. All of it is a stranger's text: it
// is shown as text, and an address is never a link.
import { announce, h } from "./dom.js";
import { t } from "./strings.js";

/** The question with its answers. `reply(action, content)` sends one; what it raises is shown, and the form stays. */
export function inputForm({ server, message, schema, url }, reply) {
  announce(t("saidInput", server));
  const fields = schema ? fieldsOf(schema) : [];
  const wrong = h("small", { class: "bad", role: "alert", hidden: true });
  const buttons = h("div", { class: "row" });
  const say = async (action) => {
    for (const button of buttons.children) button.disabled = true;
    wrong.hidden = true;
    try {
      const given = fields.map(({ name, value }) => [name, value()]).filter(([, value]) => value !== undefined);
      await reply(action, action === "accept" && schema ? Object.fromEntries(given) : undefined);
    } catch (error) {
      wrong.hidden = false;
      wrong.textContent = error.message || t("errorOffline");
      for (const button of buttons.children) button.disabled = false;
    }
  };
  buttons.append(
    h("button", { type: "submit", class: "primary" }, t(schema ? "inputSend" : "inputVisited")),
    h("button", { type: "button", class: "plain", onclick: () => say("decline") }, t("inputDecline")),
    h("button", { type: "button", class: "plain", onclick: () => say("cancel") }, t("inputCancel")),
  );
  const page = url ? [h("p", { class: "note" }, t("inputPage", hostOf(url))), h("pre", { class: "asked", tabIndex: 0, dir: "ltr" }, url)] : [];
  const head = [h("p", { class: "note" }, t("inputOf", server)), h("p", { class: "input-message", dir: "auto" }, message)];
  const onsubmit = (event) => (event.preventDefault(), say("accept"));
  return h("form", { class: "input-form", onsubmit }, ...head, ...page, ...fields.map((field) => field.element), buttons, wrong);
}

function hostOf(url) {
  try {
    return new URL(url).hostname;
  } catch {
    return "?";
  }
}

function fieldsOf({ properties = {}, required = [] }) {
  return Object.entries(properties ?? {}).map(([name, schema]) => fieldOf(name, schema ?? {}, required.includes?.(name)));
}

/** Values are of the types that the form wants; an empty box is no value. */
function fieldOf(name, schema, required) {
  const choices = optionsOf(schema);
  const several = schema.type === "array" ? optionsOf(schema.items ?? {}) : null;
  if (several?.length) return severalOf(name, schema, several);
  if (choices.length) return choiceOf(name, schema, choices, required);
  if (schema.type === "boolean") {
    const box = h("input", { type: "checkbox", checked: schema.default === true });
    return { name, value: () => box.checked, element: h("label", { class: "check" }, box, h("span", {}, titleOf(name, schema), hintOf(schema))) };
  }
  const isNumber = ["integer", "number"].includes(schema.type);
  const type = isNumber ? "number" : { email: "email", date: "date" }[schema.format] ?? "text";
  const lengths = schema.minLength > schema.maxLength ? {} : { minLength: schema.minLength, maxLength: schema.maxLength }; // a box throws
  const bounds = isNumber ? { min: schema.minimum, max: schema.maximum, step: schema.type === "integer" ? 1 : "any" } : lengths;
  const box = h("input", { type, required: Boolean(required), value: schema.default ?? "", dir: "auto", ...bounds });
  const value = () => (box.value === "" ? undefined : isNumber ? Number(box.value) : schema.type === "array" ? box.value.split(",").map((part) => part.trim()) : box.value);
  return { name, value, element: labelled(name, schema, box) };
}

function choiceOf(name, schema, choices, required) {
  const none = required && schema.default !== undefined ? [] : [h("option", { value: "" }, t("inputNone"))];
  const list = h("select", { required: Boolean(required) }, ...none, ...choices.map(([, label], i) => h("option", { value: String(i) }, label)));
  const chosen = choices.findIndex(([value]) => value === schema.default);
  list.value = chosen < 0 ? list.options[0]?.value ?? "" : String(chosen);
  return { name, value: () => choices[list.value]?.[0], element: labelled(name, schema, list) };
}

function severalOf(name, schema, choices) {
  const boxes = choices.map(([value]) => h("input", { type: "checkbox", checked: (schema.default ?? []).includes?.(value) ?? false }));
  const lines = choices.map(([, label], i) => h("label", { class: "check" }, boxes[i], h("span", {}, label)));
  const value = () => choices.filter((_, i) => boxes[i].checked).map(([each]) => each);
  return { name, value, element: h("fieldset", {}, h("legend", {}, titleOf(name, schema)), hintOf(schema), ...lines) };
}

const titleOf = (name, schema) => String(schema.title ?? name);
const hintOf = (schema) => (schema.description ? h("small", { dir: "auto" }, String(schema.description)) : null);
const labelled = (name, schema, box) => h("label", { class: "field" }, h("span", {}, titleOf(name, schema)), box, hintOf(schema));

/** [value, label] each: by `enum`, with `enumNames` beside it, or by alternatives with `const` and `title`. */
function optionsOf(schema) {
  if (Array.isArray(schema.enum)) return schema.enum.map((value, i) => [value, String(schema.enumNames?.[i] ?? value)]);
  const members = schema.oneOf ?? schema.anyOf;
  return Array.isArray(members) && members.every((each) => each && "const" in each) ? members.map((each) => [each.const, String(each.title ?? each.const)]) : [];
}
