// Math in Markdown: $…$, $$…$$, \(…\) and \[…\]. It is only marked here, as text; `rich.js` renders it.

const MAX_LENGTH = 4000;

export function mathPlugin(md) {
  md.inline.ruler.before("escape", "math", inline);
  md.block.ruler.before("fence", "math", block, { alt: ["paragraph", "reference", "blockquote", "list"] });
  const show = (tag, display) => (tokens, i) =>
    `<${tag} class="math" data-display="${display}">${md.utils.escapeHtml(tokens[i].content)}</${tag}>`;
  md.renderer.rules.math_inline = show("span", "");
  md.renderer.rules.math_display = show("span", "yes");
  md.renderer.rules.math_block = show("div", "yes");
}

const PAIRS = [
  ["$$", "$$", true],
  ["\\[", "\\]", true],
  ["\\(", "\\)", false],
  ["$", "$", false],
];

function inline(state, silent) {
  const { src, pos } = state;
  const pair = PAIRS.find(([open]) => src.startsWith(open, pos));
  if (!pair) return false;
  const [open, close, display] = pair;
  const from = pos + open.length;
  const to = ending(src, from, close, open === "$");
  if (to < 0) return false;
  if (!silent) state.push(display ? "math_display" : "math_inline", "span", 0).content = src.slice(from, to).trim();
  state.pos = to + close.length;
  return true;
}

/** Where the math ends, or -1. A lone $ must hug its content and no digit may follow it: "$5 and $6" is money. */
function ending(src, from, close, single) {
  if (single && /[\s$]/.test(src[from] ?? " ")) return -1;
  for (let to = from; (to = src.indexOf(close, to)) >= 0; to += 1) {
    if (to - from > MAX_LENGTH) return -1;
    if (src[to - 1] === "\\" && close[0] === "$") continue;
    if (single && (/\s/.test(src[to - 1]) || /[\d$]/.test(src[to + 1] ?? ""))) continue;
    return to > from && src.slice(from, to).trim() ? to : -1;
  }
  return -1;
}

function block(state, startLine, endLine, silent) {
  const start = state.bMarks[startLine] + state.tShift[startLine];
  if (state.sCount[startLine] - state.blkIndent >= 4) return false;
  const open = ["$$", "\\["].find((each) => state.src.startsWith(each, start));
  if (!open) return false;
  const close = open === "$$" ? "$$" : "\\]";
  const lines = [];
  let line = startLine;
  for (; line < endLine; line += 1) {
    const from = state.bMarks[line] + (line === startLine ? state.tShift[line] + 2 : state.tShift[line]);
    const text = state.src.slice(from, state.eMarks[line]);
    const at = text.indexOf(close);
    if (at >= 0 && text.slice(at + 2).trim()) return false; // something follows: the inline rule reads it
    lines.push(at >= 0 ? text.slice(0, at) : text);
    if (at >= 0) break;
  }
  if (line >= endLine) return false;
  const content = lines.join("\n").trim();
  if (!content || content.length > MAX_LENGTH) return false;
  if (silent) return true;
  const token = state.push("math_block", "div", 0);
  Object.assign(token, { block: true, content, map: [startLine, line + 1] });
  state.line = line + 1;
  return true;
}
