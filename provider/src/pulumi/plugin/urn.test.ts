/** URNs, and where a project's mesh id is found. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ownerOf, parseUrn, projectMesh } from "./urn.ts";

test("a resource's own type and name, whatever its parents are", () => {
  const type = "isthmus:index:Intention";
  const rows: readonly [string, object][] = [
    [`urn:pulumi:s::p::${type}::i`, { stack: "s", project: "p", type, name: "i" }],
    [`urn:pulumi:s::p::my:mesh:Component$${type}::a::b`, { stack: "s", project: "p", type, name: "a::b" }],
  ];
  for (const [urn, parts] of rows) assert.deepEqual(parseUrn(urn), parts);
  assert.throws(() => parseUrn("nonsense"), /"nonsense" is no URN/);
});

test("an owner needs a mesh id", () => {
  const parts = parseUrn("urn:pulumi:s::p::isthmus:index:Intention::i");
  assert.deepEqual(ownerOf(parts, "0123abcd"), { project: "p", stack: "s", resource: "i", mesh: "0123abcd" });
  assert.throws(() => ownerOf(parts, undefined), /"i": which mesh .*pulumi config set isthmus:mesh/);
});

test("the mesh id lies beside the nearest Pulumi.yaml above", () => {
  const root = mkdtempSync(join(tmpdir(), "isthmus-urn-"));
  try {
    const inner = join(root, "a/b");
    mkdirSync(inner, { recursive: true });
    mkdirSync(join(root, ".isthmus"));
    writeFileSync(join(root, "Pulumi.yaml"), "name: p\n");
    assert.equal(projectMesh(inner), undefined);
    writeFileSync(join(root, ".isthmus/mesh"), "0123abcd\n");
    assert.equal(projectMesh(inner), "0123abcd");
  } finally {
    rmSync(root, { recursive: true });
  }
});
