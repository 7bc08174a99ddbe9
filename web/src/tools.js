// Tools that a conversation offers the model: those that a reader wrote, and those of the server that it may run itself.
import { listAgentTools, listTools, runTool } from "./api.js";

const MOST_ROUNDS = 8; // of calls that run by themselves, between two messages of the reader
let known = null;

/** What the server runs for agents, where its operator turned it on: {on, data, servers, mode}. */
export const server = { on: false, data: [], servers: [], mode: "ask" };

/** Look at it, again where it was looked at before: servers start and end. */
export async function loadServerTools(on) {
  server.on = on;
  if (on) Object.assign(server, await listAgentTools());
}

/** Whether answers of a conversation are an agent's. */
export const isAgents = (settings) => server.on && settings.agent !== false;

/** The names of the tools that it may use; null: all. */
export function namesFor(settings) {
  const without = new Set(settings.without ?? []);
  return without.size ? server.data.map((tool) => tool.name).filter((name) => !without.has(name)) : null;
}

/** Ask the server, once, which tools it runs. Without an answer there are none. */
export async function prepare(settings) {
  if (settings.runs) known ??= await listTools();
}

/** Definitions in OpenAI's form. A tool of the reader takes the place of the server's of the same name. */
export function toolsOf(settings) {
  const own = settings.tools?.trim() ? JSON.parse(settings.tools) : [];
  const names = new Set(own.map((tool) => tool.function.name));
  const theirs = settings.runs && known ? known.filter((tool) => !names.has(tool.function.name)) : [];
  return [...own, ...theirs];
}

const runsByItself = (settings, call) => {
  const own = settings.tools?.trim() ? JSON.parse(settings.tools) : [];
  return toolsOf(settings).some((tool) => tool.function.name === call.name) && !own.some((tool) => tool.function.name === call.name);
};

/** Whether every call of an answer can be run by the server, and not too many rounds of them went before. */
export function canRun(settings, nodes) {
  const { calls = [], report, status } = nodes.at(-1);
  const rounds = nodes.length - 1 - nodes.findLastIndex((node) => node.role === "user");
  if (status !== "done" || !settings.runs || !calls.length || rounds > 2 * MOST_ROUNDS) return false;
  return calls.every((call) => runsByItself(settings, call) && !report?.tool_call_errors?.[call.id]);
}

/** What the tools say, one result per call. A refusal is a result too: the model may correct itself. */
export async function resultsOf(calls) {
  const one = async (call) => ({ tool_call_id: call.id, content: await said(call) });
  return Promise.all(calls.map(one));
}

async function said(call) {
  try {
    return await runTool(call.name, call.arguments);
  } catch (error) {
    return `error: ${error.message}`;
  }
}
