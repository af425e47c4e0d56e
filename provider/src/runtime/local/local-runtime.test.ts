/** What is particular to the local runtime: survival, loopback numbers, long paths, stale files and locks, bounded logs. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { nodeBinary } from "../../toolchain/node.ts";
import { ask, eventually, questionProcess } from "../contract.ts";
import type { Programs } from "../programs.ts";
import type { Runtime, UnitId } from "../runtime.ts";
import { runtimeFolder, unitFolder, userFolder } from "./folders.ts";
import { createLocalRuntime } from "./local-runtime.ts";
import { withLock } from "./lock.ts";
import { scanMarked } from "./processes.ts";
import { readProcessRecords, writeProcessRecord } from "./unit-record.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "isthmus-local-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const programs: Programs = {
  envoy: () => Promise.reject(new Error("these tests run no Envoy")),
  node: () => nodeBinary(),
  controlPlane: () => Promise.reject(new Error("these tests run no control plane")),
};

async function withUnit(
  root: string,
  body: (
    runtime: Runtime,
    id: UnitId,
    owner: { project: string; stack: string; resource: string; mesh: string },
  ) => Promise<void>,
): Promise<void> {
  const runtime = createLocalRuntime(programs, root);
  const mesh = randomBytes(5).toString("hex");
  const id: UnitId = { mesh, datacenter: "dc1", role: "service", name: "web" };
  const owner = { project: "p", stack: "s", resource: "web", mesh };
  try {
    await runtime.ensureUnit(id, owner, { wan: false });
    await body(runtime, id, owner);
  } finally {
    await runtime.remove(id);
  }
  assert.deepEqual(
    scanMarked().filter((one) => one.unit.mesh === mesh),
    [],
  );
  assert.equal(existsSync(join(root, mesh)), false);
}

test("a process outlives the one that started it, and is found again", async () => {
  const root = join(folder, "survive");
  await withUnit(root, async (runtime, id) => {
    const starter = `
      import { createLocalRuntime } from ${JSON.stringify(new URL("./local-runtime.ts", import.meta.url).href)};
      const runtime = createLocalRuntime({ node: async () => ${JSON.stringify(await nodeBinary())} }, ${JSON.stringify(root)});
      const state = await runtime.ensureProcess(${JSON.stringify(id)}, ${JSON.stringify(questionProcess("app", 8080))});
      console.log(state.pid);`;
    const { stdout, stderr } = spawnSync(await nodeBinary(), ["--input-type=module", "-e", starter], {
      encoding: "utf8",
    });
    assert.match(stdout, /^\d+\n$/, stderr);
    assert.equal(await ask(runtime, id, { port: 8080 }, "echo alive"), "alive");
    const state = await runtime.ensureProcess(id, questionProcess("app", 8080));
    assert.equal(state.pid, Number(stdout));
  });
});

test("two state folders never share a loopback network, and the number is free again afterwards", async () => {
  await withUnit(join(folder, "one"), async (first, firstId) => {
    await withUnit(join(folder, "two"), async (second, secondId) => {
      const addresses = [await first.inspect(firstId), await second.inspect(secondId)].map((one) => one?.placement.lan);
      assert.match(addresses.join(), /^127\.(\d+)\.1\.1,127\.(?!\1)\d+\.1\.1$/);
      const claims = await readFile(join(userFolder(), "loopback.json"), "utf8");
      assert.ok(claims.includes(firstId.mesh) && claims.includes(secondId.mesh));
    });
    const claims = await readFile(join(userFolder(), "loopback.json"), "utf8");
    assert.ok(claims.includes(firstId.mesh) && !claims.includes("/two"));
  });
});

test("an address is kept as long as the unit lives, and given to nobody else", async () => {
  await withUnit(join(folder, "stable"), async (runtime, id, owner) => {
    const web = (await runtime.inspect(id))?.placement.lan;
    const others: UnitId[] = [
      { ...id, name: "a" },
      { ...id, name: "b" },
      { ...id, role: "control-plane", name: "dc1" },
    ];
    const places = await Promise.all(others.map((one) => runtime.ensureUnit(one, owner, { wan: true })));
    assert.equal(new Set([web, ...places.map((one) => one.lan)]).size, 4);
    assert.match(places[2]?.lan ?? "", /^127\.\d+\.0\.1$/);
    await runtime.remove(others[0]!);
    assert.equal((await runtime.ensureUnit(id, owner, { wan: true })).lan, web);
    const again = await runtime.ensureUnit(others[0]!, owner, { wan: true });
    assert.equal(again.lan, places[0]?.lan);
    await Promise.all(others.map((one) => runtime.remove(one)));
  });
});

test("a socket works where the state folder's path is long", async () => {
  const root = join(folder, "x".repeat(90));
  await withUnit(root, async (runtime, id) => {
    const directory = (await runtime.inspect(id))?.placement.directory ?? "";
    assert.ok(directory.length < 60 && directory !== unitFolder(root, id));
    await runtime.ensureProcess(id, questionProcess("app", 8080));
    assert.equal(await ask(runtime, id, { socket: "app.sock" }, "echo long"), "long");
    assert.ok(existsSync(join(unitFolder(root, id), "app.sock")));
    await runtime.remove(id);
    assert.equal(existsSync(directory), false);
  });
});

test("a stale record that names somebody else's process does no harm", async () => {
  const root = join(folder, "stale");
  await withUnit(root, async (runtime, id) => {
    writeProcessRecord(root, id, { name: "app", pid: process.pid, startTime: "1", digest: "x" });
    assert.equal((await runtime.inspect(id))?.processes[0]?.running, false);
    await runtime.ensureProcess(id, questionProcess("app", 8080));
    assert.equal(await ask(runtime, id, { port: 8080 }, "echo mine"), "mine");
    writeProcessRecord(root, id, { ...readProcessRecords(root, id)[0]!, pid: process.pid });
    await runtime.removeProcess(id, "app");
    assert.deepEqual((await runtime.inspect(id))?.processes, []);
    await assert.rejects(runtime.dial(id, { port: 8080 }), /nothing listens/);
  });
});

test("folders and files are the user's alone", async () => {
  const root = join(folder, "modes");
  await withUnit(root, async (runtime, id) => {
    await runtime.ensureProcess(id, questionProcess("app", 8080));
    await ask(runtime, id, { port: 8080 }, "boot");
    const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    assert.equal(await mode(unitFolder(root, id)), "700");
    assert.equal(await mode(join(runtimeFolder(root, id), "app.log")), "600");
    assert.equal(await mode(join(unitFolder(root, id), "app.sock")), "700");
  });
});

test("a supervisor killed by hand leaves nothing that a plain ensure does not heal", async () => {
  await withUnit(join(folder, "killed"), async (runtime, id) => {
    await runtime.ensureProcess(id, questionProcess("app", 8080));
    const boot = await ask(runtime, id, { port: 8080 }, "boot");
    const supervisor = scanMarked().find((one) => one.unit.mesh === id.mesh && one.supervisor);
    process.kill(supervisor?.pid ?? 0, "SIGKILL");
    await eventually("end", async () => assert.equal((await runtime.inspect(id))?.processes[0]?.running, false));
    await runtime.ensureProcess(id, questionProcess("app", 8080));
    assert.notEqual(await ask(runtime, id, { port: 8080 }, "boot"), boot);
  });
});

test("a log is cut when a process that filled it is started again", async () => {
  const root = join(folder, "log");
  await withUnit(root, async (runtime, id) => {
    const chatter = `console.log("x".repeat(6e6)); if (process.env.N !== "0") setTimeout(() => process.exit(1), 100)`;
    await runtime.ensureProcess(id, { ...questionProcess("app", 8080), args: ["-e", chatter] });
    const log = join(runtimeFolder(root, id), "app.log.1");
    await eventually("cut log", async () => assert.equal((await stat(log)).size, 1024 * 1024));
  });
});

test("the lock of a dead process is broken, a live one's is waited for", async () => {
  const where = await mkdtemp(join(folder, "lock-"));
  await writeFile(join(where, "lock"), "999999999 1");
  assert.equal(
    await withLock(
      () => where,
      () => "mine",
    ),
    "mine",
  );
  let count = 0;
  const turns = Array.from({ length: 20 }, () =>
    withLock(
      () => where,
      () => (count += 1),
    ),
  );
  assert.deepEqual((await Promise.all(turns)).sort((a, b) => a - b).at(-1), 20);
  assert.equal(existsSync(join(where, "lock")), false);
});
