// The sheet of shortcuts and the question for a key.
import { $, closeOutside, h, iconButton } from "./dom.js";
import { apiKey } from "./store.js";
import { t } from "./strings.js";

const KEYS = [
  ["keySend", "Enter"],
  ["keyLine", "Shift Enter"],
  ["keyStop", "Esc"],
  ["keyFocus", "/"],
  ["keyEdit", "↑"],
  ["keyMode", "Alt M"],
  ["keyNew", "Alt N"],
  ["keySearch", "Alt K"],
  ["keySidebar", "Alt B"],
  ["keySettings", "Alt S"],
  ["keyHelp", "?"],
];

/** Keys of a shortcut, each in its own frame. */
export const keys = (names) => names.split(" ").map((name) => h("kbd", {}, name));

function sheet(id, title, ...content) {
  const dialog = $(id);
  const close = iconButton("close", t("close"), () => dialog.close());
  dialog.replaceChildren(h("header", {}, h("h2", { id: `${id}-title` }, title), close), ...content);
  closeOutside(dialog);
  if (!dialog.open) dialog.showModal();
  return dialog;
}

export function openKeys() {
  const rows = KEYS.flatMap(([name, combination]) => [h("dt", {}, ...keys(combination)), h("dd", {}, t(name))]);
  sheet("keys", t("shortcuts"), h("dl", { class: "keys" }, ...rows));
}

/** Ask for the API key; `then` runs when one was given. */
export function askForKey(then, wrong = false) {
  const box = h("input", { type: "password", autocomplete: "off", spellcheck: false, required: true, autofocus: true });
  const remember = h("input", { type: "checkbox" });
  const submit = (event) => {
    event.preventDefault();
    apiKey.set(box.value.trim(), remember.checked);
    dialog.close();
    then();
  };
  const form = h(
    "form",
    { onsubmit: submit },
    h("p", { class: wrong ? "bad" : "note" }, t(wrong ? "keyWrong" : "keyNote")),
    h("label", { class: "field" }, h("span", {}, t("apiKey")), box),
    h("label", { class: "check" }, remember, h("span", {}, t("keyRemember"))),
    h("div", { class: "row end" }, h("button", { type: "submit", class: "primary" }, t("keyUse"))),
  );
  const dialog = sheet("key", t("keyTitle"), form);
  box.focus();
}
