/** Handlers against a runtime in memory and real HTTP: what they make, send, notice and remove. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Handler, PartialFailure, type Props } from "./context.ts";
import { dynamicProvider } from "./dynamic.ts";
import { openTestMesh, type TestMesh } from "./handlers.test.mesh.ts";
import { aclPolicy } from "./resources/acl-policy.ts";
import { aclToken } from "./resources/acl-token.ts";
import { datacenter } from "./resources/datacenter.ts";
import { intention } from "./resources/intention.ts";
import { meshGateway } from "./resources/mesh-gateway.ts";
import { proxyDefaults } from "./resources/proxy-defaults.ts";
import { serviceDefaults } from "./resources/service-defaults.ts";
import { serviceRegistration } from "./resources/service-registration.ts";

const mesh = "0123abcd";
const owner = (resource: string) => ({ project: "p", stack: "s", resource, mesh });
const dc1 = { name: "dc1", primaryDatacenter: "dc1", owner: owner("dc1") };
const dc2 = { name: "dc2", primaryDatacenter: "dc1", owner: owner("dc2") };
const socat = {
  name: "socat",
  datacenter: "dc1",
  port: 8181,
  owner: owner("socat"),
  run: { command: "node", args: ["echo.mjs"], files: { "echo.mjs": "text" } },
  connect: { sidecarService: {} },
};
const web = {
  name: "web",
  datacenter: "dc2",
  port: 8080,
  owner: owner("web"),
  checks: [{ tcp: "localhost:8080", interval: "10s" }],
  connect: {
    sidecarService: { proxy: { upstreams: [{ destinationName: "socat", datacenter: "dc1", localBindPort: 8181 }] } },
  },
};

async function checked(handler: Handler, given: Props, world: TestMesh, olds: Props = {}): Promise<Props> {
  const { inputs, failures } = await handler.check(olds, given, world.context);
  assert.deepEqual(failures, []);
  return inputs;
}

async function create(handler: Handler, given: Props, world: TestMesh) {
  const inputs = await checked(handler, given, world);
  return { inputs, ...(await handler.create(inputs, world.context)) };
}

test("datacenters: the primary's configuration, and a secondary that asks it", async () => {
  await using world = await openTestMesh();
  const first = await create(datacenter, dc1, world);
  const second = await create(datacenter, dc2, world);
  assert.equal(first.id, "0123abcd/dc1");
  assert.equal(first.inputs["runtime"], "local", "auto is decided at the first check");
  assert.partialDeepStrictEqual(first.outs, { trustDomain: "t.consul", controlRoot: "root of dc1", running: true });
  const config = JSON.parse(world.units.get(`${mesh}/dc2/control-plane/dc2`)!.files.get("config.json")!) as Record<
    string,
    unknown
  >;
  const [token] = [...world.plane("dc1").tokens.values()];
  assert.deepEqual(config["join"], { address: "10.0.0.1:8300", controlRoot: "root of dc1", token: token!["SecretID"] });
  assert.deepEqual(config["ca"], {
    leafTtlSeconds: 259200,
    intermediateTtlSeconds: 31536000,
    rootTtlSeconds: 315360000,
  });
  assert.equal([...world.plane("dc1").policies.values()][0]!["Name"], "isthmus-replication-dc2");
  assert.doesNotMatch(
    JSON.stringify(second.outs),
    new RegExp(String(token!["SecretID"])),
    "no secret among the outputs",
  );

  await datacenter.delete("", second.outs, world.context);
  assert.equal(world.plane("dc1").tokens.size + world.plane("dc1").policies.size, 0);
  assert.ok(world.requests.includes("dc1 DELETE /v1/isthmus/datacenters/dc2"), "the primary forgets it");
  await datacenter.delete("", second.outs, world.context);
  await datacenter.delete("", first.outs, world.context);
  assert.equal(world.units.size, 0);
});

test("datacenter: the runtime is kept, an edit is an update, a new name a replacement, a crash is noticed", async () => {
  await using world = await openTestMesh();
  const { inputs, outs } = await create(datacenter, dc1, world);
  const other = { ...world.context, detectRuntime: async () => "docker" as const };
  assert.equal((await datacenter.check(inputs, dc1, other)).inputs["runtime"], "local");
  const diff = async (given: Props, olds: Props = outs) =>
    datacenter.diff("", olds, await checked(datacenter, given, world, inputs), world.context);
  assert.deepEqual(await diff(dc1), {});
  assert.deepEqual(await diff({ ...dc1, ports: { https: 9000 } }), {}, "left to the engine, which shows the property");
  assert.deepEqual(await diff({ ...dc1, name: "dc9" }), { replaces: ["name"], deleteBeforeReplace: false });
  assert.deepEqual(await diff({ ...dc1, owner: owner("renamed") }), { replaces: ["owner"], deleteBeforeReplace: true });
  world.crash(`${mesh}/dc1/control-plane/dc1`, "control-plane");
  assert.deepEqual(await diff(dc1), { changes: true });
  assert.equal((await datacenter.read("", outs, world.context))?.props["running"], false);
  await datacenter.update("", outs, inputs, world.context);
  assert.deepEqual(await diff(dc1), {});
  world.units.clear();
  assert.deepEqual(await diff(dc1), { changes: true });
  assert.equal(await datacenter.read("", outs, world.context), undefined);
  const again = await datacenter.update("", outs, inputs, world.context);
  world.upgrade();
  assert.deepEqual(await diff(dc1, again), { changes: true }, "a new control plane is an update in place");
  assert.deepEqual(await diff(dc1, await datacenter.update("", again, inputs, world.context)), {});
  const stuck = {
    ...world.context,
    diffMs: 20,
    findRuntimes: async function* () {
      yield await new Promise<never>(() => {});
    },
    openRuntime: () => new Promise<never>(() => {}),
  };
  assert.deepEqual(await datacenter.diff("", outs, inputs, stuck), {}, "unreachable means no opinion");
});

test("what does not get ready is recorded and says what it waited for; what is somebody else's is refused", async () => {
  await using world = await openTestMesh();
  world.plane("dc1").ready = false;
  const inputs = await checked(datacenter, dc1, world);
  const failure = await datacenter.create(inputs, world.context).catch((error: unknown) => error);
  assert.ok(failure instanceof PartialFailure);
  assert.equal(failure.id, "0123abcd/dc1");
  assert.match(failure.message, /datacenter "dc1": not within/);
  assert.deepEqual(world.logs, ['datacenter "dc1" waits for a CA']);
  await assert.rejects(datacenter.create({ ...inputs, owner: owner("other") }, world.context), {
    name: "MeshError",
    message: /belongs to dc1/,
  });
  world.plane("dc1").ready = true;
  const outs = await datacenter.update("", failure.properties, inputs, world.context);
  assert.equal(outs["running"], true);
});

test("a failed creation carries Pulumi's closure, so that it can be deleted", async () => {
  await using world = await openTestMesh();
  world.plane("dc1").ready = false;
  const provider = dynamicProvider(datacenter, world.context);
  const inputs = (await provider.check({}, { ...dc1, __provider: "closure" })).inputs;
  const failure = await provider
    .create({ ...inputs, __provider: "closure" })
    .catch((error: unknown) => error as PartialFailure);
  assert.equal((failure as PartialFailure).properties["__provider"], "closure");
  assert.equal((failure as PartialFailure).reasons.length, 1);
});

test("gateway: registered with a token of its own, in the WAN, renewed when due, removed with its token", async () => {
  await using world = await openTestMesh();
  await create(datacenter, dc1, world);
  const given = { name: "gateway", datacenter: "dc1", owner: owner("gateway"), config: { connect_timeout_ms: 100 } };
  const { inputs, outs } = await create(meshGateway, given, world);
  const plane = world.plane("dc1");
  const [token] = [...plane.tokens.values()];
  assert.partialDeepStrictEqual(token!, {
    Local: true,
    ServiceIdentities: [{ ServiceName: "gateway" }],
  });
  assert.ok(world.requests.includes(`dc1 PUT /v1/agent/service/register as ${token!["SecretID"]}`));
  assert.partialDeepStrictEqual(plane.services.get("gateway")!, {
    Kind: "mesh-gateway",
    Port: 8443,
    Address: "127.9.0.2",
    Proxy: { Config: { connect_timeout_ms: 100 } },
    TaggedAddresses: { lan: { Address: "127.9.0.2", Port: 8443 }, wan: { Address: "127.200.0.2", Port: 8443 } },
  });
  const unit = world.units.get(`${mesh}/dc1/mesh-gateway/gateway`)!;
  assert.match(unit.files.get("identity.json")!, /"name":"identity".*BEGIN PRIVATE KEY/);
  assert.deepEqual(unit.specs.get("proxy")!.args.slice(0, 2), ["-c", "/units/gateway/bootstrap.json"]);
  assert.equal(world.bodies.get("dc1 PUT /v1/isthmus/proxies/gateway/identity") !== undefined, true);
  assert.doesNotMatch(JSON.stringify(outs), /PRIVATE KEY/);

  const issued = () => world.requests.filter((line) => line.includes("/identity")).length;
  await meshGateway.update("", outs, inputs, world.context);
  assert.equal(issued(), 1, "an update with a fresh certificate asks for no other");
  world.advance(600_000);
  assert.deepEqual(await meshGateway.diff("", outs, inputs, world.context), { changes: true });
  const renewed = await meshGateway.update("", outs, inputs, world.context);
  assert.equal(issued(), 2);
  assert.deepEqual(await meshGateway.diff("", renewed, inputs, world.context), {});

  await meshGateway.update("", renewed, { ...inputs, token: "another" }, world.context);
  assert.equal(issued(), 3, "a certificate ends with the token it was issued for, so another token asks for another");
  assert.ok(world.requests.includes("dc1 PUT /v1/isthmus/proxies/gateway/identity as another"));

  await meshGateway.delete("", renewed, world.context);
  await meshGateway.delete("", renewed, world.context);
  assert.equal(plane.services.size + plane.tokens.size, 0);
  assert.equal(world.units.has(`${mesh}/dc1/mesh-gateway/gateway`), false);
});

test("service: registration, program, environment, and an update that starts nothing anew", async () => {
  await using world = await openTestMesh();
  await create(datacenter, dc1, world);
  await create(datacenter, dc2, world);
  await create(serviceRegistration, socat, world);
  const { inputs, outs } = await create(serviceRegistration, { ...web, run: { command: "node", args: [] } }, world);
  const unit = world.units.get(`${mesh}/dc2/service/web`)!;
  const { local } = unit.state.placement;
  assert.partialDeepStrictEqual(world.plane("dc2").services.get("web")!, {
    Port: 8080,
    Checks: [{ CheckID: "service:web:1", TCP: `${local}:8080`, Interval: "10s" }],
    Connect: {
      SidecarService: {
        Port: 20000,
        Proxy: {
          LocalServiceAddress: local,
          LocalServicePort: 8080,
          Upstreams: [{ DestinationName: "socat", Datacenter: "dc1", LocalBindAddress: local, LocalBindPort: 8181 }],
        },
      },
    },
  });
  assert.deepEqual(unit.specs.get("app")!.env, {
    ISTHMUS_UPSTREAM_SOCAT: `${local}:8181`,
    ISTHMUS_SERVICE_ADDRESS: local,
    ISTHMUS_SERVICE_PORT: "8080",
    ISTHMUS_DIRECTORY: "/units/web/app",
  });
  const echo = world.units.get(`${mesh}/dc1/service/socat`)!;
  assert.deepEqual(echo.specs.get("app")!.args, ["/units/socat/app/echo.mjs"]);
  assert.equal(echo.files.get("app/echo.mjs"), "text");

  const digests = () => unit.state.processes.map((one) => one.digest);
  const before = digests();
  const tagged = await checked(serviceRegistration, { ...inputs, tags: ["v2"] }, world);
  await serviceRegistration.update("", outs, tagged, world.context);
  assert.deepEqual(world.plane("dc2").services.get("web")!["Tags"], ["v2"]);
  assert.deepEqual(digests(), before);
});

test("service: refused when it can be dialled past its sidecar, unless that is wanted; fails at once when it ends", async () => {
  await using world = await openTestMesh();
  await create(datacenter, dc1, world);
  const open = { ...socat, run: { command: "node", args: ["--open"] } };
  await assert.rejects(
    create(serviceRegistration, open, world),
    /listens on 0\.0\.0\.0:8181, where it can be dialled past/,
  );
  await create(serviceRegistration, { ...open, allowDirect: true }, world);
  const ends = { ...socat, name: "ends", owner: owner("ends"), run: { command: "false" } };
  await assert.rejects(
    create(serviceRegistration, ends, world),
    /its process "app" ended with code 1\. Its last lines:\nlast words/,
  );
});

test("service: its unit is in the WAN exactly while a mode is remote, whichever is written first", async () => {
  await using world = await openTestMesh();
  await create(datacenter, dc1, world);
  await create(datacenter, dc2, world);
  await create(serviceRegistration, web, world);
  const unit = world.units.get(`${mesh}/dc2/service/web`)!;
  const wan = () => unit.state.placement.wan !== undefined;
  assert.equal(wan(), false);
  // The test's control planes do not replicate: the entry is written where web's datacenter reads it.
  const remote = { name: "web", datacenter: "dc1", meshGateway: { mode: "remote" }, owner: owner("d") };
  world
    .plane("dc2")
    .config.set("service-defaults/web", { Kind: "service-defaults", Name: "web", MeshGateway: { Mode: "remote" } });
  const { inputs, outs } = await create(serviceDefaults, remote, world);
  assert.equal(wan(), true);
  world.plane("dc2").config.clear();
  await serviceDefaults.delete("", outs, world.context);
  assert.equal(wan(), false);
  assert.equal(world.plane("dc1").config.size, 0);
  world
    .plane("dc2")
    .config.set("proxy-defaults/global", { Kind: "proxy-defaults", Name: "global", MeshGateway: { Mode: "remote" } });
  await serviceRegistration.update(
    "",
    await checked(serviceRegistration, web, world),
    await checked(serviceRegistration, web, world),
    world.context,
  );
  assert.equal(wan(), true);
  assert.equal(inputs["name"], "web");
});

const shared: readonly [string, Handler, Props, Props, (world: TestMesh) => Map<string, Record<string, unknown>>][] = [
  [
    "proxy defaults",
    proxyDefaults,
    { meshGateway: { mode: "local" } },
    { meshGateway: { mode: "remote" } },
    (world) => world.plane("dc1").config,
  ],
  [
    "service defaults",
    serviceDefaults,
    { name: "web", upstreamConfig: { overrides: [{ name: "db", connectTimeoutMs: 5 }] } },
    { maxInboundConnections: 3 },
    (world) => world.plane("dc1").config,
  ],
  [
    "intention",
    intention,
    { source: "web", destination: "*", action: "allow" },
    { action: "deny" },
    (world) => world.plane("dc1").intentions,
  ],
  ["policy", aclPolicy, { name: "readers", rules: "x" }, { rules: "y" }, (world) => world.plane("dc1").policies],
];

for (const [name, handler, given, change, records] of shared) {
  test(`${name}: written through a secondary at the primary, drift seen, gone seen, deleted twice`, async () => {
    await using world = await openTestMesh();
    await create(datacenter, dc1, world);
    await create(datacenter, dc2, world);
    world.plane("dc1").policies.clear();
    const { inputs, outs, id } = await create(handler, { ...given, datacenter: "dc2", owner: owner("x") }, world);
    assert.equal(records(world).size, 1);
    assert.deepEqual(await handler.diff(id, outs, inputs, world.context), {});
    const changed = await checked(handler, { ...inputs, ...change }, world);
    assert.deepEqual(await handler.diff(id, outs, changed, world.context), {}, "left to the engine");
    await handler.update(id, outs, changed, world.context);
    assert.equal(records(world).size, 1);
    assert.deepEqual(await handler.diff(id, outs, inputs, world.context), { changes: true }, "somebody changed it");
    const read = await handler.read(id, outs, world.context);
    assert.partialDeepStrictEqual(read?.inputs, change);
    records(world).clear();
    assert.equal(await handler.read(id, outs, world.context), undefined);
    assert.deepEqual(await handler.diff(id, outs, inputs, world.context), { changes: true });
    await handler.update(id, outs, inputs, world.context);
    await handler.delete(id, outs, world.context);
    await handler.delete(id, outs, world.context);
    assert.equal(records(world).size, 0);
    world.units.clear();
    await handler.delete(id, outs, world.context);
  });
}

test("token: found again by its owner, its secret is stable, local ones stay in their datacenter", async () => {
  await using world = await openTestMesh();
  await create(datacenter, dc1, world);
  await create(datacenter, dc2, world);
  world.plane("dc1").tokens.clear();
  const given = { datacenter: "dc2", policies: ["readers"], owner: owner("token") };
  const first = await create(aclToken, given, world);
  const second = await create(aclToken, given, world);
  assert.equal(first.outs["secretId"], second.outs["secretId"]);
  assert.equal(world.plane("dc1").tokens.size, 1);
  await create(aclToken, { ...given, local: true, owner: owner("local") }, world);
  assert.equal(world.plane("dc2").tokens.size, 1);
  await aclToken.delete(second.id, second.outs, world.context);
  await aclToken.delete(second.id, second.outs, world.context);
  assert.equal(world.plane("dc1").tokens.size, 0);
});

test("without ACLs nothing asks for tokens", async () => {
  await using world = await openTestMesh();
  world.plane("dc1").aclOff = true;
  const acl = { enabled: false, defaultPolicy: "allow" };
  await create(datacenter, { ...dc1, acl }, world);
  await create(datacenter, { ...dc2, acl }, world);
  const { outs } = await create(serviceRegistration, socat, world);
  assert.ok(world.requests.includes("dc1 PUT /v1/agent/service/register"), "as the operator");
  await serviceRegistration.delete("", outs, world.context);
});
