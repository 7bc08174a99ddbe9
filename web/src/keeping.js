// Keeping conversations and taking them elsewhere: files in and out, deletion and its undoing.
import { copy, download, toast } from "./dom.js";
import { t } from "./strings.js";

const transfer = () => import("./extras.js"); // loaded when first needed

export class Keeping {
  /** `parts`: store, shown, answers, sidebar, askForFile. */
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** Entries of the menu of a conversation; of an empty one, what there is to do with it. */
  entries(which) {
    if (!Object.keys(which.nodes).length) return [["upload", t("importAll"), () => this.askForFile()]];
    return [
      ["edit", t("rename"), () => (this.sidebar.open || this.sidebar.toggle(true), this.sidebar.rename(which))],
      ["markdown", t("copyMarkdown"), async () => copy((await transfer()).toMarkdown(which))],
      ["download", t("exportOne"), () => this.export([which])],
      ["trash", t("remove"), () => this.remove(which)],
    ];
  }

  async export(which) {
    const day = new Date().toISOString().slice(0, 10);
    download(`sansi-${day}.json`, (await transfer()).toFile(which), "application/json");
  }

  async import(file) {
    try {
      const { MAX_BYTES, fromFile } = await transfer();
      if (file.size > MAX_BYTES) throw new Error(t("tooLarge"));
      const found = fromFile(await file.text());
      for (const each of found) await this.store.put(each);
      this.sidebar.update();
      toast(t("imported", found.length));
      if (found.length) this.shown.open(found[0].id);
    } catch (error) {
      toast(t("importFailed", error.message));
    }
  }

  rename(which, title) {
    Object.assign(which, { title, named: Boolean(title), set: Date.now() });
    this.shown.save(which);
    if (which === this.shown.conversation) this.shown.tell("same");
  }

  remove(which) {
    this.#discard([which]);
    toast(t("removed"), t("undo"), () => this.#restore([which]));
  }

  removeAll() {
    const all = [...this.store.all.values()];
    this.#discard(all);
    toast(t("removedAll"), t("undo"), () => this.#restore(all));
  }

  #discard(which) {
    for (const each of which) {
      this.answers.stop(each.id);
      this.store.delete(each.id);
    }
    if (which.includes(this.shown.conversation)) this.shown.begin(true);
    this.sidebar.update();
  }

  async #restore(which) {
    for (const each of which) await this.store.put(each);
    this.sidebar.update();
    if (which.length === 1) this.shown.open(which[0].id);
  }
}
