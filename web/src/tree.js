// A conversation is a tree: an edit or a new answer is a sibling of the old one, and each parent remembers its chosen child.
// Everything in it is plain data, so that it can be stored, exported and imported as it is.

import { t } from "./strings.js";

export const ROOT = "root";

export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(36).padStart(2, "0")).join("");
}

export function newConversation(model) {
  const now = Date.now();
  return { id: newId(), title: "", named: false, created: now, updated: now, model, settings: {}, nodes: {}, children: {}, chosen: {} };
}

/** Add a node below `parent` (ROOT for a first message) and choose it. */
export function add(conversation, parent, fields) {
  const node = { id: newId(), parent, created: Date.now(), text: "", ...fields };
  conversation.nodes[node.id] = node;
  (conversation.children[parent] ??= []).push(node.id);
  conversation.chosen[parent] = node.id;
  conversation.updated = Date.now();
  return node;
}

/** The nodes that are shown, first to last; `until` ends the path at that node, which may lie on no chosen branch. */
export function path(conversation, until = null) {
  const nodes = [];
  if (until) {
    for (let at = conversation.nodes[until]; at; at = conversation.nodes[at.parent]) nodes.unshift(at);
    return nodes;
  }
  for (let at = conversation.chosen[ROOT]; at; at = conversation.chosen[at]) {
    nodes.push(conversation.nodes[at]);
  }
  return nodes;
}

/** The answers that are compared with this one, itself among them, by their budgets; [] where there are none. */
export function compared(conversation, node) {
  if (!node?.group) return [];
  const all = (conversation.children[node.parent] ?? []).map((id) => conversation.nodes[id]);
  return all.filter((each) => each.group === node.group).sort((a, b) => (a.ask.budget ?? Infinity) - (b.ask.budget ?? Infinity));
}

/** The versions beside a node: {ids, at}. A comparison counts as one, for which one of its answers stands. */
export function versions(conversation, node) {
  const seen = new Set();
  const ids = [];
  for (const each of conversation.children[node.parent].map((id) => conversation.nodes[id])) {
    if (each.group && seen.has(each.group)) continue;
    seen.add(each.group);
    ids.push(each.group ? (each.group === node.group ? node : standsFor(conversation, each)).id : each.id);
  }
  return { ids, at: ids.indexOf(node.id) };
}

/** Of a comparison: the answer after which the conversation went on, else the one with the largest budget. */
function standsFor(conversation, node) {
  const all = compared(conversation, node);
  return all.find((each) => conversation.children[each.id]?.length) ?? all.at(-1);
}

export function choose(conversation, id) {
  conversation.chosen[conversation.nodes[id].parent] = id;
}

/** Take a node away. Its id is kept, so that a tab that still has it does not bring it back. */
export function remove(conversation, node) {
  (conversation.removed ??= []).push(node.id);
  const ids = conversation.children[node.parent].filter((id) => id !== node.id);
  conversation.children[node.parent] = ids;
  delete conversation.nodes[node.id];
  if (ids.length) conversation.chosen[node.parent] = ids.at(-1);
  else delete conversation.chosen[node.parent];
}

/** What the conversation is called: its name, or the beginning of its first question. */
export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const first = conversation.nodes[conversation.chosen[ROOT]]?.text ?? "";
  const line = first.trim().split("\n")[0];
  return line.length > 100 ? `${[...line].slice(0, 99).join("")}…` : line;
}

export function textOf(conversation) {
  const texts = Object.values(conversation.nodes).flatMap((node) => [node.text, ...(node.attachments ?? []).map((each) => each.name)]);
  return [conversation.title, ...texts].join("\n").toLowerCase();
}

/** Nobody waits any more for what the calls of an agent's answer ask, and what did not end will not. */
export function closeCalls(node) {
  for (const call of node.calls ?? []) {
    delete call.question;
    delete call.inputs;
    if (call.state && !call.result) call.state = "cancelled";
  }
}

/** What a question says: its text, then the texts that are attached to it, each with its name. */
export function contentOf(node) {
  const parts = (node.attachments ?? []).map(({ name, text }) => `${t("attachedAs", name)}\n${fence(text)}`);
  return [node.text, ...parts].filter(Boolean).join("\n\n");
}

/** A text between fences that are longer than any inside it. */
export function fence(text, language = "") {
  const marks = "`".repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  return `${marks}${language}\n${text}\n${marks}`;
}

/** The nodes of a path that are sent: all, or those from the question on from which a reader chose to go on. */
export function sentOf(conversation, nodes) {
  const from = nodes.findLastIndex((node) => node.fresh);
  return from < 0 ? nodes : nodes.slice(from);
}

/** The messages of the API for the path to `parent`, in OpenAI's form; `begun` is an answer to go on with. */
export function messagesFor(conversation, parent, begun = null) {
  const nodes = sentOf(conversation, path(conversation, parent));
  const lastUser = nodes.findLastIndex((node) => node.role === "user");
  const keep = conversation.settings.history === "keep";
  const system = conversation.settings.system?.trim();
  const messages = system ? [{ role: "system", content: system }] : [];
  nodes.forEach((node, i) => {
    if (node.role === "user") messages.push({ role: "user", content: contentOf(node) });
    else if (node.role === "tool") messages.push(...node.results.map(({ tool_call_id, content }) => ({ role: "tool", tool_call_id, content })));
    else if (node.text || node.calls?.length) messages.push(assistant(node, keep || i > lastUser, nodes[i + 1]));
  });
  if (begun) messages.push(assistant(begun, true));
  return messages;
}

/** Thoughts of earlier turns are the policy's to drop; those of a tool call that is not answered yet belong to it. */
function assistant(node, withThought, next) {
  const message = { role: "assistant", content: node.text };
  if (withThought && node.thought) message.reasoning_content = node.thought;
  if (node.calls?.length && next?.role === "tool") {
    const answered = new Set(next.results.map((result) => result.tool_call_id));
    message.tool_calls = node.calls
      .filter((call) => answered.has(call.id))
      .map((call) => ({ id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }));
  }
  return message;
}
