// How full the context is, as it will be with what is being typed, and a warning before a thought is crowded out.
import { countTokens } from "./api.js";
import { $ } from "./dom.js";
import { contextOf } from "./models.js";
import { roomNotice } from "./notices.js";
import { rateOf, usedBy, wantedBy } from "./room.js";
import { number, t, tokens } from "./strings.js";
import { contentOf, path } from "./tree.js";

const FULL = 0.8; // of the context, from where on the gauge is marked
const MOST_KEPT = 64; // texts whose tokens are remembered
const QUIET = 400; // milliseconds without a key, before the server is asked to count

export class Gauge {
  #counted = new Map(); // tokens by text
  #timer;

  /** `parts`: models, shown, composer, actions; `newChat()`. */
  constructor(parts) {
    Object.assign(this, parts);
  }

  update() {
    const { conversation } = this.shown;
    const model = this.models.of(conversation);
    $("gauge").hidden = !model;
    if (!model) return roomNotice(null);
    const size = contextOf(model);
    const nodes = path(conversation);
    const draft = this.#draft(model, nodes);
    const used = Math.min(usedBy(conversation, nodes) + draft, 10 * size);
    this.#showGauge(used, size);
    this.#warn(size - used, nodes, draft);
  }

  /** Tokens of the message that is being typed. */
  #draft(model, nodes) {
    const text = contentOf(this.composer.draft);
    return text.trim() ? this.#tokensOf(model, text, nodes).tokens : 0;
  }

  /** How many tokens a text has: the server's count once it is known, until then an estimate. */
  #tokensOf(model, text, nodes) {
    const counted = this.#counted.get(text);
    if (counted !== undefined) return { tokens: counted, exact: true };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#count(model), QUIET);
    return { tokens: Math.ceil(text.length * rateOf(nodes)), exact: false };
  }

  /** What the server has counted by itself. */
  counted(text, tokens) {
    this.#counted.set(text, tokens);
  }

  /** Of a file that is attached, in words. */
  sizeOf({ text }) {
    const model = this.models.of(this.shown.conversation);
    if (!model) return "";
    const { tokens: count, exact } = this.#tokensOf(model, text, path(this.shown.conversation));
    return exact ? tokens(count) : t("about", tokens(count));
  }

  async #count(model) {
    const { draft } = this.composer;
    const texts = [contentOf(draft), ...draft.attachments.map((each) => each.text)].filter((text) => text.trim() && !this.#counted.has(text));
    for (const text of texts) {
      const count = await countTokens(model.id, text);
      if (count !== null) this.#counted.set(text, count);
    }
    if (this.#counted.size > MOST_KEPT) this.#counted = new Map([...this.#counted].slice(-MOST_KEPT / 2));
    if (texts.some((text) => this.#counted.has(text))) this.composer.update();
  }

  #showGauge(used, size) {
    $("gauge-text").textContent = t("gauge", number(used), number(size));
    $("gauge").style.setProperty("--full", `${Math.min(100, (100 * used) / size)}%`);
    $("gauge").classList.toggle("full", used > FULL * size);
    $("gauge").title = t("gaugeTitle");
  }

  #warn(left, nodes, draft) {
    const { actions } = this;
    const wanted = Math.max(wantedBy(nodes, this.composer.ask), 16);
    if (draft > contextOf(this.models.of(this.shown.conversation))) return roomNotice(t("roomAlone"));
    const crowded = (nodes.length > 0 || draft > 0) && left < wanted && !actions.busy() && !nodes.at(-1)?.error;
    if (!crowded) return roomNotice(null);
    const text = left > 8 ? t("roomLittle", number(left), number(wanted)) : t("roomNone");
    const shorter = nodes.length ? [[t("withoutOldest"), () => actions.withoutOldest()]] : [];
    const anew = nodes.length ? [[t("newChat"), () => this.newChat()]] : [];
    return roomNotice(actions.nextIsFresh ? null : text, ...anew, ...shorter);
  }
}
