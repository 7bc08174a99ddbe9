// What a reader may type in, checked before it is sent: sampling values, seeds, budgets, tools.
import { RANGES } from "./ranges.js";
import { number, t } from "./strings.js";

export const SAMPLING = Object.keys(RANGES);
const STEPS = { temperature: 0.05, top_p: 0.01, top_k: 1, min_p: 0.01, max_tokens: 1 };
const LARGEST_SEED = 2n ** 63n - 1n;

/** Attributes for a number field: what its arrows reach. */
export function attributesOf(name) {
  const { minimum = 0, maximum } = RANGES[name];
  return { min: String(minimum), max: maximum === undefined ? undefined : String(maximum), step: String(STEPS[name] ?? 0.1) };
}

export function isSampling(name, value) {
  const range = RANGES[name];
  if (!range || !Number.isFinite(value) || (range.type === "integer" && !Number.isSafeInteger(value))) return false;
  const { minimum = -Infinity, exclusiveMinimum = -Infinity, maximum = Infinity } = range;
  return value >= minimum && value > exclusiveMinimum && value <= maximum;
}

/** What a sampling value must be, in words. */
export function wantedOf(name) {
  const { type, minimum, exclusiveMinimum, maximum } = RANGES[name];
  const kind = t(type === "integer" ? "wantWhole" : "wantNumber");
  if (maximum === undefined || maximum > 2 ** 30) return t("wantLeast", kind, number(minimum));
  if (exclusiveMinimum !== undefined) return t("wantAbove", kind, number(exclusiveMinimum), number(maximum));
  return t("wantRange", kind, number(minimum, 2), number(maximum));
}

/** Whether a text is a seed, or nothing. (A number of the page could not hold one.) */
export function isSeed(value) {
  return typeof value === "string" && /^\d{0,19}$/.test(value) && BigInt(value || 0) <= LARGEST_SEED;
}

export const drawSeed = () => String(crypto.getRandomValues(new Uint32Array(1))[0]);

/** The budget in a text: tokens, null for no bound, undefined for what is neither. */
export function budgetIn(text) {
  const plain = text.trim().toLowerCase().replace(/[,.\s_’']/g, "");
  if (["", "∞", "unlimited", "不限", "off"].includes(plain)) return null;
  return /^\d{1,8}$/.test(plain) ? Number(plain) : undefined;
}

/** What is wrong with a JSON list of tools, in words with the place; "" where nothing is. */
export function problemOfTools(text) {
  if (!text.trim()) return "";
  let tools;
  try {
    tools = JSON.parse(text);
  } catch (error) {
    return t("toolsNotJson", placeOf(text, error));
  }
  if (!Array.isArray(tools)) return t("toolsNoList");
  for (const [i, tool] of tools.entries()) {
    const problem = problemOfTool(tool, `[${i}]`, tools.slice(0, i));
    if (problem) return problem;
  }
  return "";
}

export const isToolList = (text) => typeof text === "string" && !problemOfTools(text);

const plainObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function problemOfTool(tool, where, before) {
  if (!plainObject(tool)) return t("toolsWant", where, "{…}");
  if (tool.type !== "function") return t("toolsWant", `${where}.type`, '"function"');
  if (!plainObject(tool.function)) return t("toolsWant", `${where}.function`, "{…}");
  const { name, parameters } = tool.function;
  if (typeof name !== "string" || !name) return t("toolsWant", `${where}.function.name`, t("toolsName"));
  if (before.some((each) => each.function.name === name)) return t("toolsTwice", `${where}.function.name`, name);
  if (parameters !== undefined && !plainObject(parameters)) return t("toolsWant", `${where}.function.parameters`, "{…}");
  return "";
}

/** Where JSON ends to be JSON: "line 3, column 5". Browsers tell it in words of their own, so it is looked for here. */
function placeOf(text, error) {
  const told = /position (\d+)/.exec(error.message);
  const line = /line (\d+) column (\d+)/.exec(error.message);
  if (line) return t("place", number(Number(line[1])), number(Number(line[2])));
  const at = told ? Number(told[1]) : endOfJson(text);
  const before = text.slice(0, at).split("\n");
  return t("place", number(before.length), number(before.at(-1).length + 1));
}

/** The length of the longest beginning that could still become JSON, found by halves: a shorter one always can. */
function endOfJson(text) {
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isBeginning(text.slice(0, middle))) low = middle;
    else high = middle - 1;
  }
  return low;
}

function isBeginning(text) {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    return /end|unterminated|EOF/i.test(error.message);
  }
}
