// The drawer: what holds for this conversation, and what holds for the page.
import { $, closeOutside, h, iconButton } from "./dom.js";
import { apiKey, preferences } from "./store.js";
import { LANGUAGES, language, number, t } from "./strings.js";
import { toolsPart } from "./toolbox.js";
import { SAMPLING, attributesOf, isSampling, isSeed, wantedOf } from "./values.js";

const PRESETS = {
  presetOwn: {},
  presetGreedy: { temperature: 0 },
  presetSteady: { temperature: 0.6, top_p: 0.95, top_k: 20 },
  presetLively: { temperature: 1, top_p: 0.95, top_k: 0 },
};

/** `page`: conversation(), changed(), setTheme, setLanguage, importFile, exportAll, removeAll, enterKey, store. A value that is refused is not kept. */
export function openSettings(page) {
  const dialog = $("settings");
  const close = iconButton("close", t("close"), () => dialog.close());
  const head = h("header", {}, h("h2", { id: "settings-title" }, t("settings")), close);
  dialog.replaceChildren(head, h("div", { class: "drawer-body", tabIndex: -1 }, ...forChat(page), ...forPage(page, dialog)));
  closeOutside(dialog);
  if (!dialog.open) dialog.showModal();
}

// --- this conversation -------------------------------------------------------------------------------------------------

function forChat(page) {
  const { settings } = page.conversation();
  const set = (name, value) => {
    if (value === undefined || value === "") delete settings[name];
    else settings[name] = value;
    page.changed();
  };
  return [
    h("h3", {}, t("thisChat")),
    area("systemPrompt", "systemHint", settings.system, 4, (value) => set("system", value)),
    h("h4", { id: "sampling-title" }, t("sampling")),
    ...sampling(page, settings, set),
    h("label", { class: "field" }, h("span", {}, t("historyTitle")), history(settings, set)),
    ...toolsPart(settings, set),
  ];
}

function area(title, hint, value, rows, set) {
  const note = h("small", { id: `${title}-note` }, t(hint));
  const box = h("textarea", { rows, dir: "auto", value: value ?? "", "aria-describedby": note.id, oninput: () => set(box.value) });
  return h("label", { class: "field" }, h("span", {}, t(title)), box, note);
}

function sampling(page, settings, set) {
  const boxes = {};
  const used = preferences.presets[page.conversation().model] ?? {};
  const last = preferences.mode === "direct" ? used["non-thinking"] : used.thinking ?? used["non-thinking"];
  const press = h("div", { class: "chips small", role: "group", "aria-label": t("presets") });
  const mark = () => {
    for (const button of press.children) button.setAttribute("aria-pressed", String(fits(PRESETS[button.dataset.name], settings)));
  };
  for (const [name, values] of Object.entries(PRESETS)) {
    const act = () => {
      for (const field of SAMPLING) {
        if (field === "max_tokens") continue;
        boxes[field].value = values[field] ?? "";
        set(field, values[field]);
        boxes[field].judge();
      }
      mark();
    };
    const button = h("button", { type: "button", class: "chip", onclick: act }, t(name));
    button.dataset.name = name;
    press.append(button);
  }
  for (const field of SAMPLING) boxes[field] = numberBox(field, settings, last, set, mark);
  boxes.seed = seedBox(settings, set);
  mark();
  const fields = Object.entries(boxes).map(([name, box]) => h("div", {}, h("label", { class: "field" }, h("span", {}, t(name)), box), box.wrong));
  return [press, h("div", { class: "numbers" }, ...fields), h("small", {}, t("samplingNote"))];
}

function fits(values, settings) {
  return SAMPLING.every((name) => name === "max_tokens" || settings[name] === values[name]);
}

/** Let a field say what is wrong with it, below it: what it holds is not sent then. `judge()` looks again. */
function judged(box, name, problem) {
  box.wrong = h("small", { class: "bad", id: `wrong-${name}`, role: "alert", hidden: true });
  box.setAttribute("aria-describedby", box.wrong.id);
  box.judge = () => {
    const text = problem();
    box.setAttribute("aria-invalid", String(Boolean(text)));
    box.wrong.hidden = !text;
    box.wrong.textContent = text;
    return !text;
  };
  return box;
}

function numberBox(name, settings, last, set, mark) {
  const hint = name === "max_tokens" ? t("fills") : String(last?.[name] ?? t("preset"));
  const box = h("input", { type: "number", ...attributesOf(name), placeholder: hint, value: settings[name] ?? "", inputMode: "decimal" });
  const isOk = () => (box.value === "" ? !box.validity.badInput : isSampling(name, Number(box.value)));
  judged(box, name, () => (isOk() ? "" : t("notUsed", wantedOf(name))));
  box.addEventListener("input", () => {
    set(name, box.judge() && box.value !== "" ? Number(box.value) : undefined);
    mark();
  });
  return box;
}

function seedBox(settings, set) {
  const box = h("input", { type: "text", inputMode: "numeric", placeholder: t("random"), value: settings.seed ?? "" });
  judged(box, "seed", () => (isSeed(box.value.trim()) ? "" : t("notUsed", t("wantSeed"))));
  box.addEventListener("input", () => set("seed", box.judge() ? box.value.trim() : undefined));
  return box;
}

function history(settings, set) {
  const box = h("select", { onchange: () => set("history", box.value === "keep" ? "keep" : undefined) });
  box.append(new Option(t("historyOfficial"), "official"), new Option(t("historyKeep"), "keep"));
  box.value = settings.history ?? "official";
  return box;
}

// --- this page ---------------------------------------------------------------------------------------------------------

function forPage(page, dialog) {
  const act = (name, label, onclick, properties) => iconButton(name, label, onclick, { text: true, class: "plain", ...properties });
  const kept = h("p", { class: "note" });
  describeStorage(page.store, kept);
  const leave = (next) => () => {
    dialog.close();
    next();
  };
  const key = apiKey.get() ? [h("div", { class: "field" }, h("span", {}, t("apiKey")), act("edit", t("keyChange"), leave(page.enterKey)))] : [];
  return [
    h("h3", {}, t("thisPage")),
    segments("appearance", { system: t("system"), light: t("light"), dark: t("dark") }, preferences.theme, page.setTheme),
    segments("language", LANGUAGES, language(), page.setLanguage),
    ...key,
    h("div", { class: "field" }, h("span", {}, t("data")), kept),
    h("div", { class: "row" }, act("download", t("exportAll"), page.exportAll), act("upload", t("importAll"), page.importFile), act("trash", t("removeAll"), leave(page.removeAll))),
  ];
}

function segments(title, choices, chosen, set) {
  const radio = ([value, label]) => h("label", {}, h("input", { type: "radio", name: title, value, checked: value === chosen, onchange: () => set(value) }), h("span", {}, label));
  return h("fieldset", { class: "field" }, h("legend", {}, t(title)), h("div", { class: "segments" }, ...Object.entries(choices).map(radio)));
}

async function describeStorage(store, element) {
  const { usage = 0 } = (await navigator.storage?.estimate?.()) ?? {};
  const size = usage > 2 ** 20 ? `${number(usage / 2 ** 20, 1)} MB` : `${number(Math.ceil(usage / 1024))} kB`;
  element.textContent = t("stored", number(store.all.size), size);
}
