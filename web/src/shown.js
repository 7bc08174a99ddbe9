// Which conversation is on show, and the address that says so.
import { preferences } from "./store.js";
import { Subject } from "./subject.js";
import { newConversation } from "./tree.js";

/** Tells ("other") when another conversation is shown, ("same") when the one on show has changed. */
export class Shown extends Subject {
  constructor(store, answers) {
    super();
    Object.assign(this, { store, answers, conversation: newConversation(preferences.model) });
  }

  openFromAddress() {
    const id = location.hash.match(/^#\/c\/(\w+)$/)?.[1];
    if (!this.open(id, true)) this.begin(true);
  }

  /** Whether it could be opened. */
  open(id, replace = false) {
    const found = this.answers.conversation(id) ?? this.store.all.get(id);
    if (found) this.#put(found, replace);
    return Boolean(found);
  }

  /** A new, empty conversation. */
  begin(replace = false) {
    this.#put(newConversation(preferences.model), replace);
  }

  #put(next, replace) {
    this.conversation = next;
    const address = this.store.all.has(next.id) ? `#/c/${next.id}` : location.pathname;
    if (replace) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
    this.tell("other");
  }

  /** Keep a conversation, the one on show unless another is named, as it is now. */
  async save(which = this.conversation) {
    const isNew = !this.store.all.has(which.id);
    const saved = this.store.put(which);
    if (isNew && which === this.conversation) history.replaceState(null, "", `#/c/${which.id}`);
    await saved;
  }

  /** The one on show was changed by a reader: show it so, and keep it. */
  changed() {
    this.tell("same");
    return this.save();
  }

  /** Its name, settings or model were changed: of two tabs the later change counts. */
  changedSettings() {
    this.conversation.set = Date.now();
    if (this.store.all.has(this.conversation.id)) return this.save();
    return undefined;
  }
}
