// Lines above the message box, each until it is taken back: what is wrong, and what to do about it.
import { $, h, icon } from "./dom.js";

/** `actions`: [label, act] each. Without a text the line goes. */
function line(element, text, actions) {
  element.hidden = !text;
  if (!text || element.dataset.text === text) return;
  const buttons = actions.map(([label, act]) => h("button", { type: "button", class: "plain small", onclick: act }, label));
  element.replaceChildren(icon("alert"), h("span", {}, text), ...buttons);
}

/** About the server or the browser. */
export function notice(text, ...actions) {
  delete $("notice").dataset.text;
  line($("notice"), text, actions);
}

/** About the room that is left in the context. */
export function roomNotice(text, ...actions) {
  line($("room-notice"), text, actions);
  $("room-notice").dataset.text = text ?? "";
}
