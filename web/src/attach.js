// Files that go along with a message, as text. What is no Unicode text is sent to the server, which reads it.
import { readDocument } from "./api.js";
import { number, t } from "./strings.js";

const MOST_BYTES = 2 * 2 ** 20; // of a text
const MOST_SENT = 16 * 2 ** 20; // to the server; it may allow less
const MARKS = [
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];
const REFUSALS = { scanned: "attachScanned", encrypted: "attachEncrypted", broken: "attachBroken", binary: "attachBinary", empty: "attachEmpty" };

/** {name, text} of a file, of a PDF also {pages, notes, tokens}. Raises an Error, in words for a reader, for what is no text. */
export async function attachedFrom(file, model, signal) {
  const name = file.name || t("untitledFile");
  const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer());
  const text = isPdf(head) || file.size > MOST_SENT ? null : decoded(new Uint8Array(await file.arrayBuffer()));
  if (file.size > (text === null ? MOST_SENT : MOST_BYTES)) throw tooLarge(name, text === null ? MOST_SENT : MOST_BYTES);
  if (text === null) return readByServer(file, name, model, signal);
  if (!text.trim()) throw new Error(t("attachEmpty", name));
  return { name, text: text.replace(/\r\n?/g, "\n").replace(/\n+$/, "") };
}

async function readByServer(file, name, model, signal) {
  try {
    const { text, pages, tokens, notes } = await readDocument(file, name, model, signal);
    return { name, text, ...(pages ? { pages } : {}), ...(notes.length ? { notes } : {}), tokens };
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error.status === 413) throw tooLarge(name, null);
    throw new Error(REFUSALS[error.code] ? t(REFUSALS[error.code], name) : t("attachFailed", name, error.message || t(error.kind === "offline" ? "attachOffline" : "attachServer")));
  }
}

const tooLarge = (name, most) => new Error(most ? t("attachLarge", name, number(most / 2 ** 20)) : t("attachTooLarge", name));
const startsWith = (bytes, mark) => mark.every((byte, i) => bytes[i] === byte);
const isPdf = (head) => new TextDecoder("latin1").decode(head).trimStart().startsWith("%PDF-");

function decoded(bytes) {
  const encoding = MARKS.find(([, mark]) => startsWith(bytes, mark))?.[0] ?? "utf-8";
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}
