#!/usr/bin/env node
// The `isthmus` command: convenience around Pulumi and the runtimes.
import { existsSync } from "node:fs";

const main = new URL("../dist/cli/main.js", import.meta.url);
if (!existsSync(main)) {
  console.error("isthmus: not built yet; run `npm run build`");
  process.exit(1);
}
await import(main.href);
