// The page: its stores and parts, and how they hear of each other.
import { Actions } from "./actions.js";
import { Answers } from "./answers.js";
import { ApiError } from "./api.js";
import { Composer } from "./composer.js";
import { askForKey, openKeys } from "./dialogs.js";
import { $, announce, bindMenu, menu } from "./dom.js";
import { endOf, errorText } from "./facts.js";
import { bindFiles } from "./files.js";
import { Gauge } from "./gauge.js";
import { bindKeys } from "./keyboard.js";
import { Keeping } from "./keeping.js";
import { Log } from "./log.js";
import { Models, contextOf, recommendedOf, thinks } from "./models.js";
import { notice } from "./notices.js";
import { countsOf } from "./run.js";
import { Shown } from "./shown.js";
import { Sidebar } from "./sidebar.js";
import { Store, apiKey, prefer, preferences } from "./store.js";
import { browserLanguage, language, number, setLanguage, t, translate } from "./strings.js";
import { titleOf } from "./tree.js";
import { isAgents, loadServerTools } from "./tools.js";
import { Welcome } from "./welcome.js";
import { loadMarkdown } from "./words.js";

const SAVE_EVERY = 1500; // milliseconds, while an answer grows

const store = new Store();
const models = new Models();
const answers = new Answers();
answers.tab = store.tab;
const shown = new Shown(store, answers);
const saving = new Map(); // timers, by the id of the conversation that grows

// --- start -------------------------------------------------------------------------------------------------------------

async function start() {
  setLanguage(preferences.language ?? browserLanguage());
  translate();
  store.onproblem = (problem) => notice(t(problem));
  store.onchange = changedElsewhere;
  store.onstop = (id) => answers.stop(id);
  store.grows = (node) => answers.runs(node);
  sidebar.running = (id) => answers.busy(id);
  sidebar.start(preferences.sidebar);
  listen();
  bind();
  composer.update();
  requestAnimationFrame(() => setTimeout(loadMarkdown)); // after the first paint, which it would hold up
  await Promise.all([store.open(), loadModels()]);
  shown.openFromAddress();
  composer.focus();
}

async function loadModels() {
  try {
    await models.load();
    await loadServerTools(models.agent);
    notice(null);
    markTuned();
  } catch (error) {
    if (error.kind === "key") return enterKey(Boolean(apiKey.get()));
    return notice(error instanceof ApiError ? errorText(error) : String(error), [t("retry"), loadModels]);
  }
}

/** Without a key the page says so, and how to go on: what is kept here can be read all the same. */
function enterKey(wrong = false) {
  askForKey(loadModels, () => notice(t("keyMissing"), [t("enterKey"), () => enterKey()]), wrong === true);
}

// --- what follows from what --------------------------------------------------------------------------------------------

function listen() {
  models.listen(showModels);
  shown.listen((what) => {
    if (what === "other") {
      actions.nextIsFresh = false;
      log.clear();
      sidebar.current = shown.conversation.id;
    }
    showAll();
  });
  answers.listen((what, conversation, node) => {
    if (what === "grew") return conversation === shown.conversation && log.draw();
    if (what === "moved") return moved(conversation);
    return what === "began" ? began(conversation) : ended(conversation, node);
  });
}

function began(conversation) {
  if (!saving.has(conversation.id)) saving.set(conversation.id, setInterval(() => shown.save(conversation), SAVE_EVERY));
  shown.save(conversation).then(() => sidebar.update());
  if (conversation === shown.conversation) showAll();
}

/** An agent goes on in a new message. */
function moved(conversation) {
  conversation.updated = Date.now();
  if (conversation === shown.conversation) showAll();
}

function ended(conversation, node) {
  if (!answers.busy(conversation.id)) {
    clearInterval(saving.get(conversation.id));
    saving.delete(conversation.id);
  }
  conversation.updated = Date.now();
  if (node.report) rememberPreset(conversation, node.report);
  if (store.all.has(conversation.id)) shown.save(conversation); // it may have been deleted meanwhile
  if (conversation !== shown.conversation) return;
  showAll();
  if (node.error?.kind === "key") enterKey(Boolean(apiKey.get()));
  tell(node);
}

/** The page may be gone in a moment: what has come of answers stays. */
function keepWhatGrows() {
  for (const id of saving.keys()) if (store.all.has(id)) store.putAtOnce(store.all.get(id));
}

/** Tell a screen reader; of a comparison, when all of it is there. */
function tell(node) {
  if (node.group) return actions.busy() ? undefined : announce(t("saidComparison"));
  const end = node.thought ? endOf(node) : null;
  const thought = end ? `${t("saidThought", number(countsOf(node).own), end.text)} ` : "";
  return announce(thought + (node.text ? t("saidAnswer", node.text) : ""));
}

/** What the server filled in for each mode is what empty fields of the drawer show. */
function rememberPreset({ model, settings }, { mode, sampling }) {
  if (!sampling || Object.keys(settings).some((name) => name in sampling)) return;
  prefer({ presets: { ...preferences.presets, [model]: { ...preferences.presets[model], [mode]: sampling } } });
}

function changedElsewhere(id) {
  sidebar.update();
  if (id !== shown.conversation.id) return;
  if (!store.all.has(id) && !answers.busy(id)) return shown.begin(true);
  showAll();
}

// --- what is shown -----------------------------------------------------------------------------------------------------

function showAll() {
  const { conversation } = shown;
  const title = titleOf(conversation);
  document.title = title ? `${title} · Sansi` : "Sansi";
  $("title").textContent = title;
  $("title").hidden = !title;
  showModel();
  log.showAll();
  composer.setBusy(actions.busy());
  sidebar.update();
  markTuned();
}

function showModels() {
  const { list } = models;
  $("model").replaceChildren(...list.map((model) => new Option(model.id, model.id)));
  $("model").disabled = list.length < 2;
  $("model-field").hidden = !list.length;
  $("model-field").classList.toggle("single", list.length < 2);
  showModel();
  log.showAll();
}

function showModel() {
  const { conversation } = shown;
  const model = models.of(conversation);
  if (model) $("model").value = model.id;
  $("model-about").hidden = !model;
  composer.setModel(contextOf(model), recommendedOf(model), thinks(model));
  welcome.show(model, !Object.keys(conversation.nodes).length);
}

function markTuned() {
  const { settings } = shown.conversation;
  const tuned = Object.values(settings).some((value) => value && value !== "official" && !(Array.isArray(value) && !value.length));
  $("tune").classList.toggle("marked", tuned);
  $("tools-on").hidden = !(settings.tools || settings.runs || isAgents(settings));
}

// --- parts that are loaded when they are first needed --------------------------------------------------------------------

const extras = () => import("./extras.js");

async function openSettings() {
  (await extras()).openSettings(settingsPage);
}

async function openAbout() {
  (await extras()).openAbout(models.of(shown.conversation));
}

async function openPrompts() {
  (await extras()).openPrompts(composer.draft.text, (text) => composer.insert(text));
}

async function openProbabilities(...what) {
  (await extras()).showProbabilities(...what);
}

const settingsPage = {
  store,
  conversation: () => shown.conversation,
  changed() {
    shown.changedSettings();
    markTuned();
    gauge.update();
  },
  setTheme(theme) {
    prefer({ theme });
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  },
  async setLanguage(chosen) {
    prefer({ language: chosen });
    setLanguage(chosen);
    translate();
    log.clear();
    showAll();
    await openSettings();
    $("settings").querySelector(`[name=language][value=${chosen}]`).focus();
  },
  importFile: () => $("import-file").click(),
  exportAll: () => keeping.export([...store.all.values()]),
  removeAll: () => keeping.removeAll(),
  enterKey,
};

// --- the parts ---------------------------------------------------------------------------------------------------------

const newChat = () => {
  shown.begin();
  sidebar.closeIfOver();
  composer.focus();
};
const open = (id) => {
  shown.open(id);
  sidebar.closeIfOver();
};
const sidebar = new Sidebar(
  { open, entriesFor: (which) => keeping.entries(which), rename: (which, title) => keeping.rename(which, title), keepSidebar: (wanted) => prefer({ sidebar: wanted }) },
  store,
);
const composer = new Composer({
  send: (message) => actions.send(message),
  stop: () => actions.stop(),
  editLast: () => actions.editLast(),
  canSend: () => models.list.length > 0,
  cannotSend: () => loadModels(),
  changed: () => gauge.update(),
  model: () => models.of(shown.conversation)?.id,
  counted: (text, tokens) => gauge.counted(text, tokens),
  sizeOf: (attached) => gauge.sizeOf(attached),
});
const actions = new Actions({ store, models, answers, shown, composer, enterKey, openProbabilities });
const log = (actions.log = new Log(actions, shown, answers));
const keeping = new Keeping({ store, shown, answers, sidebar, askForFile: () => $("import-file").click() });
const welcome = new Welcome((text) => (actions.send({ text, budgets: preferences.compare ? composer.budgets : null }), composer.focus()));
const gauge = new Gauge({ models, shown, composer, actions, newChat });

// --- keys, buttons, files ------------------------------------------------------------------------------------------------

const search = () => {
  if (!sidebar.open) sidebar.toggle(true);
  $("search").focus();
};

function bind() {
  bindMenu();
  bindKeys({
    newChat,
    search,
    openKeys,
    openSettings,
    nextMode: () => composer.nextMode(),
    compare: () => $("compare").click(),
    toggleSidebar: () => sidebar.toggle(),
    focus: () => composer.focus(),
    escape: () => (sidebar.over ? sidebar.toggle(false) : actions.stop()),
  });
  bindFiles({ attach: (files) => composer.attach(files), importFile: (file) => ($("settings").close(), keeping.import(file)) });
  addEventListener("popstate", () => shown.openFromAddress());
  addEventListener("pagehide", keepWhatGrows);
  for (const id of ["new-chat", "new-chat-small"]) $(id).addEventListener("click", newChat);
  for (const id of ["tune", "tools-on"]) $(id).addEventListener("click", openSettings);
  $("open-keys").addEventListener("click", openKeys);
  for (const id of ["model-about", "about-name"]) $(id).addEventListener("click", openAbout);
  $("chat-menu").addEventListener("click", () => menu($("chat-menu"), keeping.entries(shown.conversation)));
  $("more").addEventListener("click", () => menu($("more"), more()));
  $("model").addEventListener("change", () => {
    shown.conversation.model = $("model").value;
    prefer({ model: shown.conversation.model });
    shown.changedSettings();
    showAll();
  });
}

const more = () => [
  ["attach", t("attach"), () => $("attach-file").click()],
  ["prompts", t("prompts"), openPrompts],
];

start();
