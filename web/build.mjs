// Bundles vendor.js for the page, and copies the licences of what is in it: `npm ci && npm run build`. The same lock file
// gives the same bytes.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const page = "../src/arasuji/studio/page";

await build({
  entryPoints: ["vendor.js"],
  outfile: `${page}/vendor.js`,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
  banner: { js: "// Made by web/build.mjs from preact, @preact/signals and htm, see web/package-lock.json. Do not edit." },
});

const packages = ["preact", "@preact/signals", "@preact/signals-core", "htm"];
const licences = packages.map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`);
writeFileSync(`${page}/vendor.LICENSES.txt`, licences.join("\n\n"));
