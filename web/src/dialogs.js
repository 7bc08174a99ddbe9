// The sheet of shortcuts and the question for a key.
import { h, sheet } from "./dom.js";
import { apiKey } from "./store.js";
import { t } from "./strings.js";

const KEYS = [
  ["keySend", "Enter"],
  ["keyLine", "Shift Enter"],
  ["keyStop", "Esc"],
  ["keyFocus", "/"],
  ["keyEdit", "↑"],
  ["keyMode", "Alt M"],
  ["keyCompare", "Alt C"],
  ["keyNew", "Alt N", "Ctrl Shift O"],
  ["keySearch", "Alt K", "Ctrl K"],
  ["keySidebar", "Alt B"],
  ["keySettings", "Alt S"],
  ["keyHelp", "?"],
];

/** Keys of a shortcut, each in its own frame. */
const keys = (names) => names.split(" ").map((name) => h("kbd", {}, name));

export function openKeys() {
  const or = (combinations) => combinations.flatMap((each, i) => [...(i ? [t("or")] : []), ...keys(each)]);
  const rows = KEYS.flatMap(([name, ...combinations]) => [h("dt", {}, ...or(combinations)), h("dd", {}, t(name))]);
  sheet("keys", t("shortcuts"), h("dl", { class: "keys" }, ...rows));
}

/** Ask for the API key; `then` runs when one was given, `without` when the question was closed. */
export function askForKey(then, without, wrong = false) {
  const box = h("input", { type: "password", autocomplete: "off", spellcheck: false, required: true, autofocus: true });
  const remember = h("input", { type: "checkbox" });
  let given = false;
  const submit = (event) => {
    event.preventDefault();
    apiKey.set(box.value.trim(), remember.checked);
    given = true;
    dialog.close();
    then();
  };
  const form = h(
    "form",
    { onsubmit: submit },
    h("p", { class: wrong ? "bad" : "note" }, t(wrong ? "keyWrong" : "keyNote")),
    ...(wrong ? [] : [h("p", { class: "note" }, t("keyWho"))]),
    h("label", { class: "field" }, h("span", {}, t("apiKey")), box),
    h("label", { class: "check" }, remember, h("span", {}, t("keyRemember"))),
    h("div", { class: "row end" }, h("button", { type: "submit", class: "primary" }, t("keyUse"))),
  );
  const dialog = sheet("key", t("keyTitle"), form);
  dialog.onclose = () => given || without();
  box.focus();
}
