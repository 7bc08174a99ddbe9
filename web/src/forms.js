// A box in the place of a text, to change it.
import { fit, h, isComposing } from "./dom.js";
import { t } from "./strings.js";

/** A form with `start()`: Enter submits, Escape closes. `submit` gets a text that is not blank. */
export function editForm(text, { label, note, act, submit, close }) {
  const box = h("textarea", { class: "edit-box", dir: "auto", value: text, "aria-label": label });
  const send = (event) => {
    event?.preventDefault();
    const value = box.value.trim();
    if (!value) return;
    close();
    submit(value);
  };
  const buttons = h(
    "div",
    { class: "edit-foot" },
    h("span", { class: "note" }, note),
    h("button", { type: "button", class: "plain", onclick: close }, t("cancel")),
    h("button", { type: "submit", class: "primary" }, act),
  );
  const form = h("form", { class: "edit-form", onsubmit: send }, box, buttons);
  box.addEventListener("keydown", (event) => {
    if (isComposing(event)) return;
    if (event.key === "Enter" && !event.shiftKey) send(event);
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  box.addEventListener("input", () => fit(box));
  form.start = () => {
    fit(box);
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  };
  return form;
}
