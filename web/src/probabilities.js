// How probable each token of an answer was, and what else could have stood there. The same seed gives the same tokens, so
// they are asked for when they are wanted, not with every answer.
import { wholeAnswer } from "./api.js";
import { h } from "./dom.js";
import { requestFor } from "./run.js";
import { percent, t } from "./strings.js";

const ALTERNATIVES = 5;
const UNSURE = 0.9; // a token less probable than this is marked

/** Show them at the end of `place`. */
export async function showProbabilities(conversation, node, place) {
  place.querySelector(".probabilities")?.remove();
  const box = h("div", { class: "probabilities", role: "group", "aria-label": t("probabilities") }, h("p", { class: "waiting", "aria-label": t("waiting") }));
  place.append(box);
  try {
    box.replaceChildren(...parts(await askAgain(conversation, node), node));
  } catch (error) {
    box.replaceChildren(h("p", { class: "bad" }, t("probabilitiesFailed", error.message)));
  }
  box.scrollIntoView({ block: "nearest" });
}

async function askAgain(conversation, node) {
  const { seed, ...sampling } = node.report?.sampling ?? {};
  const ask = { ...node.ask, seed: seed === undefined ? node.ask.seed : String(seed) };
  const body = { ...requestFor(conversation, { ...node, ask }), ...sampling, logprobs: true, top_logprobs: ALTERNATIVES };
  return (await wholeAnswer(body)).choices[0];
}

function parts({ logprobs, message }, node) {
  const same = (message.content ?? "") === node.text;
  const found = [h("p", { class: "note" }, t(same ? "probabilitiesNote" : "probabilitiesOther"))];
  const told = h("div", { class: "alternatives", "aria-live": "polite" });
  if (logprobs?.reasoning_content?.length) found.push(h("h4", {}, t("thought")), strip(logprobs.reasoning_content, told));
  if (logprobs?.content?.length) found.push(h("h4", {}, t("answer")), strip(logprobs.content, told));
  return [...found, told];
}

/** The tokens in a row; arrows walk through them, and the one at hand tells its alternatives. */
function strip(tokens, told) {
  const one = (token, i) => {
    const p = Math.exp(token.logprob);
    const show = () => tell(token, told);
    const label = t("tokenLabel", token.token, percent(p));
    const element = h("button", { type: "button", class: `token${p < UNSURE ? " unsure" : ""}`, tabIndex: i ? -1 : 0, "aria-label": label, onmouseenter: show, onfocus: show, onclick: show }, visible(token.token));
    element.style.setProperty("--doubt", String(Math.min(1, 1 - p)));
    return element;
  };
  const row = h("div", { class: "tokens", dir: "auto" }, ...tokens.map(one));
  row.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && row.children[[...row.children].indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    for (const each of row.children) each.tabIndex = each === next ? 0 : -1;
    next.focus();
  });
  return row;
}

function tell({ token, logprob, top_logprobs: top = [] }, told) {
  const all = top.some((each) => each.token === token) ? top : [{ token, logprob }, ...top];
  const one = (each) => {
    const share = Math.exp(each.logprob);
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(share));
    return h("li", { class: each.token === token ? "taken" : "" }, h("code", {}, visible(each.token)), bar, h("span", {}, share < 0.001 ? `< ${percent(0.001, 1)}` : percent(share, share < 0.1 ? 1 : 0)));
  };
  told.replaceChildren(h("ol", {}, ...all.map(one)));
}

/** Blanks and line breaks as signs, where a token is nothing else. */
const visible = (token) => (token.trim() ? token : token.replaceAll("\n", "⏎").replaceAll(" ", "␣").replaceAll("\t", "⇥") || "∅");
