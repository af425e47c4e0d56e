/** The federation over real gRPC and TLS on loopback: joining, following, forwarding, losing the primary, refusals. */
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { connect } from "node:tls";
import { systemClock } from "../ca/clock.ts";
import { createConnectCa } from "../ca/connect-ca.ts";
import { controlServerName, createControlCa } from "../ca/control-ca.ts";
import { isIssuedBy } from "../ca/x509.ts";
import { MeshError } from "../model/errors.ts";
import type { AclTokenRecord, CheckRecord, ServiceRecord } from "../model/records.ts";
import { createMemoryStore } from "../store/memory.ts";
import type { Change, Store } from "../store/store.ts";
import type { FederationClient, FederationClientDeps } from "./client.ts";
import { createFederationClient } from "./client.ts";
import type { FederationServer } from "./server.ts";
import { createFederationServer } from "./server.ts";

const open: (() => void | Promise<void>)[] = [];
after(async () => {
  for (const close of open.reverse()) await close();
});

async function until(what: string, condition: () => boolean, timeoutMs = 8_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const intention = (name: string, action: "allow" | "deny" = "allow"): Change => ({
  op: "set",
  kind: "config-entry",
  key: `service-intentions/${name}`,
  value: { Kind: "service-intentions", Name: name, Sources: [{ Name: "web", Action: action }] },
});

const token = (id: string, local: boolean): Change => {
  const value: AclTokenRecord = {
    AccessorID: id,
    SecretID: `secret-${id}`,
    Description: "",
    Policies: [],
    ServiceIdentities: [],
    NodeIdentities: [],
    Local: local,
    CreateTime: "",
  };
  return { op: "set", kind: "acl-token", key: id, value };
};

const instance = (id: string, extra: Partial<ServiceRecord> = {}): Change => {
  const value: ServiceRecord = {
    Node: "n",
    ID: id,
    Service: id,
    Kind: "",
    Tags: [],
    Meta: {},
    Address: "127.1.0.9",
    Port: 1,
    TaggedAddresses: {},
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    ...extra,
  };
  return { op: "set", kind: "service", key: `n/${id}`, value };
};
const sidecar = (service: string): Change =>
  instance(`${service}-sidecar-proxy`, {
    Kind: "connect-proxy",
    Proxy: { DestinationServiceName: service, DestinationServiceID: service },
  });
const check = (service: string, Status: CheckRecord["Status"]): Change => ({
  op: "set",
  kind: "check",
  key: `n/${service}`,
  value: {
    Node: "n",
    CheckID: service,
    Name: "",
    Status,
    Notes: "",
    Output: "",
    ServiceID: service,
    ServiceName: service,
    Type: "ttl",
    Definition: {},
  },
});

interface Primary {
  readonly store: Store;
  readonly server: FederationServer;
  readonly port: number;
  readonly root: string;
  readonly tokens: Set<string>;
  readonly errors: string[];
}

async function primary(store: Store = createMemoryStore(), port = 0): Promise<Primary> {
  const shared = {
    store,
    datacenter: "dc1",
    clock: systemClock,
    random: Math.random,
    randomBytes,
    onError: assert.fail,
  };
  const control = await createControlCa({ ...shared, mesh: "m" });
  const ttl = { leafTtlSeconds: 3_600, intermediateTtlSeconds: 36_000, rootTtlSeconds: 360_000 };
  const ca = createConnectCa({ ...shared, ttl });
  await ca.start();
  const tokens = new Set(["good"]);
  const errors: string[] = [];
  const server = createFederationServer({
    store,
    datacenter: "dc1",
    address: "127.0.0.1:1",
    certificate: await control.serverCertificate([controlServerName("dc1", "m")], [], () => {}),
    authorizeReplication(given) {
      if (!tokens.has(given)) throw new MeshError("permission_denied", "this token may not replicate");
    },
    async handleForward({ method, path, query, token: user, body }) {
      if (path === "/v1/config") await store.txn([intention(body)]);
      return {
        status: 200,
        headers: { "x-test": "1" },
        body: JSON.stringify({ method, path, query, user }),
        index: store.index,
      };
    },
    handleSignIntermediate: ca.handleSignIntermediate,
    onError: (error) => errors.push(error.message),
  });
  open.push(() => server.close());
  return { store, server, port: await server.listen("127.0.0.1", port), root: control.root, tokens, errors };
}

interface Secondary {
  readonly store: Store;
  readonly client: FederationClient;
  readonly errors: string[];
}

function secondary(of: Primary, datacenter: string, extra: Partial<FederationClientDeps> = {}): Secondary {
  const errors: string[] = [];
  const store = extra.store ?? createMemoryStore();
  const client = createFederationClient({
    store,
    datacenter,
    primaryDatacenter: "dc1",
    address: "",
    dialer: { dial: async () => ({ address: `127.0.0.1:${of.port}`, serverName: controlServerName("dc1", "m") }) },
    controlRoot: of.root,
    token: () => "good",
    random: Math.random,
    now: Date.now,
    onError: (error) => errors.push(error.message),
    ...extra,
  });
  open.push(() => client.close());
  client.start();
  return { store, client, errors };
}

const joined = (one: Secondary): Promise<void> => until("connected", () => one.client.status().Connected);

test("a secondary takes over a snapshot, then every commit, and deletes what vanished", async () => {
  const dc1 = await primary();
  await dc1.store.txn([intention("socat"), token("shared", false), token("local", true)]);
  const store = createMemoryStore();
  await store.txn([intention("stale"), token("mine", true)]);
  const dc2 = secondary(dc1, "dc2", { store });
  await joined(dc2);
  assert.deepEqual(
    store.list("config-entry").map(({ key }) => key),
    ["service-intentions/socat"],
  );
  assert.deepEqual(
    store.list("acl-token").map(({ key }) => key),
    ["mine", "shared"],
  );
  assert.deepEqual(
    store.list("ca-root").map(({ value }) => value),
    dc1.store.list("ca-root").map(({ value }) => value),
  );
  assert.equal(store.list("signer").length, 0);
  assert.deepEqual(
    store.list("datacenter").map(({ key, value }) => [key, value.Primary]),
    [
      ["dc1", true],
      ["dc2", false],
    ],
  );
  const { index } = await dc1.store.txn([
    intention("socat", "deny"),
    { op: "delete", kind: "acl-token", key: "shared" },
  ]);
  await dc2.client.awaitIndex(index, 2_000);
  const entry = store.get("config-entry", "service-intentions/socat")!.value;
  assert.equal(entry.Kind === "service-intentions" && entry.Sources[0]!.Action, "deny");
  assert.deepEqual(
    store.list("acl-token").map(({ key }) => key),
    ["mine"],
  );
  assert.equal(dc2.client.status().LastError, "");
  assert.deepEqual(dc1.server.connected(), ["dc2"]);
});

test("a commit arrives within milliseconds", async (t) => {
  const dc1 = await primary();
  const dc2 = secondary(dc1, "dc2");
  await joined(dc2);
  const latencies: number[] = [];
  for (let round = 0; round < 200; round += 1) {
    const from = performance.now();
    const { index } = await dc1.store.txn([intention(`s${round % 7}`, round % 2 === 0 ? "allow" : "deny")]);
    await dc2.client.awaitIndex(index, 2_000);
    latencies.push(performance.now() - from);
  }
  latencies.sort((a, b) => a - b);
  t.diagnostic(`write to replica: p50 ${latencies[100]!.toFixed(2)} ms, p99 ${latencies[197]!.toFixed(2)} ms`);
  assert.ok(latencies[100]! < 50);
});

test("three datacenters see each other's services and gateways with health; who is away stays as last known", async () => {
  const dc1 = await primary();
  const dc2 = secondary(dc1, "dc2");
  const dc3 = secondary(dc1, "dc3");
  await Promise.all([joined(dc2), joined(dc3)]);
  await dc1.store.txn([instance("socat"), sidecar("socat")]);
  const wan = { wan: { Address: "127.2.0.8", Port: 8443 } };
  await dc2.store.txn([
    instance("web"),
    sidecar("web"),
    check("web", "passing"),
    instance("gw", { Kind: "mesh-gateway", TaggedAddresses: wan }),
  ]);
  await until("dc3 knows", () => dc3.store.list("imported-service").length === 3);
  assert.deepEqual(
    dc3.store.list("imported-service").map(({ key }) => key),
    ["dc1/socat", "dc2/gw", "dc2/web"],
  );
  await until("dc2 knows", () => dc2.store.list("imported-service").length === 1);
  assert.deepEqual(dc3.store.get("imported-service", "dc2/gw")!.value.Instances[0]!.Service.TaggedAddresses, wan);
  const status = () => dc3.store.get("imported-service", "dc2/web")?.value.Instances[0]?.Status;
  assert.equal(status(), "passing");
  await dc2.store.txn([check("web", "critical")]);
  await until("critical", () => status() === "critical");
  dc2.client.close();
  await until("gone", () => dc1.server.connected().length === 1);
  assert.equal(dc3.store.list("imported-service", "dc2/").length, 2);
  await dc1.server.forget("dc2");
  await until("forgotten", () => dc3.store.list("imported-service", "dc2/").length === 0);
  await assert.rejects(dc1.server.forget("dc3"), { code: "conflict" });
  await assert.rejects(dc1.server.forget("dc1"), { code: "invalid" });
});

test("deleting a service here deletes it there, also when the link was down meanwhile", async () => {
  const dc1 = await primary();
  const store = createMemoryStore();
  await store.txn([sidecar("web"), sidecar("db")]);
  const before = secondary(dc1, "dc2", { store });
  await until("both", () => dc1.store.list("imported-service").length === 2);
  await store.txn([{ op: "delete", kind: "service", key: "n/db-sidecar-proxy" }]);
  await until("one", () => dc1.store.list("imported-service").length === 1);
  before.client.close();
  await store.txn([{ op: "delete", kind: "service", key: "n/web-sidecar-proxy" }]);
  secondary(dc1, "dc2", { store });
  await until("none", () => dc1.store.list("imported-service").length === 0);
});

test("a forwarded write can be read back here", async () => {
  const dc1 = await primary();
  const dc2 = secondary(dc1, "dc2");
  await joined(dc2);
  const request = { method: "PUT", path: "/v1/config", query: "cas=0", token: "user", body: "forwarded" } as const;
  const answer = await dc2.client.forward(request);
  await dc2.client.awaitIndex(answer.index, 2_000);
  assert.ok(dc2.store.get("config-entry", "service-intentions/forwarded"));
  assert.deepEqual(JSON.parse(answer.body), { method: "PUT", path: "/v1/config", query: "cas=0", user: "user" });
  assert.deepEqual([answer.status, answer.headers], [200, { "x-test": "1" }]);
  await assert.rejects(dc2.client.awaitIndex(answer.index + 1_000, 20), { code: "unavailable", message: /index/ });
});

test("the primary signs the intermediate of a joined secondary, and of nobody else", async () => {
  const dc1 = await primary();
  const dc2 = secondary(dc1, "dc2");
  await joined(dc2);
  const ttl = { leafTtlSeconds: 3_600, intermediateTtlSeconds: 36_000, rootTtlSeconds: 360_000 };
  const ca = createConnectCa({
    store: dc2.store,
    datacenter: "dc2",
    ttl,
    clock: systemClock,
    random: Math.random,
    randomBytes,
    signIntermediate: dc2.client.signIntermediate,
    onError: assert.fail,
  });
  await ca.start();
  const leaf = await ca.leaf("web");
  assert.ok(isIssuedBy(leaf.Chain[1]!, dc1.store.list("ca-root")[0]!.value.RootCert));
  ca.close();
  await dc2.store.txn([{ op: "set", kind: "fact", key: "federation-instance", value: { Value: randomUUID() } }]);
  await assert.rejects(dc2.client.signIntermediate("x"), { code: "permission_denied" });
});

test("without its primary a secondary keeps all it has, says why writes fail, and catches up with differences only", async () => {
  const store = createMemoryStore();
  const dc1 = await primary(store);
  await store.txn([intention("a"), intention("b")]);
  const dc2 = secondary(dc1, "dc2");
  await joined(dc2);
  await dc1.server.close();
  await until("lost", () => !dc2.client.status().Connected);
  assert.equal(dc2.store.list("config-entry").length, 2);
  const request = { method: "PUT", path: "/v1/config", query: "", token: "", body: "x" } as const;
  await assert.rejects(dc2.client.forward(request), {
    code: "unavailable",
    message: /"dc2" cannot reach its primary "dc1".*nothing was written/,
  });
  await store.txn([intention("c"), { op: "delete", kind: "config-entry", key: "service-intentions/a" }]);
  const commits: number[] = [];
  dc2.store.subscribe((commit) => commits.push(commit.set.length + commit.deleted.length));
  const from = performance.now();
  await primary(store, dc1.port);
  await joined(dc2);
  assert.ok(performance.now() - from < 5_000);
  assert.deepEqual(
    dc2.store.list("config-entry").map(({ key }) => key),
    ["service-intentions/b", "service-intentions/c"],
  );
  // c, the deletion of a, and the state; nothing that was there already.
  assert.equal(commits[0], 3);
});

test("a burst while the link breaks again and again loses nothing", async () => {
  const store = createMemoryStore();
  let dc1 = await primary(store);
  const dc2 = secondary(dc1, "dc2");
  await joined(dc2);
  for (let round = 0; round < 4; round += 1) {
    const writes = Array.from({ length: 50 }, (_, at) => store.txn([intention(`r${round}-${at}`)]));
    await Promise.all(writes.slice(0, 20));
    await dc1.server.close();
    await Promise.all(writes);
    dc1 = await primary(store, dc1.port);
  }
  await until("all", () => dc2.store.list("config-entry").length === 200);
  await dc2.client.awaitIndex(store.index, 5_000);
});

test("a large snapshot comes in several messages and a second secondary is not held up", async () => {
  const dc1 = await primary();
  const big = "x".repeat(10_000);
  await dc1.store.txn(
    Array.from(
      { length: 400 },
      (_, at): Change => ({
        op: "set",
        kind: "config-entry",
        key: `service-defaults/s${at}`,
        value: { Kind: "service-defaults", Name: `s${at}`, Meta: { big } },
      }),
    ),
  );
  const [dc2, dc3] = [secondary(dc1, "dc2"), secondary(dc1, "dc3")];
  await Promise.all([joined(dc2), joined(dc3)]);
  for (const { store } of [dc2, dc3]) assert.equal(store.list("config-entry").length, 400);
});

test("an older primary, or another one, is refused; a raised epoch is taken", async () => {
  const first = await primary();
  await first.store.txn([intention("a")]);
  await first.store.txn([intention("b")]);
  const held = createMemoryStore();
  const before = secondary(first, "dc2", { store: held });
  await joined(before);
  before.client.close();
  const kept = held.list("config-entry");
  const cluster = first.store.get("fact", "cluster-id")!.value;
  const root = first.store.list("ca-root")[0]!.value;
  const signers = first.store
    .list("signer")
    .map(({ key, value }): Change => ({ op: "set", kind: "signer", key, value }));
  const restored = createMemoryStore();
  await restored.txn([
    { op: "set", kind: "fact", key: "cluster-id", value: cluster },
    { op: "set", kind: "ca-root", key: root.ID, value: root },
    ...signers,
  ]);
  const old = await primary(restored);
  const refused = secondary(old, "dc2", { store: held });
  await until("refused", () => /older state/.test(refused.client.status().LastError));
  assert.deepEqual(held.list("config-entry"), kept);
  await restored.txn([{ op: "set", kind: "fact", key: "federation-epoch", value: { Value: "2" } }]);
  await joined(refused);
  assert.equal(held.list("config-entry").length, 0);
  refused.client.close();
  const stranger = await primary();
  const lost = secondary(stranger, "dc2", { store: held });
  await until("refused", () => /belongs to/.test(lost.client.status().LastError));
  assert.equal(lost.client.status().Connected, false);
});

test("who may not join is told why", async () => {
  const dc1 = await primary();
  const stranger = await primary();
  const live = secondary(dc1, "dc2");
  await joined(live);
  const cases: readonly (readonly [string, string, Partial<FederationClientDeps>, RegExp])[] = [
    ["bad token", "dc4", { token: () => "bad" }, /may not replicate/],
    ["no token", "dc4", { token: () => "" }, /needs a replication token/],
    ["wrong pin", "dc4", { controlRoot: stranger.root }, /certificate/],
    [
      "wrong server name",
      "dc4",
      { dialer: { dial: async () => ({ address: `127.0.0.1:${dc1.port}`, serverName: "server.dc9.m.isthmus" }) } },
      /altnames|Hostname/i,
    ],
    ["same name as a live one", "dc2", {}, /another datacenter "dc2" is connected/],
    ["the primary's name", "dc1", {}, /primary's own name/],
    ["wrong primary", "dc4", { primaryDatacenter: "dc9" }, /has primary "dc9", but this is "dc1"/],
    [
      "nobody there",
      "dc4",
      { dialer: { dial: async () => ({ address: "127.0.0.1:1", serverName: "x" }) } },
      /ECONNREFUSED|connection/i,
    ],
    [
      "broken dialer",
      "dc4",
      { dialer: { dial: () => Promise.reject(new MeshError("unavailable", "no gateway yet")) } },
      /no gateway yet/,
    ],
  ];
  for (const [name, datacenter, extra, reason] of cases) {
    const one = secondary(dc1, datacenter, extra);
    await until(name, () => reason.test(one.client.status().LastError));
    assert.equal(one.client.status().Connected, false, name);
    assert.equal(one.store.list("acl-token").length + one.store.list("ca-root").length, 0, name);
    one.client.close();
  }
  assert.equal(live.client.status().Connected, true);
  assert.deepEqual(dc1.server.connected(), ["dc2"]);
});

test("a link ends at once when its token loses its right", async () => {
  const dc1 = await primary();
  const dc2 = secondary(dc1, "dc2");
  await joined(dc2);
  dc1.tokens.delete("good");
  const from = performance.now();
  await dc1.store.txn([token("any", false)]);
  await until("cut", () => !dc2.client.status().Connected);
  assert.ok(performance.now() - from < 1_000);
  await assert.rejects(dc2.client.forward({ method: "GET", path: "/", query: "", token: "", body: "" }), {
    code: "unavailable",
  });
});

test("TLS below 1.3 and hostile bytes get nowhere", async () => {
  const dc1 = await primary();
  const dc2 = secondary(dc1, "dc2");
  await joined(dc2);
  const dial = (bytes: Buffer | undefined, maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({
        port: dc1.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        maxVersion,
        ALPNProtocols: ["h2"],
      });
      socket.setTimeout(3_000, () => socket.destroy());
      socket.on("secureConnect", () => (bytes ? socket.write(bytes) : socket.end()));
      socket.on("error", (error) => resolve(`refused: ${error.message}`));
      socket.on("close", () => resolve("closed"));
      socket.resume();
    });
  assert.match(await dial(undefined, "TLSv1.2"), /refused/);
  for (const bytes of [randomBytes(4_096), Buffer.from("GET / HTTP/1.1\r\n\r\n")])
    assert.match(await dial(bytes, "TLSv1.3"), /closed|refused/);
  assert.equal(dc2.client.status().Connected, true);
});
