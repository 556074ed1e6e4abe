// Brings what the screens need from node_modules into ../static/vendor/ (never committed):
// the named dist files, the fonts, the licences, and app.css made by Tailwind from app.css here.
// Run by `python -m ops.frontend`, or by hand: npm ci --ignore-scripts && npm run build

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, "node_modules");
const VENDOR = join(HERE, "../static/vendor");
const NEXT = join(MODULES, ".vendor"); // built aside, then put in its place: never half-made

const FONT_FILES = ["latin", "vietnamese"].flatMap((subset) =>
  [400, 600, 700].map((weight) => `be-vietnam-pro-${subset}-${weight}-normal.woff2`),
);

// package → [file in the package, name in vendor/]
const FILES = {
  "swagger-ui-dist": [
    ["swagger-ui-bundle.js", "swagger-ui-bundle.js"],
    ["swagger-ui.css", "swagger-ui.css"],
  ],
  qr: [["index.js", "qr.js"]],
  "@fontsource/inter": [600, 700].map((weight) => [
    `files/inter-latin-${weight}-normal.woff2`,
    `fonts/inter-latin-${weight}-normal.woff2`,
  ]),
  "@fontsource/be-vietnam-pro": FONT_FILES.map((name) => [`files/${name}`, `fonts/${name}`]),
};
// What app.css is made from; its text contains parts of both.
const CSS_FROM = ["tailwindcss", "daisyui"];

rmSync(NEXT, { recursive: true, force: true });
mkdirSync(join(NEXT, "fonts"), { recursive: true });
mkdirSync(join(NEXT, "licences"));

const files = [];
for (const [name, pairs] of Object.entries(FILES)) {
  const { version, licence } = describe(name);
  for (const [from, to] of pairs) {
    copyFileSync(join(MODULES, name, from), join(NEXT, to));
    files.push({ file: to, name, version, licence, sha256: sha256(join(NEXT, to)) });
  }
}

const tailwind = join(MODULES, "@tailwindcss/cli/dist/index.mjs");
execFileSync(
  process.execPath,
  [tailwind, "--input", "app.css", "--output", join(NEXT, "app.css"), "--minify"],
  { cwd: HERE, stdio: ["ignore", "inherit", "pipe"] },
);
for (const name of CSS_FROM) {
  files.push({ file: "app.css", name, ...describe(name), sha256: sha256(join(NEXT, "app.css")) });
}

const manifest = { lock_sha256: sha256(join(HERE, "package-lock.json")), files };
writeFileSync(join(NEXT, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
rmSync(VENDOR, { recursive: true, force: true });
renameSync(NEXT, VENDOR);
console.log(`${files.length} entries in api/static/vendor/manifest.json`);

/** Version and licence of a package; keeps its licence text beside the files. */
function describe(name) {
  const folder = join(MODULES, name);
  const { version, license: licence } = JSON.parse(readFileSync(join(folder, "package.json")));
  const text = ["LICENSE", "LICENSE.md", "LICENSE.txt"].find((n) => existsSync(join(folder, n)));
  const target = join(NEXT, "licences", `${name.replaceAll("/", "+")}.txt`);
  if (text) copyFileSync(join(folder, text), target);
  else writeFileSync(target, `${name} ${version} is under ${licence}; it ships no licence file.\n`);
  return { version, licence };
}

function sha256(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
