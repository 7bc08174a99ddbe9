// A conversation is a tree: an edit or a new answer is a sibling of the old one, and each parent remembers its chosen child.
// Everything in it is plain data, so that it can be stored, exported and imported as it is.

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

/** The nodes that are shown, first to last; `until` ends the path at that node. */
export function path(conversation, until = null) {
  const nodes = [];
  for (let at = conversation.chosen[ROOT]; at; at = conversation.chosen[at]) {
    nodes.push(conversation.nodes[at]);
    if (at === until) break;
  }
  return nodes;
}

export function versions(conversation, node) {
  const ids = conversation.children[node.parent];
  return { ids, at: ids.indexOf(node.id) };
}

export function choose(conversation, id) {
  conversation.chosen[conversation.nodes[id].parent] = id;
}

export function remove(conversation, node) {
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
  return [conversation.title, ...Object.values(conversation.nodes).map((node) => node.text)].join("\n").toLowerCase();
}

/** The messages of the API for the path to `parent`, in OpenAI's form. */
export function messagesFor(conversation, parent) {
  const nodes = path(conversation, parent);
  const lastUser = nodes.findLastIndex((node) => node.role === "user");
  const keep = conversation.settings.history === "keep";
  const system = conversation.settings.system?.trim();
  const messages = system ? [{ role: "system", content: system }] : [];
  nodes.forEach((node, i) => {
    if (node.role === "user") messages.push({ role: "user", content: node.text });
    else if (node.role === "tool") messages.push(...node.results.map((result) => ({ role: "tool", ...result })));
    else if (node.text || node.calls?.length) messages.push(assistant(node, keep || i > lastUser, nodes[i + 1]));
  });
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
