// Small tools for the document. Text reaches it as text nodes only.
import { t } from "./strings.js";

export const $ = (id) => document.getElementById(id);

/** An element: h("p", { class: "x", onclick: act, "aria-label": "y" }, "text", child). */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** A button with an icon; its name is a tooltip and what a screen reader says, or text beside the icon. */
export function iconButton(name, label, onclick, { text = false, ...properties } = {}) {
  const named = text ? {} : { title: label, "aria-label": label };
  const shape = { type: "button", class: `quiet${text ? "" : " icon-only"}` };
  return h("button", { ...shape, ...named, ...properties, onclick }, icon(name), text ? h("span", {}, label) : null);
}

/** Whether a key belongs to an input method, as Enter does that takes a word of 中文. Safari tells it by the code alone. */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

/** A box as high as its text, where the style sheet alone can not do it (`field-sizing`, of which Firefox knew nothing for long). */
export function fit(box) {
  if (CSS.supports("field-sizing", "content")) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

/** Say something to a screen reader, when it is quiet. */
export function announce(text) {
  $("status").textContent = text;
}

/** A click beside an open dialog closes it. */
export function closeOutside(dialog) {
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close(); // no value: false would undo what was clicked
  };
}

/** A dialog in the middle of the page, with a title and a button that closes it. */
export function sheet(id, title, ...content) {
  const dialog = $(id);
  const close = iconButton("close", t("close"), () => dialog.close());
  dialog.replaceChildren(h("header", {}, h("h2", { id: `${id}-title` }, title), close), ...content);
  closeOutside(dialog);
  if (!dialog.open) dialog.showModal();
  return dialog;
}

let toastTimer;
/** A short word at the bottom of the window, with one thing to do about it. */
export function toast(text, action, onclick) {
  const act = () => {
    $("toast").hidden = true;
    onclick();
  };
  $("toast").replaceChildren(h("span", {}, text), ...(action ? [h("button", { type: "button", class: "link", onclick: act }, action)] : []));
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").hidden = true), action ? 9000 : 4000);
}

/** A list of buttons below `anchor`: [icon, label, act] each. */
export function menu(anchor, entries) {
  const list = $("menu");
  const button = ([name, label, act]) => h("button", { type: "button", onclick: () => (list.hidePopover(), act()) }, icon(name), label);
  list.replaceChildren(...entries.map(button));
  anchor.setAttribute("aria-expanded", "true");
  list.ontoggle = (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    if (document.activeElement === document.body) anchor.focus();
  };
  list.showPopover();
  const { left, right, bottom, top } = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = list;
  list.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8, Math.max(right - width, left)))}px`;
  list.style.top = `${bottom + height + 12 > innerHeight ? Math.max(8, top - height - 4) : bottom + 4}px`;
  list.firstElementChild.focus();
}

/** Arrow keys walk through an open menu. */
export function bindMenu() {
  $("menu").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...$("menu").children];
    buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length).focus();
  });
}

/** Copy, also where the page was not loaded from a secure address. */
export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { value: text, class: "unseen" });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce(t("copied"));
  if (!button) return toast(t("copied"));
  const use = button.querySelector("use");
  use.setAttribute("href", "#i-check");
  setTimeout(() => use.setAttribute("href", "#i-copy"), 1500);
}

export function download(name, text, type) {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
