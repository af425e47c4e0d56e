/** The two packages as a user gets them: packed, installed in an empty folder outside the clone, and used by `pulumi up`. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { openRuntime } from "../../provider/src/runtime/open.ts";
import { createProject } from "../support/project.ts";
import { say } from "../support/traffic.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

test("packed packages run `pulumi up` in an empty folder elsewhere", { timeout: 300_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-packages-"));
  try {
    const tarballs = join(folder, "tarballs");
    await cp(join(root, "examples/two-datacenters"), join(folder, "program"), {
      recursive: true,
      filter: (source) => !source.includes("node_modules"),
    });
    await writeFile(
      join(folder, "program/package.json"),
      JSON.stringify({ name: "program", version: "0.0.0", main: "index.ts" }),
    );
    const npm = (args: readonly string[], cwd: string) =>
      run("npm", [...args, "--no-audit", "--no-fund", "--ignore-scripts"], { cwd, timeout: 240_000 });
    await run("mkdir", [tarballs]);
    for (const name of ["sdk", "provider"])
      await npm(["pack", "--pack-destination", tarballs, join(root, name)], folder);
    const packed = (await readdir(tarballs)).map((name) => join(tarballs, name));
    assert.equal(packed.length, 2);
    await npm(
      ["install", ...packed, "@pulumi/pulumi@3.270.0", "typescript@6.0.3", "ts-node@10.9.2", "@types/node@24.19.2"],
      join(folder, "program"),
    );
    await using project = await createProject({ runtime: "local", folder: join(folder, "program") });
    const runtime = await openRuntime("local");
    try {
      await project.up();
      const web = { mesh: project.mesh, datacenter: "dc2", role: "service", name: "web" } as const;
      assert.equal((await say(runtime, web, 8181, "packed")).text, "packed\n");
      await project.destroy();
      assert.deepEqual(await runtime.list(project.mesh), []);
    } finally {
      for (const state of await runtime.list(project.mesh)) await runtime.remove(state.id);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
