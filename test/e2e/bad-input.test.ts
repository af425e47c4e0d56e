/** What cannot work is refused at preview, with a text that says which and what to do, and `up` creates nothing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openRuntime } from "../../provider/src/runtime/open.ts";
import { createProject, type Project } from "../support/project.ts";

const expected: Readonly<Record<string, RegExp>> = {
  "unknown property": /regoin/,
  "wrong type": /port: "eighty" is not in 1\.\.65535/,
  "duplicate datacenter": /"dc1"/,
  "duplicate service": /"web"/,
  "port out of range": /port.*70000.*1\.\.65535/,
  "one local port twice": /5000/,
  "gateway in an unknown datacenter": /dc9/,
  "two primaries": /primar/,
  "mode local without a gateway": /local.*gateway|gateway.*local/,
  "intention on itself": /"web" is source and destination/,
};

describe("bad input", { timeout: 300_000 }, () => {
  let project: Project;
  before(async () => {
    project = await createProject({ runtime: "local", program: join(import.meta.dirname, "bad-program") });
  });
  after(() => project[Symbol.asyncDispose]());

  for (const [name, message] of Object.entries(expected)) {
    test(`${name}: refused at preview`, async () => {
      const { exitCode, output } = await project.pulumi(["preview"], {}, { BAD: name });
      assert.notEqual(exitCode, 0, output);
      assert.match(output, message);
      assert.doesNotMatch(output, /unhandled|at .*\.js:\d+/i);
    });
  }

  test("up without a preview creates nothing either", async () => {
    const { exitCode, output } = await project.pulumi(["up", "--yes", "--skip-preview"], {}, { BAD: "two primaries" });
    assert.notEqual(exitCode, 0, output);
    assert.deepEqual(await (await openRuntime("local")).list(project.mesh), []);
  });
});
