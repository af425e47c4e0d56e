/** Differences by path. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { propertyChanges } from "./property-diff.ts";

const rows: readonly [string, Record<string, unknown>, Record<string, unknown>, readonly string[]][] = [
  ["nothing", { a: { b: [1] } }, { a: { b: [1] } }, []],
  ["deep", { a: { b: [{ port: 1, name: "x" }] } }, { a: { b: [{ port: 2, name: "x" }] } }, ["update a.b[0].port"]],
  ["longer", { a: [1] }, { a: [1, 2, 3] }, ["add a[1]", "add a[2]"]],
  ["shorter", { a: [1, 2] }, { a: [1] }, ["delete a[1]"]],
  ["keys that are no names", { a: { "x.y": 1 } }, { a: { "x.y": 2, "b/c": 1 } }, ['add a["b/c"]', 'update a["x.y"]']],
  ["whole", {}, { a: { b: 1 } }, ["add a"]],
  ["gone", { a: { b: 1 } }, {}, ["delete a"]],
  ["another type", { a: { b: 1 } }, { a: [1] }, ["update a"]],
  ["a property that is not asked for", { z: 1 }, { z: 2 }, []],
];
for (const [name, before, after, expected] of rows) {
  test(name, () => {
    assert.deepEqual(
      propertyChanges(before, after, ["a"]).map(({ kind, path }) => `${kind} ${path}`),
      expected,
    );
  });
}
