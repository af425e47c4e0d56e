/** The xDS server with a real Envoy: start, change, refusal, restart, health, and the end of a right. */
import assert from "node:assert/strict";
import { connect, createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { createXdsServer, type XdsServer } from "./ads-server.ts";
import { createTestCa, type Pair } from "./certificates.test.support.ts";
import {
  createTestAuthenticator,
  createTestHealth,
  createTestObserver,
  createTestResources,
} from "./control-plane.test.support.ts";
import { eventually, findEnvoy, startEnvoy, type TestEnvoy } from "./envoy.test.support.ts";
import { cluster, endpoints, listener, specifier, tcpCheck } from "./envoy-resources.test.support.ts";
import { CLUSTER, ENDPOINTS, LISTENER } from "./type-urls.ts";

const binary = findEnvoy();
const skip = binary === undefined && process.env["CI"] === undefined ? "no envoy: set ISTHMUS_ENVOY or PATH" : false;
const proxyId = "web-sidecar-proxy";
const serverName = "server.dc1.consul";
const ping = Buffer.from("ping");

/** An echo server on loopback. Port 0 takes a free one. */
async function startEcho(port = 0): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

async function freePort(): Promise<number> {
  const server = await startEcho();
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** True when what is sent to the port comes back. */
function echoes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(ping));
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", (data) => done(data.equals(ping)));
    socket.once("error", () => done(false));
    socket.once("close", () => done(false));
  });
}

describe("xDS with a real Envoy", { skip }, () => {
  const authenticator = createTestAuthenticator();
  const resources = createTestResources();
  const observer = createTestObserver();
  const health = createTestHealth();
  let tls: { cert: string; key: string; clientCa: string };
  let identity: Pair;
  let server: XdsServer;
  let envoy: TestEnvoy;
  let app: Server;
  let xdsPort = 0;
  let mesh = 0;
  let serverPort = 0;

  const make = () =>
    createXdsServer({
      tls,
      authenticator,
      resources,
      observer,
      health,
      healthCheckSpecifier: specifier,
      now: Date.now,
      log: { warn: () => {} },
    });
  const state = (typeUrl: string) => observer.status(proxyId, typeUrl)?.state;
  const allAcked = () => [CLUSTER, ENDPOINTS, LISTENER].every((typeUrl) => state(typeUrl) === "acked");
  const good = (connectTimeoutMs?: number) => [
    cluster("app", connectTimeoutMs),
    endpoints("app", portOf(app)),
    listener("in", mesh, "app"),
  ];

  before(async () => {
    const ca = await createTestCa("test control CA");
    identity = await ca.issue([{ type: "url", value: `spiffe://test/proxy/${proxyId}` }]);
    tls = { ...(await ca.issue([{ type: "dns", value: serverName }])), clientCa: ca.root };
    authenticator.allow(identity.cert, proxyId);
    app = await startEcho();
    mesh = await freePort();
    serverPort = await freePort();
    server = make();
    xdsPort = await server.listen("127.0.0.1", serverPort);
    resources.set(proxyId, good());
    assert.ok(binary, "no envoy: set ISTHMUS_ENVOY or PATH");
    envoy = await startEnvoy({
      binary,
      nodeId: proxyId,
      identity,
      serverRoot: ca.root,
      serverName,
      port: xdsPort,
    });
  });

  after(async () => {
    await envoy?.[Symbol.asyncDispose]();
    await server?.close();
    await new Promise((resolve) => app.close(resolve));
  });

  test("the proxy goes live with what it was sent", async () => {
    const live = async () => (await envoy.admin("/ready").catch(() => "")).startsWith("LIVE");
    await eventually("Envoy is live", live);
    await eventually("everything is acknowledged", allAcked);
    assert.equal(observer.online.has(proxyId), true);
    assert.equal(await echoes(mesh), true);
  });

  test("a changed cluster is warm again at once", async () => {
    const started = performance.now();
    resources.set(proxyId, good(2000));
    const warm = async () => (await envoy.stat("cluster_manager.cluster_modified")) === 1;
    await eventually("the cluster changed", warm);
    assert.ok(performance.now() - started < 3000, "the cluster waited for its endpoints");
    assert.equal(await echoes(mesh), true);
    await eventually("everything is acknowledged", allAcked);
  });

  test("a refused listener keeps the last good one, is reported, and is not sent again", async () => {
    const bad = listener("in", mesh, "");
    resources.set(proxyId, [cluster("app", 2000), endpoints("app", portOf(app)), bad]);
    await eventually("the refusal is known", () => state(LISTENER) === "nacked");
    const status = observer.status(proxyId, LISTENER);
    assert.ok(status?.state === "nacked" && status.error.length > 0);
    const sent = server.counters().messagesSent;
    resources.set(proxyId, [cluster("app", 2000), endpoints("app", portOf(app)), bad]);
    assert.equal(await echoes(mesh), true);
    assert.equal(await envoy.stat("listener_manager.lds.update_rejected"), 1);
    assert.equal(server.counters().messagesSent, sent);
    resources.set(proxyId, good(2000));
    await eventually("the good one is acknowledged again", allAcked);
  });

  test("a listener can hand its address to one of another name", async () => {
    resources.set(proxyId, [cluster("app", 2000), endpoints("app", portOf(app)), listener("renamed", mesh, "app")]);
    await eventually("everything is acknowledged", allAcked);
    assert.match(await envoy.admin("/listeners"), /renamed/);
    assert.equal(await echoes(mesh), true);
  });

  test("health is reported as it changes", async () => {
    health.set(proxyId, [tcpCheck("app-check", portOf(app))]);
    await eventually("the check passes", () => health.healthy.get("app-check") === true);
    const port = portOf(app);
    await new Promise((resolve) => app.close(resolve));
    await eventually("the check fails", () => health.healthy.get("app-check") === false);
    app = await startEcho(port);
    await eventually("the check passes again", () => health.healthy.get("app-check") === true);
  });

  test("a restarted server sends nothing that the proxy has", async (t) => {
    const names = [
      "cluster_manager.cluster_modified",
      "listener_manager.listener_modified",
      "listener_manager.listener_added",
    ];
    const changes = async () => Promise.all(names.map((name) => envoy.stat(name)));
    const before = await changes();
    health.set(proxyId, []);
    await server.close();
    assert.equal(observer.online.has(proxyId), false);
    assert.equal(health.lostProxies.has(proxyId), true);
    assert.equal(await echoes(mesh), true);
    server = make();
    await server.listen("127.0.0.1", serverPort);
    await eventually("the proxy is back", () => observer.online.has(proxyId) && allAcked());
    const { messagesSent, bytesSent } = server.counters();
    t.diagnostic(`messages after the restart: ${messagesSent}, ${bytesSent} bytes`);
    assert.equal(messagesSent, 1);
    assert.deepEqual(await changes(), before);
  });

  test("what changed while the server was away is all that follows", async (t) => {
    const modified = () => envoy.stat("cluster_manager.cluster_modified");
    const before = await modified();
    await server.close();
    resources.set(proxyId, good(3000));
    server = make();
    await server.listen("127.0.0.1", serverPort);
    await eventually(
      "the new listener is there",
      async () => /"?in/.test(await envoy.admin("/listeners")) && allAcked(),
    );
    const { messagesSent } = server.counters();
    t.diagnostic(`messages after the restart with a cluster changed and a listener renamed: ${messagesSent}`);
    assert.equal(messagesSent, 3);
    await eventually("the cluster is warm", async () => (await modified()) === before + 1, 3000);
    assert.doesNotMatch(await envoy.admin("/listeners"), /renamed/);
  });

  test("a refused listener does not take the good ones beside it along, and leaves none behind", async (t) => {
    const other = await freePort();
    const extra = listener("extra", other, "app");
    resources.set(proxyId, [...good(3000), extra, listener("bad", await freePort(), "")]);
    await eventually("the refusal is known", () => state(LISTENER) === "nacked");
    await eventually("the good one serves", () => echoes(other));
    await server.close();
    server = make();
    await server.listen("127.0.0.1", serverPort);
    const sentOnce = () => server.counters().messagesSent === 2;
    await eventually(
      "the bad one is refused again",
      () => observer.online.has(proxyId) && sentOnce() && state(LISTENER) === "nacked",
    );
    t.diagnostic(`messages after the restart with one bad listener: ${server.counters().messagesSent}`);
    await server.close();
    resources.set(proxyId, good(3000));
    server = make();
    await server.listen("127.0.0.1", serverPort);
    await eventually("the other listener is gone", async () => !(await echoes(other)) && allAcked());
    assert.equal(await echoes(mesh), true);
  });

  test("a lost right cuts the stream and leaves the traffic", async (t) => {
    const started = performance.now();
    authenticator.revoke(proxyId);
    await eventually("the stream is cut", () => !observer.online.has(proxyId), 1000);
    t.diagnostic(`cut after ${(performance.now() - started).toFixed(1)} ms`);
    assert.equal(await echoes(mesh), true);
    const { streams, messagesSent } = server.counters();
    await eventually("the proxy knocks again", () => server.counters().streams > streams + 1);
    assert.equal(server.counters().messagesSent, messagesSent);
    assert.equal(observer.online.has(proxyId), false);
    authenticator.allow(identity.cert, proxyId);
    await eventually("the proxy is let in again", () => observer.online.has(proxyId) && allAcked());
  });
});
