// The list of conversations: search, rename, export, delete.
import { $, h, iconButton, isComposing, menu } from "./dom.js";
import { t } from "./strings.js";
import { textOf, titleOf } from "./tree.js";

const DAY = 86_400_000;
const narrow = matchMedia("(max-width: 820px), (max-height: 520px)");

export class Sidebar {
  /** `page`: open, rename, remove, exportOne; `store`: the conversations. */
  constructor(page, store) {
    Object.assign(this, { page, store, current: null, running: () => false });
    $("search").addEventListener("input", () => this.update());
    $("search").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !$("search").value) return;
      event.stopPropagation();
      $("search").value = "";
      this.update();
    });
    for (const id of ["hide-sidebar", "scrim"]) $(id).addEventListener("click", () => this.toggle(false));
    $("show-sidebar").addEventListener("click", () => this.toggle(true));
    narrow.addEventListener("change", () => this.#shown(narrow.matches ? false : this.wanted));
  }

  /** `wanted`: whether it is shown where there is room; a phone starts without it. */
  start(wanted) {
    this.wanted = wanted;
    this.#shown(wanted && !narrow.matches);
  }

  get open() {
    return !$("sidebar").inert;
  }

  get over() {
    return this.open && narrow.matches;
  }

  toggle(open = !this.open) {
    if (!narrow.matches) this.page.keepSidebar((this.wanted = open));
    this.#shown(open);
    (open ? $("hide-sidebar") : $("show-sidebar")).focus();
  }

  closeIfOver() {
    if (this.over) this.#shown(false);
  }

  #shown(open) {
    $("app").classList.toggle("with-sidebar", open);
    $("sidebar").inert = !open;
    $("show-sidebar").setAttribute("aria-expanded", String(open));
    document.querySelector(".stage").inert = open && narrow.matches;
  }

  update() {
    const wanted = $("search").value.trim().toLowerCase();
    const all = [...this.store.all.values()].sort((a, b) => b.updated - a.updated);
    const found = wanted ? all.filter((each) => textOf(each).includes(wanted)) : all;
    const shown = found.map((each) => [each.id, t(groupOf(each.updated)), titleOf(each) || t("sendsTo"), this.running(each.id)]);
    const nothing = t(wanted ? "nothingFound" : "noChats");
    const key = JSON.stringify([shown, this.current, nothing, t("moreFor", "")]);
    // A growing answer is saved again and again: a list that is as it was keeps its focus, and a name that is being typed.
    if (key === this.key || this.renaming) return;
    this.key = key;
    const focused = this.#focused();
    const parts = [];
    found.forEach((each, i) => {
      if (shown[i][1] !== shown[i - 1]?.[1]) parts.push(h("h2", {}, shown[i][1]));
      parts.push(this.#item(each));
    });
    if (!found.length) parts.push(h("p", { class: "note" }, nothing));
    $("list").replaceChildren(...parts);
    this.#itemOf(focused.id)?.querySelectorAll("button")[focused.at]?.focus();
  }

  /** Which button of the list has the focus: the conversation's id, and its place there. */
  #focused() {
    const item = document.activeElement?.closest("#list .item");
    return item ? { id: item.dataset.id, at: [...item.querySelectorAll("button")].indexOf(document.activeElement) } : {};
  }

  #itemOf(id) {
    return [...$("list").children].find((each) => id !== undefined && each.dataset.id === id);
  }

  #item(conversation) {
    const title = titleOf(conversation) || t("sendsTo");
    const isOpen = conversation.id === this.current;
    const name = h("button", { type: "button", class: "item-name", dir: "auto", "aria-current": isOpen ? "page" : undefined, title, onclick: () => this.page.open(conversation.id) }, title);
    const more = iconButton("more", t("moreFor", title), () => menu(more, this.page.entriesFor(conversation)), { class: "quiet icon-only", "aria-haspopup": "true", "aria-expanded": "false" });
    const item = h("div", { class: `item${isOpen ? " current" : ""}${this.running(conversation.id) ? " running" : ""}` }, name, more);
    item.dataset.id = conversation.id;
    return item;
  }

  /** Turn a title into a box to type in. */
  rename(conversation) {
    const item = this.#itemOf(conversation.id);
    if (!item) return;
    this.renaming = true;
    const box = h("input", { type: "text", dir: "auto", value: titleOf(conversation), maxLength: 200, "aria-label": t("rename") });
    let over = false;
    const finish = (keep, byKey) => {
      if (over) return;
      over = true;
      this.renaming = false;
      this.key = null; // the box has to go
      if (keep) this.page.rename(conversation, box.value.trim());
      this.update();
      if (byKey) this.#itemOf(conversation.id)?.querySelector("button").focus(); // a click elsewhere is where it went
    };
    box.addEventListener("keydown", (event) => {
      if (isComposing(event) || !["Enter", "Escape"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      finish(event.key === "Enter", true);
    });
    box.addEventListener("blur", () => finish(true, false));
    item.replaceChildren(box);
    box.select();
  }
}

function groupOf(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (time >= midnight) return "today";
  if (time >= midnight - DAY) return "yesterday";
  return time >= midnight - 7 * DAY ? "week" : "older";
}
