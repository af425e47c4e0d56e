/** The federation as local processes. */
import assert from "node:assert/strict";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { converse, say } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";
import { federationSuite } from "./federation-suite.ts";

const bundle = join(import.meta.dirname, "../../provider/dist/control-plane.mjs");

async function replaceBundle(content: string): Promise<void> {
  await writeFile(`${bundle}.next`, content);
  await rename(`${bundle}.next`, bundle);
}

federationSuite("local", (federation) => {
  test("a new control plane is rolled out by a plain up, in place, and no proxy is touched", async () => {
    const { project, runtime, unit } = federation();
    const web = unit("dc2", "service", "web");
    const processes = async (kind: RegExp) =>
      (await runtime.list(project.mesh)).flatMap(({ id, processes: all }) =>
        all.filter(({ name }) => kind.test(name)).map(({ name, pid }) => `${id.datacenter} ${id.name} ${name} ${pid}`),
      );
    const before = { proxies: await processes(/proxy|app/), controlPlanes: await processes(/control-plane/) };
    const talk = await converse(runtime, web, 8181);
    const original = await readFile(bundle, "utf8");
    try {
      await replaceBundle(`${original}\n// another version\n`);
      const preview = await project.preview();
      assert.match(preview.output, /~ 2 to update/);
      assert.doesNotMatch(preview.output, /to (create|delete|replace)/);
      await project.up();
      assert.doesNotMatch((await project.up()).output, /[1-9][0-9]* (created|updated|replaced|deleted)/);
    } finally {
      await replaceBundle(original);
    }
    assert.deepEqual(await processes(/proxy|app/), before.proxies);
    const after = await processes(/control-plane/);
    assert.ok(after.every((one) => !before.controlPlanes.includes(one)));
    await project.up();
    const lines = talk.lines();
    await eventually("the conversation goes on", () => talk.lines() > lines + 5);
    assert.equal(talk.broken(), undefined);
    talk.close();
    assert.equal((await say(runtime, web, 8181, "upgraded")).text, "upgraded\n");
  });
});
