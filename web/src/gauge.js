// How full the context is, as it will be with what is being typed, and a warning before a thought is crowded out.
import { countTokens } from "./api.js";
import { $ } from "./dom.js";
import { contextOf } from "./models.js";
import { roomNotice } from "./notices.js";
import { rateOf, usedBy, wantedBy } from "./room.js";
import { number, t } from "./strings.js";
import { contentOf, path } from "./tree.js";

const FULL = 0.8; // of the context, from where on the gauge is marked
const COUNTS = false; // until the server has /tokenize
const QUIET = 400; // milliseconds without a key, before the server is asked to count

export class Gauge {
  /** `parts`: models, shown, composer, actions; `newChat()`. */
  constructor(parts) {
    Object.assign(this, parts);
    this.counted = { text: "", tokens: 0 };
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

  /** Tokens of the message that is being typed: the server's count once it is known, else an estimate. */
  #draft(model, nodes) {
    const text = contentOf(this.composer.draft);
    if (!text.trim()) return 0;
    if (this.counted.text === text) return this.counted.tokens;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#count(model, text), QUIET);
    return Math.ceil(text.length * rateOf(nodes));
  }

  async #count(model, text) {
    if (this.mute || !COUNTS) return;
    const tokens = await countTokens(model.id, text);
    this.mute = tokens === null; // a server that does not count is not asked again
    if (tokens === null) return;
    this.counted = { text, tokens };
    this.update();
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
    const crowded = (nodes.length > 0 || draft > 0) && left < wanted && !actions.busy() && !nodes.at(-1)?.error;
    if (!crowded) return roomNotice(null);
    const text = left > 8 ? t("roomLittle", number(left), number(wanted)) : t("roomNone");
    const shorter = nodes.length ? [[t("withoutOldest"), () => actions.withoutOldest()]] : [];
    const anew = nodes.length ? [[t("newChat"), () => this.newChat()]] : [];
    return roomNotice(actions.nextIsFresh ? null : text, ...anew, ...shorter);
  }
}
