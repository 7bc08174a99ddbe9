// Bundles the page into sansi/serve/static. The result is committed, so that nobody needs node to use the page.
//   npm ci && npm run build        (or `make page` in the root)
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "../sansi/serve/static");
const LIBRARIES = ["dompurify", "entities", "highlight.js", "katex", "linkify-it", "markdown-it", "mdurl", "punycode.js", "uc.micro"];

const read = (...parts) => readFileSync(join(HERE, ...parts), "utf8");
const short = (text) => createHash("sha256").update(text).digest("hex").slice(0, 10);

async function bundle() {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  const common = { bundle: true, minify: true, outdir: OUT, charset: "utf8", legalComments: "none", target: "es2022" };
  const { metafile } = await esbuild.build({
    ...common,
    metafile: true,
    entryPoints: { page: join(HERE, "src/main.js"), first: join(HERE, "src/first.js") },
    format: "esm",
    splitting: true,
    chunkNames: "lazy/[name]-[hash]",
  });
  await esbuild.build({ ...common, entryPoints: { page: join(HERE, "style/page.css") } });
  return metafile.outputs;
}

/** What the page needs as soon as it is there: asked for beside page.js, not after it was read. */
function early(outputs) {
  const file = (name) => `/static/${relative(OUT, join(process.cwd(), name)).replaceAll("\\", "/")}`;
  const entry = Object.keys(outputs).find((name) => basename(name) === "page.js");
  const needs = (name) => outputs[name].imports.filter((each) => each.kind === "import-statement").flatMap((each) => [each.path, ...needs(each.path)]);
  return [...new Set(needs(entry))].map((name) => `<link rel="modulepreload" href="${file(name)}">`);
}

/** KaTeX's own style sheet with the one kind of font that every browser of this decade reads. */
function math() {
  const dist = "node_modules/katex/dist";
  const css = read(dist, "katex.min.css").replace(/,url\([^)]*\.(?:woff|ttf)\) format\("[^"]*"\)/g, "");
  if (/\.(woff|ttf)\)/.test(css)) throw new Error("katex.min.css names fonts in a form that is not known here");
  writeFileSync(join(OUT, "katex.css"), css);
  for (const name of css.match(/[\w-]+\.woff2/g)) cpSync(join(HERE, dist, "fonts", name), join(OUT, "fonts", name));
}

/** Each file of icons/ as a symbol inside the page: no request, and the colour of the text around it. */
function sprite() {
  const symbols = readdirSync(join(HERE, "icons")).sort().map((file) => {
    const [, box, inner] = read("icons", file).match(/viewBox="([^"]+)"[^>]*>([\s\S]*)<\/svg>/);
    return `<symbol id="i-${file.replace(".svg", "")}" viewBox="${box}">${inner.trim()}</symbol>`;
  });
  return `<svg class="sprite" aria-hidden="true" focusable="false">${symbols.join("")}</svg>`;
}

function page(outputs) {
  // A new version of a file has a new address, so that no cache shows an old one.
  const versioned = (_, name) => `/static/${name}?${short(readFileSync(join(OUT, name)))}`;
  cpSync(join(HERE, "seal.svg"), join(OUT, "icon.svg"));
  const html = read("index.html").replace("<!-- icons -->", sprite()).replace(/\/static\/((?:page|first)\.\w+)/g, versioned).replace("<!-- early -->", early(outputs).join("\n  "));
  writeFileSync(join(OUT, "index.html"), html);
}

function licences() {
  const parts = LIBRARIES.map((name) => {
    const folder = join(HERE, "node_modules", name);
    const { version, license, homepage } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).sort().find((each) => /^licen[cs]e/i.test(each));
    const text = readFileSync(join(folder, file), "utf8").trim();
    return `${"=".repeat(80)}\n${name} ${version} (${license})\n${"=".repeat(80)}\n\n${text}\n`;
  });
  const head = "Libraries inside the chat page (page.js, lazy/, katex.css, fonts/), and their licences.\n\n";
  writeFileSync(join(OUT, "LICENSES.txt"), head + parts.join("\n"));
}

/** A digest of everything that the bundle is made from; a test compares it, so that no bundle is forgotten. */
function stamp() {
  const files = ["build.mjs", "index.html", "package-lock.json", "seal.svg"];
  for (const folder of ["src", "style", "icons"]) files.push(...readdirSync(join(HERE, folder)).map((name) => `${folder}/${name}`));
  const digest = createHash("sha256");
  for (const name of files.sort()) digest.update(name).update("\0").update(readFileSync(join(HERE, name))).update("\0");
  writeFileSync(join(OUT, "SOURCES.sha256"), digest.digest("hex") + "\n");
}

const outputs = await bundle();
math();
page(outputs);
licences();
stamp();
