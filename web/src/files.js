// Files that are chosen, or dropped anywhere on the page.
import { $ } from "./dom.js";

const EXPORT = /"format"\s*:\s*"sansi-conversations"/;

/** `attach(files)`: they go along with the message; `importFile(file)`: an export of this page. */
export function bindFiles({ attach, importFile }) {
  onChosen($("attach-file"), attach);
  onChosen($("import-file"), ([file]) => importFile(file));
  const mark = (on) => $("composer").classList.toggle("dropping", on);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? mark(false));
  addEventListener("drop", async (event) => {
    mark(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    for (const file of files) (await isExport(file)) ? await importFile(file) : await attach([file]);
  });
}

function onChosen(input, act) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) act(files);
  });
}

const isExport = async (file) => file.name.endsWith(".json") && EXPORT.test(await file.slice(0, 200).text());
