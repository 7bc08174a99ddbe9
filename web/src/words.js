// Markdown comes beside the page, not before it: the page is there at once, and its renderer a moment later.
let library = null;
const waiting = new Map(); // what was shown as plain text meanwhile

export async function loadMarkdown() {
  try {
    library = await import("./markdown.js");
  } catch {
    return; // the text is readable without it
  }
  for (const [element, what] of waiting) {
    element.textContent = "";
    library.show(element, ...what);
  }
  waiting.clear();
}

/** Bring `element` to show `text`; `whole`: no more will come. */
export function show(element, text, whole) {
  if (library) return library.show(element, text, whole);
  element.textContent = text;
  waiting.set(element, [text, whole]);
}
