// The conversation on show: a view for each message, which stays while its message does.
import { Answer } from "./answer.js";
import { Comparison } from "./compare.js";
import { $ } from "./dom.js";
import { path } from "./tree.js";
import { Question, Results } from "./turn.js";

const NEAR_END = 80; // pixels
const KINDS = { user: Question, assistant: Answer, tool: Results };

export class Log {
  #views = new Map(); // by the id of the message, or of the comparison
  #drawing = 0;
  #following = true; // the end is in view, and stays there

  /** `page`: what a turn may ask of the page (actions.js). */
  constructor(page, shown, answers) {
    Object.assign(this, { page, shown, answers });
    const scroller = $("scroller");
    scroller.addEventListener("scroll", () => {
      this.#following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
      this.#showToEnd();
    });
    $("to-end").addEventListener("click", () => scroller.scrollTo({ top: scroller.scrollHeight, behavior: "smooth" }));
  }

  /** Another conversation, or another language: begin anew. */
  clear() {
    this.#views.clear();
    $("log").replaceChildren();
    this.#following = true;
  }

  follow() {
    this.#following = true;
  }

  /** Everything of the conversation; views that exist are kept, with what is open in them. */
  showAll() {
    const nodes = path(this.shown.conversation);
    const views = nodes.map((node) => this.#viewOf(node));
    this.keepEnd(() => {
      const elements = views.map((view) => view.element);
      const same = elements.length === $("log").children.length && elements.every((element, i) => element === $("log").children[i]);
      if (!same) $("log").replaceChildren(...elements);
      for (const view of views) view.update(this.answers.clock(view.node));
    });
  }

  #viewOf(node) {
    const key = node.group ?? node.id;
    if (!this.#views.has(key)) this.#views.set(key, new (node.group ? Comparison : KINDS[node.role])(this.page, this.shown.conversation, node));
    return this.#views.get(key);
  }

  /** The view of a message that is shown. */
  view(node) {
    return this.#views.get(node.group ?? node.id);
  }

  /** An answer grew: show it at the next frame. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = requestAnimationFrame(() => {
      this.#drawing = 0;
      const growing = new Set(this.answers.of(this.shown.conversation.id).map((run) => this.view(run.node)));
      this.keepEnd(() => {
        for (const view of growing) view?.update(this.answers.clock(view.node));
      });
    });
  }

  /** Change the log; while its end is followed it stays in view. A reader who scrolled up stays there. */
  keepEnd(change) {
    change();
    if (this.#following) $("scroller").scrollTop = $("log").childElementCount ? $("scroller").scrollHeight : 0;
    this.#showToEnd();
  }

  #showToEnd() {
    const { scrollHeight, scrollTop, clientHeight } = $("scroller");
    $("to-end").hidden = $("log").childElementCount === 0 || scrollHeight - scrollTop - clientHeight < NEAR_END;
  }
}
