/** The Connect CA over a real store: first start, restart, secondaries, renewal, hand-over of the signer, real TLS. */
import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import type { LeafRecord, ServiceRecord } from "../model/records.ts";
import { createMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import type { ConnectCa, ConnectCaDeps } from "./connect-ca.ts";
import { createConnectCa } from "./connect-ca.ts";
import { isIssuedBy } from "./x509.ts";

const ttl = { leafTtlSeconds: 3_600, intermediateTtlSeconds: 36_000, rootTtlSeconds: 360_000 };

/** A clock that stands until it is turned. */
function manualClock(): Clock & { turn(byMs: number): void } {
  let nowMs = Date.now();
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  return {
    now: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    turn(byMs) {
      nowMs += byMs;
      for (const timer of [...timers]) {
        if (timer.atMs > nowMs || !timers.delete(timer)) continue;
        timer.run();
      }
    },
  };
}

function authority(store: Store, datacenter: string, extra: Partial<ConnectCaDeps> = {}): ConnectCa {
  const deps = { store, datacenter, ttl, clock: systemClock, random: Math.random, randomBytes, ...extra };
  return createConnectCa({ onError: (error) => assert.fail(error), ...deps });
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function register(store: Store, name: string): Promise<void> {
  const value: ServiceRecord = {
    Node: "n",
    ID: name,
    Service: name,
    Kind: "",
    Tags: [],
    Meta: {},
    Address: "",
    Port: 1,
    TaggedAddresses: {},
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
  };
  await store.txn([{ op: "set", kind: "service", key: `n/${name}`, value }]);
}

async function federation(extra: Partial<ConnectCaDeps> = {}) {
  const primaryStore = createMemoryStore();
  const primary = authority(primaryStore, "dc1", extra);
  await primary.start();
  const secondaryStore = createMemoryStore();
  const signIntermediate = (csr: string) => primary.handleSignIntermediate(csr, "dc2");
  const secondary = authority(secondaryStore, "dc2", { ...extra, signIntermediate });
  await secondary.start();
  return { primary, primaryStore, secondary, secondaryStore, signIntermediate };
}

test("the primary makes cluster id and root once and keeps them over a restart", async () => {
  const store = createMemoryStore();
  const first = authority(store, "dc1");
  await first.start();
  const leaf = await first.leaf("web");
  const { index } = store;
  first.close();
  const second = authority(store, "dc1");
  await second.start();
  assert.deepEqual(second.roots(), first.roots());
  assert.deepEqual(await second.leaf("web"), leaf);
  assert.equal(store.index, index);
  assert.equal(second.roots().filter(({ Active }) => Active).length, 1);
  assert.equal(leaf.Chain.length, 1);
  assert.ok(isIssuedBy(leaf.Chain[0]!, second.roots()[0]!.RootCert));
  assert.equal(
    new X509Certificate(leaf.Chain[0]!).subjectAltName,
    `URI:spiffe://${second.trustDomain()}/ns/default/dc/dc1/svc/web`,
  );
  second.close();
});

test("two processes on one store agree on one root", async () => {
  const store = createMemoryStore();
  const both = [authority(store, "dc1"), authority(store, "dc1")];
  await Promise.all(both.map((one) => one.start()));
  assert.equal(store.list("ca-root").length, 1);
  for (const one of both) one.close();
});

test("a secondary signs with its own intermediate, keeps it without the primary, and holds no root key", async () => {
  const { primary, primaryStore, secondary, secondaryStore } = await federation();
  const leaf = await secondary.leaf("web");
  assert.equal(leaf.Chain.length, 2);
  assert.ok(isIssuedBy(leaf.Chain[0]!, leaf.Chain[1]!));
  assert.ok(isIssuedBy(leaf.Chain[1]!, primary.roots()[0]!.RootCert));
  assert.equal(secondary.trustDomain(), primary.trustDomain());
  assert.equal(secondary.roots()[0]!.ID, primary.roots()[0]!.ID);
  assert.notEqual(secondary.roots()[0]!.SigningKeyID, primary.roots()[0]!.SigningKeyID);
  const rootKey = primaryStore.get("signer", "connect-root")!.value.PrivateKey;
  assert.equal(secondaryStore.get("signer", "connect-root"), undefined);
  for (const kind of ["signer", "leaf", "ca-root", "fact"] as const) {
    assert.ok(!JSON.stringify(secondaryStore.list(kind)).includes(rootKey.slice(30, 90)));
  }
  secondary.close();
  const alone = authority(secondaryStore, "dc2", { signIntermediate: () => Promise.reject(new Error("gone")) });
  await alone.start();
  assert.deepEqual(await alone.leaf("web"), leaf);
  assert.ok(isIssuedBy((await alone.leaf("db")).Chain[1]!, primary.roots()[0]!.RootCert));
  alone.close();
  primary.close();
});

test("a secondary waits for its primary and says so", async () => {
  const { primary } = await federation();
  const clock = manualClock();
  let failures = 0;
  let reachable = false;
  const secondary = authority(createMemoryStore(), "dc3", {
    clock,
    onError: () => (failures += 1),
    signIntermediate: (csr) =>
      reachable ? primary.handleSignIntermediate(csr, "dc3") : Promise.reject(new Error("away")),
  });
  const started = secondary.start();
  await until("first failure", () => failures === 1);
  assert.equal(secondary.ready, false);
  await assert.rejects(secondary.leaf("web"), { code: "unavailable", message: /no signing certificate yet/ });
  reachable = true;
  clock.turn(20_000);
  await started;
  assert.equal(secondary.ready, true);
  secondary.close();
  primary.close();
});

test("an answer that does not fit is refused", async () => {
  const { primary } = await federation();
  const stranger = await federation();
  const store = createMemoryStore();
  await store.txn([{ op: "set", kind: "fact", key: "cluster-id", value: { Value: "another" } }]);
  const cases: Record<string, NonNullable<ConnectCaDeps["signIntermediate"]>> = {
    "another trust domain": (csr) => primary.handleSignIntermediate(csr, "dc3"),
    "another root": async (csr) => ({
      ...(await primary.handleSignIntermediate(csr, "dc3")),
      roots: stranger.primary.roots(),
    }),
    "no chain": async () => ({ chain: [], roots: primary.roots() }),
  };
  for (const [name, signIntermediate] of Object.entries(cases)) {
    const errors: string[] = [];
    const clock = manualClock();
    const secondary = authority(store, "dc3", {
      clock,
      signIntermediate,
      onError: (error) => errors.push(error.message),
    });
    secondary.start().catch(() => {});
    await until(name, () => errors.length > 0);
    assert.equal(secondary.ready, false, name);
    secondary.close();
  }
});

test("only the primary signs intermediates, and only for other datacenters", async () => {
  const { primary, secondary } = await federation();
  await assert.rejects(secondary.handleSignIntermediate("", "dc3"), { code: "permission_denied" });
  for (const name of ["dc1", "DC2", "", "../dc2", "a".repeat(65)]) {
    await assert.rejects(primary.handleSignIntermediate("", name), { code: "invalid" }, name);
  }
  await assert.rejects(primary.handleSignIntermediate("junk", "dc2"), { code: "invalid" });
});

test("names that cannot stand in a SPIFFE ID get no leaf", async () => {
  const { primary } = await federation();
  for (const name of [
    "",
    "..",
    ".",
    "a/b",
    "a b",
    "a?b",
    "a#b",
    "%2e",
    "ä",
    "a\0",
    "a".repeat(3_000),
    "x\nURI:spiffe://y",
  ]) {
    await assert.rejects(primary.leaf(name), { code: "invalid" }, JSON.stringify(name));
  }
  for (const name of ["__proto__", "constructor", "a.b", "Web_1"]) {
    assert.equal((await primary.leaf(name)).Service, name);
  }
});

test("concurrent requests for one leaf make one", async () => {
  const { primary, primaryStore } = await federation();
  const heard: LeafRecord[] = [];
  const stop = primary.onLeaf((leaf) => heard.push(leaf));
  const leaves = await Promise.all(Array.from({ length: 20 }, () => primary.leaf("web")));
  assert.equal(new Set(leaves.map(({ SerialNumber }) => SerialNumber)).size, 1);
  assert.equal(heard.length, 1);
  assert.equal(primaryStore.list("leaf").length, 1);
  stop();
});

test("leaves are renewed between 60 % and 90 % of their life, those of nobody are dropped", async () => {
  const clock = manualClock();
  const store = createMemoryStore();
  const primary = authority(store, "dc1", { clock, random: () => 0.5 });
  await primary.start();
  await register(store, "web");
  const first = await primary.leaf("web");
  await primary.leaf("gone");
  clock.turn(3_600_000 * 0.6);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await primary.leaf("web")).SerialNumber, first.SerialNumber);
  for (let turned = 0; turned < 6; turned += 1) clock.turn(600_000 * 0.4);
  await until("renewal", () => store.get("leaf", "web")?.value.SerialNumber !== first.SerialNumber);
  await until("removal", () => store.get("leaf", "gone") === undefined);
  primary.close();
});

test("a leaf past its life at the start is made anew, and a failing store is tried again", async () => {
  const clock = manualClock();
  const store = createMemoryStore();
  let broken = false;
  const errors: string[] = [];
  const fragile: Store = new Proxy(store, {
    get: (target, name) =>
      name === "txn" && broken ? () => Promise.reject(new Error("disk full")) : Reflect.get(target, name, target),
  });
  const primary = authority(fragile, "dc1", { clock, onError: (error) => errors.push(error.message) });
  await primary.start();
  await register(store, "web");
  const first = await primary.leaf("web");
  broken = true;
  for (let turned = 0; turned < 8; turned += 1) clock.turn(600_000);
  await until("failure", () => errors.includes("disk full"));
  broken = false;
  clock.turn(3_000);
  await until("renewal", () => store.get("leaf", "web")?.value.SerialNumber !== first.SerialNumber);
  primary.close();
});

test("the intermediate is renewed at half its life and the leaves follow", async () => {
  const clock = manualClock();
  const { secondary, secondaryStore, primary } = await federation({ clock });
  await register(secondaryStore, "web");
  const before = await secondary.leaf("web");
  for (let turned = 0; turned < 31; turned += 1) clock.turn(590_000);
  await until(
    "new intermediate",
    () => secondaryStore.get("signer", "connect-intermediate")?.value.Chain[0] !== before.Chain[1],
  );
  await until("leaf under it", () => {
    clock.turn(1);
    const leaf = secondaryStore.get("leaf", "web")?.value;
    return leaf?.Chain[1] === secondaryStore.get("signer", "connect-intermediate")?.value.Chain[0];
  });
  assert.equal(
    new X509Certificate(before.Chain[1]!).verify(new X509Certificate(primary.roots()[0]!.RootCert).publicKey),
    true,
  );
  secondary.close();
  primary.close();
});

test("leaves of two datacenters shake hands over TLS 1.3, a stranger's does not", async (t) => {
  const { primary, secondary } = await federation();
  const roots = primary.roots().map(({ RootCert }) => RootCert);
  const socat = await primary.leaf("socat");
  const web = await secondary.leaf("web");
  const strange = await (await federation()).secondary.leaf("web");
  const server = createServer({
    key: socat.PrivateKey,
    cert: socat.Chain.join(""),
    ca: roots,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  });
  server.on("secureConnection", (socket) => socket.end(socket.getPeerX509Certificate()?.subjectAltName ?? ""));
  const refusals: Error[] = [];
  server.on("tlsClientError", (error) => refusals.push(error));
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const dial = (leaf: LeafRecord): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        port: (server.address() as AddressInfo).port,
        host: "127.0.0.1",
        key: leaf.PrivateKey,
        cert: leaf.Chain.join(""),
        ca: roots,
        checkServerIdentity: (_, peer) =>
          peer.subjectaltname === `URI:spiffe://${primary.trustDomain()}/ns/default/dc/dc1/svc/socat`
            ? undefined
            : new Error("other service"),
      });
      let text = "";
      socket.on("data", (bytes) => (text += bytes.toString()));
      socket.on("end", () => resolve(text));
      socket.on("error", reject);
    });
  assert.equal(await dial(web), `URI:spiffe://${primary.trustDomain()}/ns/default/dc/dc2/svc/web`);
  // In TLS 1.3 the client may see its handshake end before the server refuses it: what counts is that it gets nothing.
  assert.equal(await dial(strange).catch(() => ""), "");
  assert.equal(refusals.length, 1);
});

test("lifetimes must nest", () => {
  assert.throws(() => authority(createMemoryStore(), "dc1", { ttl: { ...ttl, intermediateTtlSeconds: 3_700 } }), {
    code: "invalid",
  });
});
