// What an answer cost and what the server did for it, in words.
import { closingOf, countsOf, firstTokenOf, speedOf } from "./run.js";
import { number, seconds, t, tokens } from "./strings.js";

const SOURCES = { default: "sourceDefault", request: "sourceRequest", soft_switch: "sourceSwitch", model: "sourceModel" };
const ENDS = { natural: "endNatural", budget: "endBudget", reserve: "endReserve", loop: "endLoop", stop: "endStop", end_of_turn: "endTurn", length: "endLength" };

/** Why the thought ended: {text, cut}; null while it goes on or where there was none. */
export function endOf(node) {
  const reason = node.report?.thinking_end_reason;
  if (!reason) return node.status === "stopped" && node.thought && !node.text ? { text: t("endUser"), cut: false } : null;
  const budget = node.report.thinking_budget_applied;
  const text = reason === "budget" && budget ? t("endBudget", number(budget)) : reason === "budget" ? t("endBudget", "0") : null;
  return { text: text ?? (ENDS[reason] ? t(ENDS[reason]) : reason), cut: reason !== "natural" };
}

/** While an answer grows: how much there is, how fast, and since when. */
export function summary(node, now) {
  const { all } = countsOf(node);
  if (!all) return "";
  const speed = speedOf(node, now);
  return [t("about", tokens(all)), ...(speed ? [t("factSpeed", number(speed, speed < 10 ? 1 : 0))] : [])].join(" · ");
}

/** What it cost, in one line: tokens, speed, time to the first token. */
function costOf(node) {
  const { own, closing, answer } = countsOf(node);
  const parts = [];
  if (own) parts.push(t("factThought", number(own)));
  if (closing) parts.push(t("factClosing", number(closing)));
  parts.push(t("factAnswer", number(answer)));
  const sum = own || closing ? t("factTokens", parts.join(" + ")) : tokens(answer);
  const speed = speedOf(node);
  const first = firstTokenOf(node);
  return [node.counts.exact ? sum : t("about", sum), ...(speed ? [t("factSpeed", number(speed, speed < 10 ? 1 : 0))] : []), ...(first !== null ? [t("factFirst", seconds(first))] : [])].join(" · ");
}

/** The report in rows of [name, value]. */
export function rows(node) {
  const { report, counts } = node;
  const limit = (budget) => (budget === null || budget === undefined ? t("unlimited") : tokens(budget));
  const thinking = report.mode === "thinking";
  const source = SOURCES[report.mode_source] ? t(SOURCES[report.mode_source]) : report.mode_source;
  const found = [["rowModel", node.model], ["rowCost", costOf(node)]];
  found.push(["rowMode", t("modeBy", t(thinking ? "modeThinking" : "modeDirect"), source)]);
  if (thinking) {
    found.push(["rowAsked", limit(report.thinking_budget_requested)], ["rowApplied", limit(report.thinking_budget_applied)]);
    found.push(["rowEnd", endOf(node)?.text ?? "—"]);
    const { phrase } = closingOf(node);
    if (phrase) found.push(["rowClosing", t("closingValue", phrase.trim(), number(countsOf(node).closing))]);
  }
  const { seed, ...sampling } = report.sampling ?? {};
  found.push(["rowPreset", report.preset]);
  found.push(["rowSampling", Object.entries(sampling).map(([name, value]) => `${name} ${value}`).join(", ")]);
  found.push(["rowSeed", String(seed ?? "—")]);
  found.push(["rowLimit", t("limitValue", number(report.max_tokens), number(report.answer_reserve))]);
  if (counts.exact) found.push(["rowPrompt", t("promptValue", number(counts.prompt), number(counts.cached))]);
  found.push(["rowTime", time(node)]);
  if (report.problems?.length) found.push(["rowProblems", report.problems.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(", ")]);
  return found.filter(([, value]) => value).map(([name, value]) => [t(name), value]);
}

function time(node) {
  const { queue_s: queue, first_token_s: first, total_s: total } = node.report.timing ?? {};
  if (total === undefined) return node.times?.all ? seconds(node.times.all) : "";
  return t("timeValue", seconds(queue ?? 0), seconds(first ?? 0), seconds(total));
}

/** What went wrong with an answer, in words, or null. */
export function problemOf(node) {
  if (node.error) return errorText(node.error);
  if (node.status === "stopped") return t("stopped");
  if (node.status !== "done") return null;
  const empty = !node.text.trim() && !node.calls?.length;
  if (node.finish === "length") return t(empty ? "emptyLength" : "cutLength");
  return empty ? t("emptyAnswer") : null;
}

export function errorText({ kind, message, status, wait }) {
  const what = message || t("errorStatus", status);
  if (kind === "offline") return t("errorOffline");
  if (kind === "cut") return t("errorCut");
  if (kind === "reload") return t("errorReload");
  if (kind === "key") return message || t("errorKey");
  if (kind === "context") return t("errorContext", what);
  if (kind === "busy") return wait ? t("errorBusyIn", seconds(wait)) : t("errorBusy");
  return t(kind === "server" ? "errorServer" : "errorRequest", what);
}
