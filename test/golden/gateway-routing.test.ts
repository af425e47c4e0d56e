/** What a generated mesh gateway does in a real Envoy: routes by SNI without decrypting, counts the hop, and closes everything else. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect, createServer, type Server } from "node:tls";
import { datacenterSni, serviceSni } from "../../provider/src/model/names.ts";
import type { MeshGatewaySnapshot } from "../../provider/src/model/proxy-snapshot.ts";
import { resourcesFromSnapshot } from "../../provider/src/xds/resource-set.ts";
import { createTestAuthority, type TestAuthority } from "../support/certificates.ts";
import { type RunningEnvoy, runEnvoy } from "../support/envoy.ts";
import { freePort } from "../support/free-port.ts";
import { staticBootstrap } from "../support/resource-json.ts";
import { eventually } from "../support/wait.ts";

const trustDomain = "11111111-2222-3333-4444-555555555555.consul";

let folder: string;
let authority: TestAuthority;
let local: Server;
let remote: Server;
let routing: RunningEnvoy;
let empty: RunningEnvoy;
let routingPort: number;
let emptyPort: number;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "gateway-"));
  authority = await createTestAuthority();
  local = await namedServer("socat");
  remote = await namedServer("dc2");
  routingPort = await freePort();
  emptyPort = await freePort();
  const endpoint = (server: Server) => ({ ...(server.address() as AddressInfo), healthy: true });
  // The dead endpoint comes first: a connection tries the next one.
  const dead = { address: "127.0.0.1", port: await freePort(), healthy: true };
  const snapshot: MeshGatewaySnapshot = {
    kind: "mesh-gateway",
    proxyId: "gateway",
    datacenter: "dc1",
    trustDomain,
    listeners: [{ name: "default", address: "127.0.0.1", port: routingPort }],
    connectTimeoutMs: 1000,
    services: [{ service: "socat", endpoints: [endpoint(local)] }],
    remotes: [{ datacenter: "dc2", endpoints: [dead, endpoint(remote)] }],
    checks: [],
  };
  routing = await start(snapshot, "routing");
  const none = { ...snapshot, listeners: [{ name: "default", address: "127.0.0.1", port: emptyPort }] };
  empty = await start({ ...none, services: [], remotes: [] }, "empty");
  await eventually("both gateways listen", async () => (await opens(routingPort)) && (await opens(emptyPort)));
});

after(async () => {
  await routing?.[Symbol.asyncDispose]();
  await empty?.[Symbol.asyncDispose]();
  local?.close();
  remote?.close();
  rmSync(folder, { recursive: true });
});

const socat = serviceSni("socat", "dc1", trustDomain);

const routed: readonly (readonly [what: string, serverName: string, answer: string])[] = [
  ["an own service", socat, "socat"],
  ["any service of another datacenter, past an endpoint that is gone", serviceSni("any", "dc2", trustDomain), "dc2"],
];
for (const [what, serverName, answer] of routed) {
  test(`routes ${what}`, async () => assert.equal(await ask(routingPort, serverName), answer));
}

const closed: readonly (readonly [what: string, serverName: string | undefined])[] = [
  ["an own service that is not there", serviceSni("other", "dc1", trustDomain)],
  ["a datacenter that is not there", serviceSni("socat", "dc3", trustDomain)],
  ["another trust domain", serviceSni("socat", "dc1", "example.consul")],
  ["a datacenter's own name", datacenterSni("dc2", trustDomain)],
  ["a name of the outside", "example.com"],
  ["the name of the chain that leads nowhere", "dead-end.invalid"],
  ["no name", undefined],
];
for (const [what, serverName] of closed) {
  test(`closes ${what}`, async () => {
    assert.equal(await ask(routingPort, serverName), "closed");
    assert.equal(await ask(emptyPort, serverName), "closed");
  });
}

test("closes what is no TLS", async () => {
  const socket = connectTcp(routingPort, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\n\r\n");
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk;
  });
  await new Promise<void>((resolve) => socket.on("error", () => {}).on("close", () => resolve()));
  assert.equal(received, "");
});

test("the counters that show the hop are kept, the others are not", async () => {
  await ask(routingPort, socat);
  const stats = await eventually("the hop is counted", async () => {
    const text = await admin(join(folder, "routing.sock"), "/stats");
    return /^tcp\.mesh_gateway_local\.socat\.downstream_cx_total: [1-9]/m.test(text) ? text : undefined;
  });
  for (const name of [
    `cluster.${socat}.upstream_cx_total`,
    `listener.127.0.0.1_${routingPort}.downstream_cx_total`,
    "tcp.mesh_gateway_remote.dc2.downstream_cx_total",
  ]) {
    assert.match(stats, new RegExp(`^${name.replaceAll(".", "\\.")}: \\d+$`, "m"));
  }
  assert.ok(stats.split("\n").length < 80, stats);
});

async function start(snapshot: MeshGatewaySnapshot, name: string): Promise<RunningEnvoy> {
  const admin = { address: { pipe: { path: join(folder, `${name}.sock`), mode: 0o600 } } };
  const config = staticBootstrap(resourcesFromSnapshot(snapshot), { kind: "inline" }, admin);
  const own = mkdtempSync(join(folder, `${name}-`));
  return runEnvoy(config, own);
}

/** A TLS server that says its name and closes. */
async function namedServer(name: string): Promise<Server> {
  const { chain, privateKey } = await authority.leaf(`spiffe://test/${name}`);
  const server = createServer({ cert: chain, key: privateKey }, (socket) => socket.on("error", () => {}).end(name));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** What the server behind an SNI says; `closed` when there is none. */
function ask(port: number, serverName: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connect({
      host: "127.0.0.1",
      port,
      ca: authority.root,
      checkServerIdentity: () => undefined,
      ...(serverName === undefined ? {} : { servername: serverName }),
    });
    socket.setTimeout(3000, () => {
      reject(new Error(`${serverName}: neither answered nor closed within 3 s`));
      socket.destroy();
    });
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(received || "closed"));
  });
}

function opens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

function admin(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    })
      .on("error", reject)
      .end();
  });
}
