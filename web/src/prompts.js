// Prompts that a reader keeps, in this browser.
import { h, iconButton, sheet } from "./dom.js";
import { t } from "./strings.js";

const KEY = "sansi.prompts";
const SHOWN = 200; // characters

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each === "string") : [];
  } catch {
    return [];
  }
}

function write(prompts) {
  try {
    localStorage.setItem(KEY, JSON.stringify(prompts));
    return true;
  } catch {
    return false; // storage is full or forbidden
  }
}

/** The list of kept prompts: `draft` can be kept, `pick(text)` takes one. */
export function openPrompts(draft, pick) {
  const list = h("ul", { class: "prompts" });
  const note = h("p", { class: "note", role: "status" });
  const keep = iconButton("plus", t("promptKeep"), () => keepDraft(), { text: true, class: "plain", disabled: !draft });
  const hint = h("p", { class: "note" }, t(draft ? "promptHint" : "promptNone"));
  const dialog = sheet("prompts", t("prompts"), h("div", { class: "sheet-body" }, hint, h("div", { class: "row" }, keep), list, note));

  function keepDraft() {
    const prompts = read();
    if (!prompts.includes(draft) && !write([draft, ...prompts])) note.textContent = t("promptFailed");
    show();
  }

  function one(text, i) {
    const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
    const take = h("button", { type: "button", class: "prompt", dir: "auto", onclick: () => (dialog.close(), pick(text)) }, shown);
    const drop = iconButton("trash", t("promptDrop", text.slice(0, 40)), () => {
      write(read().filter((_, at) => at !== i));
      show();
      (list.querySelectorAll(".prompt")[Math.max(0, i - 1)] ?? keep).focus();
    });
    return h("li", {}, take, drop);
  }

  function show() {
    const prompts = read();
    keep.disabled = !draft || prompts.includes(draft);
    list.replaceChildren(...prompts.map(one));
    list.hidden = !prompts.length;
  }

  show();
}
