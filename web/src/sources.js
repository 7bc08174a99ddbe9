// What an answer cites: the numbers in its text, and the passages that searches before it gave those numbers, the last
// where one number was given twice.
import { h } from "./dom.js";
import { t } from "./strings.js";
import { path } from "./tree.js";

const PASSAGE = /^\[(\d{1,3})\] (.+)$/gm;
const CITED = /\[(\d{1,3})\]/g;

/** [{number, place, call}] for an answer, in the order of the numbers. */
export function sourcesOf(conversation, node) {
  const cited = new Set([...node.text.matchAll(CITED)].map(([, digits]) => digits));
  if (!cited.size) return [];
  const found = new Map();
  const before = path(conversation, node.id);
  for (const each of before) {
    for (const call of each.calls ?? []) {
      if (call.name !== "retrieval" || call.result?.status !== "ok") continue;
      for (const [, digits, place] of call.result.text.matchAll(PASSAGE)) if (cited.has(digits)) found.set(digits, { number: digits, place, call });
    }
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}

/** A list of them; each leads to its passage. */
export function sourcesList(sources) {
  const go = ({ call, number }) => {
    const card = [...document.querySelectorAll(".card.call")].find((each) => each.dataset.call === call.id);
    const details = card?.querySelector("details");
    if (!details) return;
    details.open = true;
    const text = details.querySelector("pre");
    mark(text, `[${number}] `);
    text.focus();
  };
  const one = (source) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => go(source) }, `[${source.number}] ${source.place}`));
  return h("div", { class: "sources" }, h("span", {}, t("sources")), h("ul", {}, ...sources.map(one)));
}

/** Bring the passage that begins with `start` into view, chosen. */
function mark(text, start) {
  const at = `\n${text.textContent}`.indexOf(`\n${start}`);
  const node = text.firstChild;
  if (at < 0 || !node) return;
  const next = text.textContent.indexOf("\n\n[", at + 1);
  const range = document.createRange();
  range.setStart(node, at);
  range.setEnd(node, next < 0 ? node.length : next);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  const box = range.getBoundingClientRect();
  text.scrollTop += box.top - text.getBoundingClientRect().top - 8;
  text.scrollIntoView({ block: "nearest" });
}
