/** Programs that succeed, fail, hang or do not exist. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { findOnPath, runCommand } from "./command.ts";
import { isNewEnough } from "./node.ts";

test("output of a program that succeeds; nothing can be asked of it", async () => {
  assert.equal(await runCommand("sh", ["-c", "cat; echo out; echo err >&2"]), "out\n");
});

test("failures say which program, why and its last lines", async () => {
  await assert.rejects(runCommand("sh", ["-c", "echo reason >&2; exit 3"]), /sh -c .*exit code 3\nreason/s);
  await assert.rejects(runCommand("/nonexistent/tool", []), { code: "unavailable" });
});

test("a program that hangs is ended with all that it started", async () => {
  const start = performance.now();
  await assert.rejects(runCommand("sh", ["-c", "sleep 60 & sleep 60"], { timeoutMs: 200 }), /took more than 0.2 s/);
  assert.ok(performance.now() - start < 10_000);
});

test("only executable files on absolute folders of PATH are found", async () => {
  assert.match((await findOnPath("sh")) ?? "", /\/sh$/);
  assert.equal(await findOnPath("sh", "bin:."), undefined);
  assert.equal(await findOnPath("passwd", "/etc"), undefined);
});

test("Node from 22.18 on will do", () => {
  for (const [version, expected] of [
    ["20.20.2", false],
    ["22.17.1", false],
    ["22.18.0", true],
    ["24.21.0", true],
  ] as const) {
    assert.equal(isNewEnough(version), expected, version);
  }
});
