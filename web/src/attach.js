// Files that go along with a message, as text.
import { number, t } from "./strings.js";

const MOST_BYTES = 2 * 2 ** 20;
const MARKS = [
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];

/** {name, text} of a file. Raises an Error, in words for a reader, for what is no text. */
export async function attachedFrom(file) {
  if (file.size > MOST_BYTES) throw new Error(t("attachLarge", file.name, number(MOST_BYTES / 2 ** 20)));
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (startsWith(bytes, [0x25, 0x50, 0x44, 0x46])) throw new Error(t("attachPdf", file.name)); // %PDF
  const text = decoded(bytes);
  if (text === null) throw new Error(t("attachBinary", file.name));
  if (!text.trim()) throw new Error(t("attachEmpty", file.name));
  return { name: file.name || t("untitledFile"), text: text.replace(/\r\n?/g, "\n").replace(/\n+$/, "") };
}

const startsWith = (bytes, mark) => mark.every((byte, i) => bytes[i] === byte);

function decoded(bytes) {
  const encoding = MARKS.find(([, mark]) => startsWith(bytes, mark))?.[0] ?? "utf-8";
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}
