// Markdown from a model, made harmless: no HTML of its own, a short list of tags, links to the web only, no images
// loaded. What is not in the lists below does not reach the document.
import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";
import { copy, h, iconButton } from "./dom.js";
import { mathPlugin } from "./math.js";
import { t } from "./strings.js";

const TAGS = "a b blockquote br code del div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong table tbody td th thead tr ul";
const ATTRIBUTES = ["class", "href", "start", "data-display"];
const PURE = { ALLOWED_TAGS: TAGS.split(" "), ALLOWED_ATTR: ATTRIBUTES, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false };
const WEB = /^(?:https?|mailto):/i;
const MAX_LIVE_CODE = 8000; // longer code is coloured once it is whole

const md = new MarkdownIt({ html: false, linkify: true, breaks: true });
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
md.use(mathPlugin);
md.validateLink = (url) => WEB.test(url.trim());
// How a column of a table is aligned is a class: the page allows no style in its elements.
for (const rule of ["th_open", "td_open"]) {
  md.renderer.rules[rule] = (tokens, i, options, environment, renderer) => {
    const token = tokens[i];
    const aligned = /text-align:(left|center|right)/.exec(token.attrGet("style") ?? "");
    token.attrs = aligned ? [["class", `to-${aligned[1]}`]] : null;
    return renderer.renderToken(tokens, i, options);
  };
}
// An image would tell its server that the answer was read: its address is shown as a link instead.
md.renderer.rules.image = (tokens, i) => {
  const { content, attrs } = tokens[i];
  const source = attrs.find(([name]) => name === "src")[1];
  return `<a class="picture" href="${md.utils.escapeHtml(source)}">${md.utils.escapeHtml(content || t("image"))}</a>`;
};

/** Bring `element` to show `text`. Blocks that did not change are left alone, so that a stream costs what is new. */
export function show(element, text, whole) {
  const environment = {};
  const blocks = groups(md.parse(text, environment)).map((group) => md.renderer.render(group, md.options, environment));
  const old = (element.blocks ??= []);
  const last = blocks.length - 1;
  blocks.forEach((html, i) => {
    const live = i === last && !whole;
    if (old[i]?.html === html && (old[i].live === live || !html.includes("<pre"))) return;
    const block = h("div", { class: "block" }, harmless(html));
    decorate(block, live);
    if (old[i]) old[i].block.replaceWith(block);
    else element.append(block);
    old[i] = { html, live, block };
  });
  for (const { block } of old.splice(blocks.length)) block.remove();
}

/** The tokens of each block at the outermost level. */
function groups(tokens) {
  const found = [];
  let depth = 0;
  for (const token of tokens) {
    if (depth === 0) found.push([]);
    found.at(-1).push(token);
    depth += token.nesting;
  }
  return found;
}

function harmless(html, options = PURE) {
  return DOMPurify.sanitize(html, { ...options, RETURN_DOM_FRAGMENT: true });
}

function decorate(block, live) {
  for (const link of block.querySelectorAll("a")) {
    if (!WEB.test(link.getAttribute("href") ?? "")) link.replaceWith(...link.childNodes);
    else Object.assign(link, { target: "_blank", rel: "noopener noreferrer nofollow" });
  }
  for (const part of block.querySelectorAll("p, li, blockquote, h1, h2, h3, h4, h5, h6, td, th")) part.dir = "auto";
  for (const table of block.querySelectorAll("table")) {
    const frame = h("div", { class: "wide", tabIndex: 0, role: "group", "aria-label": t("table") });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const code of block.querySelectorAll("pre > code")) frameCode(code, live);
  for (const math of block.querySelectorAll(".math")) showMath(math);
}

function frameCode(code, live) {
  const language = /language-([\w+#.-]+)/.exec(code.className)?.[1] ?? "";
  const button = iconButton("copy", t("copyCode"), () => copy(code.textContent, button));
  const pre = code.parentElement;
  pre.tabIndex = 0;
  pre.setAttribute("aria-label", t("code"));
  pre.setAttribute("role", "group");
  const frame = h("div", { class: "code", dir: "ltr" }, h("div", { class: "code-head" }, h("span", {}, language), button));
  pre.replaceWith(frame);
  frame.append(pre);
  if (language && !(live && code.textContent.length > MAX_LIVE_CODE)) colour(code, language);
}

// --- loaded when first needed ------------------------------------------------------------------------------------------

const loaded = {};

/** `act` with the library: at once when it is here, else when it has come; without it the text stays as it is. */
function withLibrary(name, load, act) {
  if (loaded[name]?.library) return act(loaded[name].library);
  loaded[name] ??= { coming: load().then((library) => (loaded[name].library = library)) };
  loaded[name].coming.then(act, () => delete loaded[name]);
}

function colour(code, language) {
  withLibrary("code", async () => (await import("./highlight.js")).default, (hljs) => {
    if (!hljs.getLanguage(language)) return;
    const { value } = hljs.highlight(code.textContent, { language, ignoreIllegals: true });
    code.replaceChildren(harmless(value, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] }));
  });
}

function showMath(element) {
  const options = { displayMode: element.dataset.display === "yes", trust: false, strict: "ignore", maxSize: 20, maxExpand: 200 };
  const source = element.textContent;
  withLibrary("math", loadMath, (katex) => {
    try {
      katex.render(source, element, options);
      element.classList.add("ready");
      if (!options.displayMode) return;
      element.tabIndex = 0; // it may be wider than the page
      element.setAttribute("role", "group");
      element.setAttribute("aria-label", t("formula"));
    } catch {
      element.textContent = source; // what is no formula stays text
    }
  });
}

async function loadMath() {
  const style = h("link", { rel: "stylesheet", href: "/static/katex.css" });
  const styled = new Promise((resolve) => (style.onload = style.onerror = resolve));
  document.head.append(style);
  const [{ default: katex }] = await Promise.all([import("./katex.js"), styled]);
  return katex;
}
