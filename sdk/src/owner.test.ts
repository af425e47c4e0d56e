/** The mesh id's file. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readMeshId } from "./owner.ts";

test("made once, kept, private, refused when broken", (t) => {
  const root = mkdtempSync(join(tmpdir(), "isthmus-"));
  t.after(() => rmSync(root, { recursive: true }));
  const file = join(root, ".isthmus", "mesh");
  const id = readMeshId(root);
  assert.match(id, /^[0-9a-f]{8}$/);
  assert.equal(readFileSync(file, "utf8").trim(), id);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(readMeshId(root), id);
  writeFileSync(file, "nonsense");
  assert.throws(() => readMeshId(root), /"nonsense" is no mesh id/);
});
