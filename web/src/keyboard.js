// Keys that work anywhere on the page.
import { isComposing } from "./dom.js";

/** `act`: newChat, nextMode, toggleSidebar, compare, openSettings, search, escape, focus, openKeys. */
export function bindKeys(act) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || isComposing(event)) return;
    const shortcut = shortcutOf(event, act) ?? plainKeyOf(event, act);
    if (!shortcut) return;
    if (event.key !== "Escape") event.preventDefault();
    shortcut();
  });
}

/** With Alt, and the combinations with Ctrl or ⌘ that other chat pages use. */
function shortcutOf({ altKey, ctrlKey, metaKey, shiftKey, code }, act) {
  const alt = { KeyN: act.newChat, KeyM: act.nextMode, KeyB: act.toggleSidebar, KeyC: act.compare, KeyS: act.openSettings, KeyK: act.search };
  const command = ctrlKey || metaKey;
  if (altKey) return command ? undefined : alt[code];
  return command ? { KeyK: shiftKey ? undefined : act.search, KeyO: shiftKey ? act.newChat : undefined }[code] : undefined;
}

/** A single key, where none is typed. */
function plainKeyOf(event, act) {
  if (event.key === "Escape") return act.escape;
  const typing = event.target.closest?.("textarea, select, input:not([type=radio], [type=range])");
  if (typing || event.ctrlKey || event.metaKey) return undefined;
  return { "/": act.focus, "?": act.openKeys }[event.key];
}
