/** Arguments, environment and words of a program's start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeArguments, type ProgramRun, programArguments, programEnvironment } from "./program.ts";

const RUN: ProgramRun = {
  directory: "/p/examples/two",
  rootDirectory: "/p",
  entryPoint: ".",
  options: { typescript: true },
  monitor: "127.0.0.1:1",
  engine: "127.0.0.1:2",
  organization: "",
  project: "mesh",
  stack: "dev",
  dryRun: false,
  parallel: 16,
  config: { "mesh:size": "3", plain: "x" },
  secretKeys: ["mesh:key"],
  args: ["--flag"],
};

test("flags come before the entry point and empty ones are left out", () => {
  const args = programArguments({ ...RUN, dryRun: true });
  assert.deepEqual(args.slice(-3), ["--dry-run", ".", "--flag"]);
  assert.equal(args.includes("--organization"), false);
  assert.equal(args[args.indexOf("--pwd") + 1], "/p/examples/two");
});

test("configuration keys get the word config after their namespace", () => {
  const env = programEnvironment(RUN, { PATH: "/bin" });
  assert.deepEqual(JSON.parse(env["PULUMI_CONFIG"] ?? ""), { "mesh:config:size": "3", plain: "x" });
  assert.equal(env["PATH"], "/bin");
  assert.equal(env["PULUMI_NODEJS_TYPESCRIPT"], "true");
  assert.equal("PULUMI_NODEJS_TSCONFIG_PATH" in env, false);
});

test("arguments for Node are split like words", () => {
  const rows: readonly [string, readonly string[]][] = [
    ["", []],
    ["--inspect  --cpu-prof", ["--inspect", "--cpu-prof"]],
    ["--title='a b' --x=\"c d\"", ["--title=a b", "--x=c d"]],
  ];
  for (const [nodeArgs, words] of rows) assert.deepEqual(nodeArguments({ typescript: true, nodeArgs }), words);
});
