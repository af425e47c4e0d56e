/** `npm test`: gets the tools, then runs every test with Node's own runner; what starts whole meshes runs one file at a time. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { findRuntimes } from "../provider/src/runtime/open.ts";
import { envoyBinary } from "../provider/src/toolchain/envoy.ts";
import { findPulumi } from "../provider/src/toolchain/pulumi.ts";

const ROOT = join(import.meta.dirname, "..");

/** Small and side by side: beside the source, and what crosses modules without a whole mesh. */
const SMALL = [
  "sdk/src/**/*.test.ts",
  "provider/src/**/*.test.ts",
  "test/golden/**/*.test.ts",
  "test/property/**/*.test.ts",
];

/** Control planes and Envoys on loopback, without Pulumi: many processes, so one file at a time. */
const INTEGRATION = ["test/integration/**/*.test.ts"];

/** Whole meshes with the real engine and Envoy. */
const WHOLE = ["test/e2e/**/*.test.ts"];

function run(file: string, args: readonly string[]): void {
  const { status, signal } = spawnSync(file, args, { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
}

/** Ends the process when a test fails, so that the last lines are the summary that says so. */
function runTests(title: string, patterns: readonly string[], concurrency?: number): void {
  const files = globSync([...patterns], { cwd: ROOT }).sort();
  if (files.length === 0) return;
  console.log(`${title}: ${files.length} files`);
  const limit = concurrency === undefined ? [] : [`--test-concurrency=${concurrency}`];
  run(process.execPath, ["--conditions=source", "--test", "--test-reporter=spec", ...limit, ...files]);
}

const say = (line: string) => console.log(line);

// The programs under test import the packages as users do: built.
run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-b"]);
run(process.execPath, ["provider/scripts/bundle.ts"]);
process.env["ISTHMUS_ENVOY"] = await envoyBinary(say);
await findPulumi(join(ROOT, "examples/two-datacenters"), say);

const docker = (await findRuntimes()).some((runtime) => runtime.kind === "docker");
if (!docker) {
  console.log("No Docker engine answers: tests that need one are skipped.");
  if (process.env["CI"] === "true") {
    console.error("With CI=true nothing may be skipped: start a Docker engine, or run .ci/run, which brings one.");
    process.exit(1);
  }
}

// Names on the command line choose files: `npm test -- test/e2e/local.test.ts`.
const chosen = process.argv.slice(2);
if (chosen.length > 0) {
  runTests("chosen tests", chosen, 1);
} else {
  runTests("unit, golden and property tests", SMALL);
  runTests("integration tests, one file at a time", INTEGRATION, 1);
  runTests("end-to-end tests, one file at a time", WHOLE, 1);
}
