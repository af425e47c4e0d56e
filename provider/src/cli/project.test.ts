/** Finding a project and its private files. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ensureMeshId, ensurePassphraseFile, findProject, readMeshId } from "./project.ts";

test("the nearest project above is found; its id and passphrase are made once and are private", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "isthmus-project-"));
  t.after(() => rm(root, { recursive: true }));
  await writeFile(join(root, "Pulumi.yaml"), `name: "two"   # quoted\nruntime: nodejs\nmain: examples/two\n`);
  await mkdir(join(root, "examples/two"), { recursive: true });

  const project = await findProject(join(root, "examples/two"));
  assert.deepEqual(project, {
    root,
    name: "two",
    programDirectory: join(root, "examples/two"),
    directory: join(root, ".isthmus"),
  });

  assert.equal(await readMeshId(project), undefined);
  const ids = await Promise.all([ensureMeshId(project), ensureMeshId(project)]);
  assert.match(ids[0], /^[0-9a-f]{8}$/);
  assert.equal(ids[0], ids[1]);
  assert.equal(await readMeshId(project), ids[0]);

  const passphrase = await ensurePassphraseFile(project);
  const content = await readFile(passphrase, "utf8");
  assert.ok(content.trim().length >= 32);
  await ensurePassphraseFile(project);
  assert.equal(await readFile(passphrase, "utf8"), content);
  for (const file of ["mesh", "passphrase"])
    assert.equal((await stat(join(project.directory, file))).mode & 0o777, 0o600);
});

test("outside a project the error says what to do", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-none-"));
  t.after(() => rm(folder, { recursive: true }));
  await assert.rejects(findProject(folder), /no Pulumi.yaml here or above/);
});
