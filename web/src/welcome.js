// What the model is, in one line that stays, and questions to try: on the first screen, and again whenever they are wanted.
import { $, h } from "./dom.js";
import { descriptionOf, examplesOf } from "./models.js";
import { language, t } from "./strings.js";

const SHOWN = 6;
// Kinds of questions that can be told from their words, where a checkpoint gives no titles: [pattern, string].
const KINDS = [
  [/\b(?:gcd|greatest common)|最大公约数/i, "kindGcd"],
  [/binary|\bbits?\b|二进制/i, "kindBits"],
  [/letter .* appear|how many .*["“]\w["”]|字母.*出现|出现.*次/i, "kindLetters"],
  [/backward|revers|倒过来|倒着/i, "kindBackward"],
  [/equation|solve|方程|\b\d*\s*\*?\s*[a-z]\s*[+-]\s*\d+\s*=/i, "kindEquation"],
  [/sort|排序/i, "kindSort"],
  [/\d\s*[-+*×/]\s*\d|\badd\b|sum|加|等于/i, "kindSum"],
];
const GENERIC = {
  en: ["What is 17 + 25 - 9?", "Sort these numbers: 31, 7, 22, 15", "Spell the word “think” backwards"],
  zh: ["17 + 25 - 9 等于多少？", "将这些数字排序：31, 7, 22, 15", "用一句话解释“三思而后行”"],
};

export class Welcome {
  /** `ask(text)`: send one of the questions. */
  constructor(ask) {
    this.ask = ask;
    this.again = false; // the questions were asked for, above the message box
    $("examples-again").addEventListener("click", () => this.#toggle(!this.again));
  }

  /** `empty`: nothing has been asked in this conversation. */
  show(model, empty) {
    const about = descriptionOf(model, language());
    $("welcome").hidden = !empty;
    $("lead").textContent = about || t("welcomeLead");
    $("about-line").hidden = !model || empty;
    $("about-name").textContent = model?.id ?? "";
    $("about-text").textContent = about;
    $("about-text").title = about;
    if (empty) this.#toggle(false);
    const chips = this.#chips(model);
    $("chips").replaceChildren(...(model && empty ? chips : []));
    $("chips-again").replaceChildren(...(model && this.again ? chips : []));
    $("chips-again").hidden = !this.again;
    $("examples-again").hidden = empty || !chips.length;
    $("examples-again").setAttribute("aria-expanded", String(this.again));
    this.shown = [model, empty];
  }

  #toggle(again) {
    if (this.again === again) return;
    this.again = again;
    if (this.shown) this.show(...this.shown);
    if (again) $("chips-again").querySelector("button")?.focus();
  }

  #chips(model) {
    const own = examplesOf(model, language());
    const examples = own.length ? own : GENERIC[language()].map((text) => ({ title: "", text }));
    return varied(examples).map((example) => this.#chip(example));
  }

  #chip({ title, text }) {
    const kind = title || kindOf(text);
    const act = () => {
      this.#toggle(false);
      this.ask(text);
    };
    const words = h("span", { class: "chip-text" }, unbroken(text));
    return h("button", { type: "button", class: "chip", dir: "auto", title: text, onclick: act }, kind ? h("span", { class: "chip-title" }, kind) : null, words);
  }
}

function kindOf(text) {
  const found = KINDS.find(([pattern]) => pattern.test(text));
  return found ? t(found[1]) : "";
}

/** An arrow stays with what stands beside it. */
const unbroken = (text) => text.replace(/ (->|→|=>) /g, "\u00a0$1\u00a0").replaceAll("->", "\u2060-\u2060>\u2060");

let start = Math.floor(Math.random() * 100);
/** Not always the same ones, where there are more than are shown: of each kind one before a second of any. */
function varied(examples) {
  if (examples.length <= SHOWN) return examples;
  const turned = [...examples.slice(start % examples.length), ...examples.slice(0, start % examples.length)];
  const seen = new Set();
  const first = turned.filter((each) => !seen.has(kindOf(each.text)) && seen.add(kindOf(each.text)));
  const rest = turned.filter((each) => !first.includes(each));
  return [...first, ...rest].slice(0, SHOWN);
}
