/** What is particular to the docker runtime: isolation, hardening, and what an engine shows. Skipped where none answers; in CI it fails. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { nodeBinary } from "../../toolchain/node.ts";
import { ask, eventually, questionProcess } from "../contract.ts";
import type { Programs } from "../programs.ts";
import type { UnitId } from "../runtime.ts";
import { createDockerRuntime } from "./docker-runtime.ts";
import { connectEngine, engineAnswers } from "./engine.ts";
import { label, labelFilter } from "./labels.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "isthmus-docker-"));
  await writeFile(
    join(folder, "control-plane.mjs"),
    "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6);\n",
  );
});
after(() => rm(folder, { recursive: true, force: true }));

const programs: Programs = {
  envoy: () => Promise.reject(new Error("these tests run no Envoy")),
  node: () => nodeBinary(),
  controlPlane: () => Promise.resolve(join(folder, "control-plane.mjs")),
};
const engine = connectEngine(process.env);
const runtime = createDockerRuntime(engine, programs);
const answers = await engineAnswers(engine, 1_000);
const skip = answers || process.env["CI"] === "true" ? false : "no Docker engine answers";

function dockerTest(title: string, body: (mesh: string) => Promise<void>): void {
  test(title, { skip, timeout: 120_000 }, async () => {
    assert.ok(answers, "no Docker engine answers, and CI must have one");
    const mesh = randomBytes(5).toString("hex");
    try {
      await body(mesh);
    } finally {
      for (const unit of await runtime.list(mesh)) await runtime.remove(unit.id);
    }
    assert.deepEqual(await engine.listNetworks({ filters: labelFilter({ [label.mesh]: mesh }) }), []);
  });
}

function unitOf(mesh: string, name: string, datacenter: string): UnitId {
  return { mesh, datacenter, role: "service", name };
}

function ownerOf(mesh: string) {
  return { project: "p", stack: "s", resource: "r", mesh };
}

dockerTest("datacenter networks cannot reach each other, the WAN reaches its members", async (mesh) => {
  const [web, db, gateway] = [unitOf(mesh, "web", "dc1"), unitOf(mesh, "db", "dc2"), unitOf(mesh, "gateway", "dc1")];
  const open = { ...questionProcess("app", 8080), args: questionProcess("app", 8080).args.with(3, "0.0.0.0") };
  await runtime.ensureUnit(web, ownerOf(mesh), { wan: false });
  const dbPlace = await runtime.ensureUnit(db, ownerOf(mesh), { wan: false });
  const gatewayPlace = await runtime.ensureUnit(gateway, ownerOf(mesh), { wan: false });
  for (const id of [web, db, gateway]) await runtime.ensureProcess(id, open);
  const app = { port: 8080 };
  const from = (id: UnitId, address = "") => ask(runtime, id, app, `connect ${address} 8080`);
  await ask(runtime, db, app, "boot");
  await ask(runtime, gateway, app, "boot");
  assert.equal(await from(web, gatewayPlace.lan), "connected");
  assert.equal(await from(web, dbPlace.lan), "refused");
  const dbJoined = await runtime.ensureUnit(db, ownerOf(mesh), { wan: true });
  const gatewayJoined = await runtime.ensureUnit(gateway, ownerOf(mesh), { wan: true });
  assert.equal(await from(gateway, dbJoined.wan), "connected");
  assert.equal(await from(db, gatewayJoined.wan), "connected");
  assert.equal(await from(web, dbJoined.wan), "refused");
  await runtime.ensureUnit(db, ownerOf(mesh), { wan: false });
  assert.equal(await from(gateway, dbJoined.wan), "refused");
});

dockerTest("every container is hardened, and an engine's inspect shows no secret", async (mesh) => {
  const id = unitOf(mesh, "web", "dc1");
  await runtime.ensureUnit(id, ownerOf(mesh), { wan: true });
  await runtime.putFiles(id, [{ path: "token", content: "very-secret" }]);
  await runtime.ensureProcess(id, questionProcess("app", 8080));
  await runtime.ensureProcess(id, {
    ...questionProcess("control-plane", 1),
    program: { type: "control-plane" },
    args: [],
  });
  assert.equal(await ask(runtime, id, { port: 8080 }, "read token"), "very-secret");
  const containers = await engine.listContainers({ filters: labelFilter({ [label.mesh]: mesh }) });
  assert.equal(containers.length, 3);
  for (const { Id: containerId } of containers) {
    const shown = await engine.getContainer(containerId).inspect();
    const { HostConfig: host } = shown;
    assert.equal(shown.Config.User, "65532:65532");
    assert.deepEqual(host.CapDrop, ["ALL"]);
    assert.equal(host.CapAdd, null);
    assert.deepEqual(host.SecurityOpt, ["no-new-privileges"]);
    assert.equal(host.ReadonlyRootfs, true);
    assert.equal(host.Privileged, false);
    assert.ok((host.PidsLimit ?? 0) > 0 && (host.Memory ?? 0) > 0);
    assert.deepEqual(Object.keys(host.PortBindings ?? {}), []);
    assert.equal(host.PublishAllPorts, false);
    assert.equal(host.Binds, null);
    assert.deepEqual(
      shown.Mounts.map((mount) => [mount.Type, mount.Destination]),
      [["volume", "/isthmus/unit"]],
    );
    assert.ok(host.LogConfig?.Config["max-size"]);
    assert.doesNotMatch(JSON.stringify(shown), /very-secret/);
  }
});

dockerTest("processes follow a holder that was started anew", async (mesh) => {
  const id = unitOf(mesh, "web", "dc1");
  await runtime.ensureUnit(id, ownerOf(mesh), { wan: false });
  await runtime.ensureProcess(id, questionProcess("app", 8080));
  const boot = await ask(runtime, id, { port: 8080 }, "boot");
  const filters = labelFilter({ [label.mesh]: mesh, [label.part]: "holder" });
  const [holder] = await engine.listContainers({ filters });
  await engine.getContainer(holder?.Id ?? "").restart();
  assert.equal((await runtime.inspect(id))?.processes[0]?.running, false);
  const { lan } = await runtime.ensureUnit(id, ownerOf(mesh), { wan: false });
  await runtime.ensureProcess(id, questionProcess("app", 8080));
  assert.notEqual(await ask(runtime, id, { port: 8080 }, "boot"), boot);
  assert.equal((await runtime.inspect(id))?.placement.lan, lan);
});

dockerTest(
  "a process killed by hand is started by a plain ensure, a command that is not there says so",
  async (mesh) => {
    const id = unitOf(mesh, "web", "dc1");
    await runtime.ensureUnit(id, ownerOf(mesh), { wan: false });
    await runtime.ensureProcess(id, questionProcess("app", 8080));
    const [app] = await engine.listContainers({ filters: labelFilter({ [label.mesh]: mesh, [label.process]: "app" }) });
    await engine.getContainer(app?.Id ?? "").kill();
    await eventually("end", async () => assert.equal((await runtime.inspect(id))?.processes[0]?.running, false));
    assert.equal((await runtime.ensureProcess(id, questionProcess("app", 8080))).running, true);
    const missing = { ...questionProcess("other", 1), program: { type: "command", command: "socat" } } as const;
    await assert.rejects(runtime.ensureProcess(id, missing), /socat/);
  },
);
