// One message of the conversation as it is shown. A view has an element, and `update()` brings it to its node.
import { copy, h, icon, iconButton } from "./dom.js";
import { editForm } from "./forms.js";
import { number, t } from "./strings.js";
import { contentOf, versions } from "./tree.js";

const LONG = 1500; // characters of a question, beyond which it is folded

export class Turn {
  constructor(page, conversation, node, kind, name) {
    Object.assign(this, { page, conversation, node });
    this.versions = h("span", { class: "versions", role: "group" });
    this.actions = h("div", { class: "actions" });
    this.element = h("article", { class: `turn ${kind}`, tabIndex: -1 }, h("h2", { class: "unseen" }, name));
  }

  showVersions() {
    const { ids, at } = versions(this.conversation, this.node);
    this.versions.hidden = ids.length < 2;
    if (ids.length < 2) return;
    const busy = this.page.busy();
    const go = (step) => () => this.page.choose(ids[at + step], step);
    const before = iconButton("left", t("previous"), go(-1), { disabled: busy || at === 0 });
    const after = iconButton("right", t("next"), go(1), { disabled: busy || at === ids.length - 1 });
    const label = h("span", { "aria-hidden": "true" }, `${number(at + 1)}/${number(ids.length)}`);
    this.versions.setAttribute("aria-label", t("branch", at + 1, ids.length));
    this.versions.replaceChildren(before, label, after);
  }
}

export class Question extends Turn {
  constructor(page, conversation, node) {
    super(page, conversation, node, "question", t("you"));
    this.words = h("div", { class: "words" }, node.text);
    this.text = h("div", { class: "bubble", dir: "auto" }, this.words, ...this.attachments());
    if (node.text.length > LONG) this.fold();
    const copyButton = iconButton("copy", t("copy"), () => copy(contentOf(node), copyButton));
    this.editButton = iconButton("edit", t("edit"), () => this.edit(), { class: "quiet icon-only edit" });
    this.cutLine = h("div", { class: "cut-line", role: "note", hidden: true });
    this.actions.append(this.versions, copyButton, this.editButton);
    this.element.append(this.cutLine, this.text, this.actions);
  }

  /** Each as its name, which opens to its text. */
  attachments() {
    const size = (pages) => (pages ? [h("span", { class: "unit" }, t("pages", pages))] : []);
    const one = ({ name, text, pages }) =>
      h("details", { class: "attached" }, h("summary", {}, icon("file"), h("span", {}, name), ...size(pages)), h("pre", { tabIndex: 0, dir: "auto" }, text));
    return (this.node.attachments ?? []).map(one);
  }

  fold() {
    const toggle = () => {
      const folded = this.words.classList.toggle("folded");
      button.textContent = t(folded ? "showAll" : "showLess");
      button.setAttribute("aria-expanded", String(!folded));
    };
    const button = h("button", { type: "button", class: "link fold", onclick: toggle });
    this.words.after(button);
    toggle();
  }

  update() {
    this.showVersions();
    this.editButton.disabled = this.page.busy();
    const cut = Boolean(this.node.fresh);
    if (this.cutLine.hidden === !cut) return;
    this.cutLine.hidden = !cut;
    const undo = h("button", { type: "button", class: "link", onclick: () => this.page.sendAll(this.node) }, t("sendAll"));
    this.cutLine.replaceChildren(h("span", {}, t("notSent")), undo);
  }

  edit() {
    const form = editForm(this.node.text, {
      label: t("edit"),
      note: t("editNote"),
      act: t("save"),
      submit: (text) => this.page.edit(this.node, text),
      close: () => {
        form.replaceWith(this.text);
        this.actions.hidden = false;
        this.editButton.focus();
      },
    });
    this.text.replaceWith(form);
    this.actions.hidden = true;
    form.start();
  }
}

export class Results extends Turn {
  constructor(page, conversation, node) {
    super(page, conversation, node, "results", t("toolResults"));
    const names = new Map((conversation.nodes[node.parent].calls ?? []).map((call) => [call.id, call.name]));
    const one = (result) =>
      h("section", { class: "card result" }, h("div", { class: "card-head" }, icon("tool"), h("span", {}, t("toolFor", names.get(result.tool_call_id) ?? "")), ...this.byItself()), h("pre", { tabIndex: 0, dir: "auto" }, result.content));
    this.actions.append(this.versions);
    this.element.append(...node.results.map(one), this.actions);
    this.element.hidden = Boolean(node.byAgent); // there the card of the call shows its result
  }

  byItself() {
    return this.node.byServer ? [h("span", { class: "card-state" }, t("toolRan"))] : [];
  }

  update() {
    this.showVersions();
  }
}
