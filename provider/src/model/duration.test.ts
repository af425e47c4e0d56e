/** Go durations. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDurationMs } from "./duration.ts";

for (const [text, expected] of [
  ["10s", 10_000],
  ["1m30s", 90_000],
  ["500ms", 500],
  ["1.5h", 5_400_000],
  ["0", 0],
  ["", undefined],
  ["10", undefined],
  ["10 s", undefined],
  ["s", undefined],
  ["10s!", undefined],
] as const) {
  test(`"${text}"`, () => assert.equal(parseDurationMs(text), expected));
}
