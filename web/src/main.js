// The page: one conversation on show, answers under way, and what happens when something is pressed.
import { ApiError, listModels } from "./api.js";
import { Composer } from "./composer.js";
import { askForKey, keys, openKeys } from "./dialogs.js";
import { $, announce, bindMenu, copy, download, h, icon, isComposing, menu, toast } from "./dom.js";
import { endOf, errorText } from "./facts.js";
import { Run, countsOf } from "./run.js";
import { isTuned, openSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { Store, apiKey, prefer, preferences } from "./store.js";
import { browserLanguage, number, setLanguage, t, translate } from "./strings.js";
import { MAX_BYTES, fromFile, toFile, toMarkdown } from "./transfer.js";
import { ROOT, add, choose, newConversation, path, remove, titleOf } from "./tree.js";
import { viewOf } from "./turn.js";

const GENERIC_EXAMPLES = {
  en: ["What is 17 + 25 - 9?", "Sort these numbers: 31, 7, 22, 15", "Spell the word “think” backwards"],
  zh: ["17 + 25 - 9 等于多少？", "将这些数字排序：31, 7, 22, 15", "用一句话解释“三思而后行”"],
};
const SAVE_EVERY = 1500; // milliseconds, while an answer grows
const NEAR_END = 80; // pixels

const store = new Store();
const runs = new Map(); // by the id of their conversation
const views = new Map(); // of the conversation on show, by the id of their node
let models = [];
let conversation = null;
let drawing = 0;
let following = true; // the end is in view, and stays there

// --- start -------------------------------------------------------------------------------------------------------------

async function start() {
  setLanguage(preferences.language ?? browserLanguage());
  translate();
  store.onproblem = (problem) => notice(t(problem));
  store.onchange = changedElsewhere;
  sidebar.running = (id) => runs.has(id);
  sidebar.start(preferences.sidebar);
  bind();
  composer.update();
  showHint();
  await Promise.all([store.open(), loadModels()]);
  for (const each of store.all.values()) mend(each);
  openFromAddress();
  $("question").focus();
}

async function loadModels() {
  try {
    models = await listModels();
    notice(null);
  } catch (error) {
    models = [];
    if (error.kind === "key") return enterKey(Boolean(apiKey.get()));
    return notice(error instanceof ApiError ? errorText(error) : String(error), t("retry"), reloadModels);
  }
  $("model").replaceChildren(...models.map((model) => new Option(model.id, model.id)));
  $("model").disabled = models.length < 2;
  $("model-field").classList.toggle("single", models.length < 2);
}

async function reloadModels() {
  await loadModels();
  showModel();
}

function enterKey(wrong = false) {
  askForKey(reloadModels, wrong === true);
}

/** An answer that was growing when the page was closed will not grow any more. */
function mend(each) {
  for (const node of Object.values(each.nodes)) {
    if (node.status !== "running" || runs.has(each.id)) continue;
    Object.assign(node, { status: "failed", error: { kind: "reload", message: "" } });
  }
}

// --- which conversation ------------------------------------------------------------------------------------------------

function openFromAddress() {
  const id = location.hash.match(/^#\/c\/(\w+)$/)?.[1];
  if (store.all.has(id)) open(id, true);
  else newChat(true);
}

function open(id, replace = false) {
  const found = runs.get(id)?.conversation ?? store.all.get(id);
  if (found) put(found, replace);
  sidebar.closeIfOver();
}

function newChat(replace = false) {
  put(newConversation(preferences.model), replace === true);
  sidebar.closeIfOver();
  $("question").focus();
}

function put(next, replace) {
  conversation = next;
  sidebar.current = next.id;
  const address = store.all.has(next.id) ? `#/c/${next.id}` : location.pathname;
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  views.clear();
  $("log").replaceChildren();
  following = true;
  showAll();
}

function changedElsewhere(id) {
  sidebar.update();
  if (id !== conversation.id || runs.has(id)) return;
  if (!store.all.has(id)) return newChat(true);
  views.clear();
  conversation = store.all.get(id);
  showAll();
}

async function save(which = conversation) {
  const isNew = !store.all.has(which.id);
  const saved = store.put(which);
  if (isNew && which === conversation) history.replaceState(null, "", `#/c/${which.id}`);
  sidebar.update();
  await saved;
}

// --- asking ------------------------------------------------------------------------------------------------------------

const busy = () => runs.has(conversation.id);

function send(text, parent = path(conversation).at(-1)?.id ?? ROOT) {
  if (busy()) return;
  conversation.created = Object.keys(conversation.nodes).length ? conversation.created : Date.now();
  const question = add(conversation, parent, { role: "user", text });
  answer(question.id);
}

/** Ask for an answer to the node `parent`, and show it as it comes. */
async function answer(parent) {
  if (busy()) return;
  const own = conversation;
  const node = add(own, parent, { role: "assistant", model: own.model, ask: composer.ask });
  const run = new Run(own, node, () => draw(own));
  runs.set(own.id, run);
  following = true;
  showAll();
  save(own);
  const saving = setInterval(() => save(own), SAVE_EVERY);
  try {
    await run.go();
  } finally {
    clearInterval(saving);
    runs.delete(own.id);
    finished(own, node);
  }
}

function finished(own, node) {
  own.updated = Date.now();
  if (node.report) rememberPreset(own.model, node.report);
  if (store.all.has(own.id)) save(own); // it may have been deleted meanwhile
  if (own !== conversation) return;
  showAll();
  if (node.error?.kind === "key") enterKey(Boolean(apiKey.get()));
  const end = node.thought ? endOf(node) : null;
  const thought = end ? `${t("saidThought", number(countsOf(node).own), end.text)} ` : "";
  announce(thought + (node.text ? t("saidAnswer", node.text) : ""));
}

/** What the server filled in for each mode is what empty fields of the drawer show. */
function rememberPreset(model, { mode, sampling }) {
  if (!sampling || Object.keys(conversation.settings).some((name) => name in sampling)) return;
  prefer({ presets: { ...preferences.presets, [model]: { ...preferences.presets[model], [mode]: sampling } } });
}

function stop() {
  runs.get(conversation.id)?.stop();
}

// What a turn may ask for.
const page = {
  busy,
  enterKey,
  choose(id, step) {
    choose(conversation, id);
    showAll();
    save();
    const arrows = views.get(id).element.querySelectorAll(".versions button");
    const wanted = arrows[step < 0 ? 0 : 1];
    (wanted.disabled ? arrows[step < 0 ? 1 : 0] : wanted).focus();
  },
  edit(node, text) {
    if (!busy()) send(text, node.parent);
    $("question").focus();
  },
  regenerate: (node) => answer(node.parent),
  /** A failed answer is not worth a branch: the new one takes its place. */
  retry(node) {
    if (busy()) return;
    if (!node.text && !node.thought) remove(conversation, node);
    answer(node.parent);
  },
  giveResults(node, results) {
    if (busy()) return;
    answer(add(conversation, node.id, { role: "tool", results }).id);
  },
  waitsForResults: (node) => !busy() && !node.error && Boolean(node.calls?.length) && path(conversation).at(-1) === node,
};

function editLast() {
  const last = path(conversation).findLast((node) => node.role === "user");
  if (last) views.get(last.id).edit();
}

// --- what is shown -----------------------------------------------------------------------------------------------------

/** Everything of the conversation; views that exist are kept, with what is open in them. */
function showAll() {
  const nodes = path(conversation);
  $("welcome").hidden = nodes.length > 0;
  document.title = titleOf(conversation) ? `${titleOf(conversation)} · Sansi` : "Sansi";
  $("title").textContent = titleOf(conversation);
  $("title").hidden = !titleOf(conversation);
  const shown = nodes.map((node) => {
    if (!views.has(node.id)) views.set(node.id, viewOf(page, conversation, node));
    return views.get(node.id);
  });
  keepEnd(() => {
    const elements = shown.map((view) => view.element);
    const same = elements.length === $("log").children.length && elements.every((element, i) => element === $("log").children[i]);
    if (!same) $("log").replaceChildren(...elements);
    for (const view of shown) view.update(clock());
  });
  composer.setBusy(busy());
  $("tune").classList.toggle("marked", isTuned(conversation));
  showModel();
  sidebar.update();
}

function draw(own) {
  if (own !== conversation || drawing) return;
  drawing = requestAnimationFrame(() => {
    drawing = 0;
    const node = runs.get(conversation.id)?.node;
    if (node) keepEnd(() => views.get(node.id)?.update(clock()));
  });
}

/** Seconds since the running answer was asked for. */
function clock() {
  const run = runs.get(conversation.id);
  return run ? run.clock() : undefined;
}

function showModel() {
  const known = (id) => models.some((model) => model.id === id);
  if (models.length && !known(conversation.model)) conversation.model = known(preferences.model) ? preferences.model : models[0].id;
  const model = models.find((each) => each.id === conversation.model);
  if (model) $("model").value = model.id;
  $("model").title = model?.context_length ? t("context", number(model.context_length)) : "";
  composer.setContext(model?.context_length ?? 32768);
  const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
  const examples = model?.examples?.length ? model.examples : GENERIC_EXAMPLES[language];
  const chip = (text) => h("button", { type: "button", class: "chip", dir: "auto", onclick: () => (send(text), $("question").focus()) }, h("span", {}, text));
  $("chips").replaceChildren(...(model ? examples.map(chip) : []));
}

function showHint() {
  const parts = t("hint").map((part, i) => (i % 2 ? part : keys(part)));
  $("hint").replaceChildren(...parts.flat());
}

/** A line above the message box, until it is taken back: what is wrong, and what to do about it. */
function notice(text, action, act) {
  $("notice").hidden = !text;
  if (!text) return;
  const button = action ? [h("button", { type: "button", class: "plain", onclick: act }, action)] : [];
  $("notice").replaceChildren(icon("alert"), h("span", {}, text), ...button);
}

/** Change the log; while its end is followed it stays in view. A reader who scrolled up stays there. */
function keepEnd(change) {
  change();
  if (following) $("scroller").scrollTop = $("scroller").scrollHeight;
  showToEnd();
}

function showToEnd() {
  const { scrollHeight, scrollTop, clientHeight } = $("scroller");
  $("to-end").hidden = scrollHeight - scrollTop - clientHeight < NEAR_END;
}

// --- keeping, and taking elsewhere -------------------------------------------------------------------------------------

function entriesFor(which) {
  return [
    ["edit", t("rename"), () => (sidebar.open || sidebar.toggle(true), sidebar.rename(which))],
    ["markdown", t("copyMarkdown"), () => copy(toMarkdown(which))],
    ["download", t("exportOne"), () => exportOf([which])],
    ["trash", t("remove"), () => removeChat(which)],
  ];
}

function exportOf(which) {
  const day = new Date().toISOString().slice(0, 10);
  download(`sansi-${day}.json`, toFile(which), "application/json");
}

async function importFrom(file) {
  try {
    if (file.size > MAX_BYTES) throw new Error(t("tooLarge"));
    const found = fromFile(await file.text());
    for (const each of found) await store.put(each);
    sidebar.update();
    toast(t("imported", found.length));
    if (found.length) open(found[0].id);
  } catch (error) {
    toast(t("importFailed", error.message));
  }
}

function removeChat(which) {
  discard([which]);
  toast(t("removed"), t("undo"), () => restore([which]));
}

function removeAll() {
  const all = [...store.all.values()];
  discard(all);
  toast(t("removedAll"), t("undo"), () => restore(all));
}

function discard(which) {
  for (const each of which) {
    runs.get(each.id)?.stop();
    store.delete(each.id);
  }
  if (which.includes(conversation)) newChat(true);
  sidebar.update();
}

async function restore(which) {
  for (const each of which) await store.put(each);
  sidebar.update();
  if (which.length === 1) open(which[0].id);
}

// --- the whole page ----------------------------------------------------------------------------------------------------

const settingsPage = {
  store,
  conversation: () => conversation,
  language: () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en"),
  changed() {
    if (store.all.has(conversation.id)) save();
    $("tune").classList.toggle("marked", isTuned(conversation));
  },
  setTheme(theme) {
    prefer({ theme });
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  },
  setLanguage(language) {
    prefer({ language });
    setLanguage(language);
    translate();
    showHint();
    views.clear();
    showAll();
    openSettings(settingsPage);
    $("settings").querySelector(`[name=language][value=${language}]`).focus();
  },
  importFile: () => $("import-file").click(),
  exportAll: () => exportOf([...store.all.values()]),
  removeAll,
  enterKey,
};

const sidebar = new Sidebar(
  {
    open,
    entriesFor,
    rename(which, title) {
      Object.assign(which, { title, named: Boolean(title) });
      save(which);
      if (which === conversation) showAll();
    },
    keepSidebar: (shown) => prefer({ sidebar: shown }),
  },
  store,
);
const composer = new Composer({ send, stop, editLast, canSend: () => models.length > 0 });

const SHORTCUTS = {
  KeyN: newChat,
  KeyM: () => composer.nextMode(),
  KeyB: () => sidebar.toggle(),
  KeyS: () => openSettings(settingsPage),
  KeyK() {
    if (!sidebar.open) sidebar.toggle(true);
    $("search").focus();
  },
};

function onKey(event) {
  if (document.querySelector("dialog[open]") || isComposing(event)) return;
  if (event.altKey && !event.ctrlKey && !event.metaKey && SHORTCUTS[event.code]) {
    event.preventDefault();
    return SHORTCUTS[event.code]();
  }
  if (event.key === "Escape") return sidebar.over ? sidebar.toggle(false) : stop();
  const typing = event.target.closest?.("textarea, select, input:not([type=radio], [type=range])");
  if (typing || event.ctrlKey || event.metaKey || !["/", "?"].includes(event.key)) return;
  event.preventDefault();
  event.key === "/" ? $("question").focus() : openKeys();
}

function bind() {
  bindMenu();
  document.addEventListener("keydown", onKey);
  addEventListener("popstate", openFromAddress);
  addEventListener("pagehide", () => runs.has(conversation?.id) && save());
  for (const id of ["new-chat", "new-chat-small"]) $(id).addEventListener("click", newChat);
  for (const id of ["open-settings", "tune"]) $(id).addEventListener("click", () => openSettings(settingsPage));
  $("open-keys").addEventListener("click", openKeys);
  $("chat-menu").addEventListener("click", () => menu($("chat-menu"), entriesFor(conversation)));
  $("import-file").addEventListener("change", () => {
    const [file] = $("import-file").files;
    $("import-file").value = "";
    $("settings").close();
    if (file) importFrom(file);
  });
  $("model").addEventListener("change", () => {
    conversation.model = $("model").value;
    prefer({ model: conversation.model });
    if (store.all.has(conversation.id)) save();
    showModel();
  });
  bindScroll();
  bindDrop();
}

function bindScroll() {
  const scroller = $("scroller");
  scroller.addEventListener("scroll", () => {
    following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
    showToEnd();
  });
  $("to-end").addEventListener("click", () => scroller.scrollTo({ top: scroller.scrollHeight, behavior: "smooth" }));
}

/** A file of conversations may be dropped anywhere. */
function bindDrop() {
  addEventListener("dragover", (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
  addEventListener("drop", (event) => {
    const [file] = event.dataTransfer?.files ?? [];
    if (!file) return;
    event.preventDefault();
    importFrom(file);
  });
}

start();
