/** Bundles what runs on its own, without node_modules beside it, into one file each. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const provider = fileURLToPath(new URL("..", import.meta.url));

const { version } = JSON.parse(readFileSync(`${provider}package.json`, "utf8")) as { readonly version: string };

/** Source to bundle. */
const entries: readonly (readonly [source: string, bundle: string])[] = [
  ["src/control-plane/main.ts", "dist/control-plane.mjs"],
  ["src/toolchain/language-host/main.ts", "dist/language-host.mjs"],
  ["src/runtime/relay.ts", "dist/relay.mjs"],
];

/** Bundled CommonJS packages call `require` for Node's own modules; an ES module has none. */
const banner =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

for (const [source, bundle] of entries) {
  if (!existsSync(`${provider}${source}`)) {
    console.error(`bundle: SKIPPED ${bundle}: there is no provider/${source}`);
    continue;
  }
  await build({
    absWorkingDir: provider,
    entryPoints: [source],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    // Names stay readable in stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    conditions: ["source"],
    define: { ISTHMUS_VERSION: JSON.stringify(version) },
    banner: { js: banner },
    legalComments: "eof",
    logLevel: "warning",
  });
  console.log(`bundle: ${bundle} ${Math.ceil(statSync(`${provider}${bundle}`).size / 1024)} KB`);
}
