// Conversations as files: JSON out and, checked field by field, in again; Markdown out.
import { t } from "./strings.js";
import { ROOT, closeCalls, compared, contentOf, fence, newId, path, titleOf } from "./tree.js";
import { isSampling, isSeed, isToolList } from "./values.js";

const FORMAT = "sansi-conversations";
const VERSION = 1;
const ROLES = ["user", "assistant", "tool"];
export const MAX_BYTES = 50 * 2 ** 20;

export function toFile(conversations) {
  return JSON.stringify({ format: FORMAT, version: VERSION, exported: new Date().toISOString(), conversations }, null, 1);
}

/** The conversations in a file's text, under new ids. Raises an Error, in words for a reader, when anything is wrong. */
export function fromFile(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error(t("notJson"));
  }
  if (file?.format !== FORMAT || !Array.isArray(file.conversations)) throw new Error(t("notOurs"));
  if (file.version > VERSION) throw new Error(t("newerFormat"));
  return file.conversations.map((each, i) => conversationOf(each, `conversations[${i}]`));
}

// Only fields that are named below are taken over: what a file adds does not reach the page.
const text = (value) => typeof value === "string";
const own = (value) => text(value) && !(value in {}); // as a key it would meet what every object has
const time = (value) => Number.isFinite(value);
const list = (check) => (value) => Array.isArray(value) && value.every(check);
const plain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const record = (fields) => (value) => plain(value) && Object.entries(fields).every(([name, check]) => check(value[name]));
const maybe = (check) => (value) => value === undefined || value === null || check(value);
const tame = (value) => ["string", "boolean"].includes(typeof value) || value === null || Number.isFinite(value);

const FILE = record({ name: text, type: text, size: time, base64: text });
const RESULT = record({ text, status: text, seconds: time, origin: maybe(text), attachments: maybe(list(FILE)) });
const callOf = record({ id: text, name: text, arguments: text, error: maybe(text), state: maybe(text), origin: maybe(text), progress: maybe(text), result: maybe(RESULT) });

const NODE = {
  id: own,
  parent: own,
  role: (value) => ROLES.includes(value),
  created: time,
  text,
  thought: maybe(text),
  model: maybe(text),
  status: maybe((value) => ["done", "stopped", "failed", "running"].includes(value)),
  finish: maybe(text),
  calls: maybe(list(callOf)),
  notices: maybe(list(text)),
  results: maybe(list(record({ tool_call_id: text, content: text }))),
  error: maybe(record({ kind: text, message: text })),
  ask: maybe(record({ mode: text, budget: maybe(time), seed: maybe(isSeed) })),
  group: maybe(text),
  attachments: maybe(list(record({ name: text, text }))),
  ...Object.fromEntries(["fresh", "edited", "byServer", "byAgent"].map((name) => [name, maybe((value) => typeof value === "boolean")])),
  ...Object.fromEntries(["freshAt", "ended", "closingFrom"].map((name) => [name, maybe(time)])),
  counts: maybe((value) => plain(value) && Object.values(value).every(tame)),
  times: maybe((value) => plain(value) && Object.values(value).every(tame)),
  report: maybe(plain),
};
const CONVERSATION = { title: text, named: maybe(tame), created: time, updated: time, model: maybe(text), settings: plain };
const flag = (value) => typeof value === "boolean";
const SETTINGS = { system: text, history: (value) => ["official", "keep"].includes(value), tools: isToolList, seed: isSeed, runs: flag, agent: flag, without: list(text) };

function take(value, fields, where) {
  if (!plain(value)) throw new Error(t("badPart", where));
  const taken = {};
  for (const [name, check] of Object.entries(fields)) {
    if (!check(value[name])) throw new Error(t("badPart", `${where}.${name}`));
    if (value[name] !== undefined) taken[name] = value[name];
  }
  return taken;
}

function conversationOf(value, where) {
  const conversation = { ...take(value, CONVERSATION, where), id: newId(), nodes: {}, children: {}, chosen: {} };
  conversation.settings = settingsOf(conversation.settings, `${where}.settings`);
  for (const [id, node] of Object.entries(plain(value.nodes) ? value.nodes : {})) {
    const here = `${where}.nodes.${id}`;
    const taken = take(node, NODE, here);
    const parent = value.nodes[taken.parent];
    if (taken.id !== id || !(taken.parent === ROOT || parent) || !follows(parent?.role, taken.role)) throw new Error(t("badPart", here));
    if (taken.status === "running") taken.status = "stopped";
    closeCalls(taken);
    conversation.nodes[id] = taken;
  }
  link(conversation, value, where);
  return conversation;
}

function follows(before, role) {
  return { user: ["assistant", undefined], assistant: ["user", "tool"], tool: ["assistant"] }[role].includes(before);
}

function settingsOf(value, where) {
  const settings = {};
  for (const [name, setting] of Object.entries(value)) {
    const ok = own(name) && (name in SETTINGS ? SETTINGS[name](setting) : isSampling(name, setting));
    if (!ok) throw new Error(t("badPart", `${where}.${name}`));
    settings[name] = setting;
  }
  return settings;
}

/** Children and choices follow from the parents; a parent that is its own descendant is refused. */
function link(conversation, value, where) {
  const nodes = Object.values(conversation.nodes).sort((a, b) => a.created - b.created);
  for (const node of nodes) (conversation.children[node.parent] ??= []).push(node.id);
  for (const [parent, ids] of Object.entries(conversation.children)) {
    const wanted = plain(value.chosen) ? value.chosen[parent] : null;
    conversation.chosen[parent] = ids.includes(wanted) ? wanted : ids.at(-1);
  }
  const reached = new Set();
  const walk = [...(conversation.children[ROOT] ?? [])];
  while (walk.length) {
    const id = walk.pop();
    reached.add(id);
    walk.push(...(conversation.children[id] ?? []));
  }
  if (reached.size !== nodes.length) throw new Error(t("badPart", `${where}.nodes`));
}

export function toMarkdown(conversation) {
  const parts = [`# ${titleOf(conversation)}`];
  if (conversation.settings.system) parts.push(`> ${conversation.settings.system.split("\n").join("\n> ")}`);
  for (const node of path(conversation)) {
    if (node.role === "tool") parts.push(...node.results.map((result) => fenced(t("toolResults"), result.content)));
    else if (node.group) parts.push(`## ${t("comparison")}`, ...compared(conversation, node).flatMap((each) => partsOf(each, `### ${t("budget")}: ${each.ask.budget ?? t("unlimited")}`)));
    else parts.push(...partsOf(node, `## ${node.role === "user" ? t("you") : node.model ?? t("answer")}`));
  }
  return `${parts.join("\n\n")}\n`;
}

function partsOf(node, head) {
  const parts = [head];
  if (node.thought) parts.push(`<details><summary>${t("thought")}</summary>\n\n${node.thought.trim()}\n\n</details>`);
  const text = contentOf(node).trim();
  if (text) parts.push(text);
  for (const call of node.calls ?? []) parts.push(fenced(`${t("toolWants")}: ${call.name}`, call.arguments));
  return parts;
}

const fenced = (title, content) => `**${title}**\n\n${fence(content)}`;
