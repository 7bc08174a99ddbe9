// How full the context is, and what to leave out when it gets too full. Counts are the server's where it told them.
import { contentOf, sentOf } from "./tree.js";

const PER_CHARACTER = 0.4; // tokens, before the server has told how many its prompts had
const PER_MESSAGE = 5; // tokens of the template around it

const charactersOf = (node) => (node.role === "user" ? contentOf(node).length : node.text.length + JSON.stringify(node.calls ?? node.results ?? "").length);

const isCounted = (node) => Boolean(node.counts?.exact && node.counts.prompt);

/** Tokens per character, learned from the last prompt whose tokens are known and which left nothing out. */
export function rateOf(path, system = "") {
  const at = path.findLastIndex((node, i) => isCounted(node) && !path.slice(0, i).some((each) => each.fresh));
  if (at < 1) return PER_CHARACTER;
  const characters = path.slice(0, at).reduce((sum, node) => sum + charactersOf(node), system.length);
  const bare = path[at].counts.prompt - PER_MESSAGE * at;
  return characters > 20 && bare > 0 ? Math.min(2, bare / characters) : PER_CHARACTER;
}

/** Tokens that the messages of a path will have in the next prompt. */
export function usedBy(conversation, path) {
  const nodes = sentOf(conversation, path);
  const rate = rateOf(path, conversation.settings.system);
  const about = (all) => all.reduce((sum, node) => sum + Math.ceil(rate * charactersOf(node)) + PER_MESSAGE, 0);
  const changed = Math.max(0, ...path.map((node) => node.freshAt ?? 0)); // when it was last said what to leave out
  const at = nodes.findLastIndex((node) => isCounted(node) && node.created >= changed);
  if (at < 0) return about(nodes);
  const { prompt, thought, answer } = nodes[at].counts;
  const kept = conversation.settings.history === "keep" ? thought : 0;
  return prompt + answer + kept + about(nodes.slice(at + 1));
}

/** Tokens that thought and answer took at most so far, which the next ones may want too. */
export function wantedBy(path, ask) {
  const answers = path.filter((node) => node.role === "assistant" && node.counts?.exact);
  const most = (name) => Math.max(0, ...answers.map((node) => node.counts[name]));
  const thought = ask.mode === "direct" || ask.budget === 0 ? 0 : Math.min(most("thought"), ask.budget ?? Infinity);
  return thought + Math.max(8, most("answer"));
}

/** The question from which on to send, so that at most half of the context is full: a node, or null for the next one. */
export function startAgain(conversation, path, size) {
  const questions = sentOf(conversation, path).filter((node) => node.role === "user").slice(1);
  const fits = (question) => usedBy(conversation, withStart(path, question)) <= size / 2;
  return questions.find(fits) ?? null;
}

const withStart = (path, question) => path.map((node) => (node === question ? { ...node, fresh: true, freshAt: Infinity } : node));
