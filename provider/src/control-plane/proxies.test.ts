/** Proxies' resources follow the catalog: what a change concerns is computed anew, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EncodedResource, ProxySnapshot, ResourceSet, SidecarSnapshot } from "../model/proxy-snapshot.ts";
import type { CheckRecord, ImportedServiceRecord, LeafRecord, ServiceRecord } from "../model/records.ts";
import { createMemoryStore } from "../store/memory.ts";
import { createCatalogIndex } from "./catalog-index.ts";
import { createDenials } from "./denials.ts";
import { createProxies } from "./proxies.ts";

const leaf: LeafRecord = {
  Service: "",
  SerialNumber: "1",
  Chain: ["chain"],
  PrivateKey: "key",
  RootID: "r",
  NotBefore: "",
  NotAfter: "",
};

function instance(fields: Partial<ServiceRecord> & Pick<ServiceRecord, "ID" | "Kind">): ServiceRecord {
  return {
    Node: "n",
    Service: fields.ID,
    Tags: [],
    Meta: {},
    Address: "127.1.1.1",
    Port: 20_000,
    TaggedAddresses: {},
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    ...fields,
  };
}

function sidecar(
  service: string,
  upstreams: readonly { service: string; datacenter?: string; port: number }[] = [],
): ServiceRecord {
  return instance({
    ID: `${service}-sidecar-proxy`,
    Kind: "connect-proxy",
    SidecarOf: service,
    Proxy: {
      DestinationServiceName: service,
      LocalServicePort: 80,
      Upstreams: upstreams.map((one) => ({
        DestinationType: "service",
        DestinationName: one.service,
        LocalBindPort: one.port,
        ...(one.datacenter ? { Datacenter: one.datacenter } : {}),
      })),
    },
  });
}

function check(id: string, service: string, status: CheckRecord["Status"]): CheckRecord {
  return {
    Node: "n",
    CheckID: id,
    Name: id,
    Status: status,
    Notes: "",
    Output: "",
    ServiceID: service,
    ServiceName: service,
    Type: "tcp",
    Definition: {},
  };
}

function remoteGateway(datacenter: string, address: string): ImportedServiceRecord {
  const gateway = instance({
    ID: "gw",
    Kind: "mesh-gateway",
    TaggedAddresses: { wan: { Address: address, Port: 8443 } },
  });
  return {
    Datacenter: datacenter,
    Service: "gw",
    Kind: "mesh-gateway",
    Instances: [{ Service: gateway, Status: "passing" }],
  };
}

/** A set with one resource whose version is the snapshot itself. */
function asSet(snapshot: ProxySnapshot): ResourceSet {
  const version = JSON.stringify(snapshot);
  const resource: EncodedResource = { typeUrl: "t", name: "all", version, bytes: new Uint8Array() };
  return new Map([["t", new Map([["all", resource]])]]);
}

async function world() {
  const store = createMemoryStore();
  const index = createCatalogIndex(store, "n");
  const proxies = createProxies(
    {
      store,
      index,
      datacenter: "dc2",
      trustDomain: () => "td.consul",
      defaultPolicy: "deny",
      centralConfig: true,
      leaf: (service) => store.get("leaf", service)?.value,
      denials: createDenials(store, (error) => assert.fail(String(error))),
    },
    asSet,
    (_proxy, error) => assert.fail(String(error)),
  );
  store.subscribe((commit) => proxies.apply(commit));
  const put = (kind: never, key: string, value: unknown) =>
    store.txn([{ op: "set", kind, key, value: value as never }]);
  const root = { ID: "r", RootCert: "root" };
  await put("ca-root" as never, "r", root);
  const addSidecar = async (record: ServiceRecord) => {
    await put("leaf" as never, record.SidecarOf ?? "", leaf);
    await put("service" as never, `n/${record.ID}`, record);
  };
  const snapshot = (proxyId: string): SidecarSnapshot =>
    JSON.parse(proxies.resources.resources(proxyId)?.get("t")?.get("all")?.version ?? "null");
  return { store, proxies, put, addSidecar, snapshot };
}

test("a change costs the proxies it concerns and no other", async () => {
  const { proxies, put, addSidecar } = await world();
  const told: string[] = [];
  for (const name of ["a", "b", "c"]) {
    await addSidecar(sidecar(name, name === "a" ? [{ service: "b", port: 5000 }] : []));
    proxies.resources.subscribe(`${name}-sidecar-proxy`, () => told.push(name));
  }
  told.length = 0;
  await put("config-entry" as never, "service-intentions/c", {
    Kind: "service-intentions",
    Name: "c",
    Sources: [{ Name: "a", Action: "allow" }],
  });
  assert.deepEqual(told, ["c"]);
  told.length = 0;
  await put("check" as never, "n/x", check("x", "b", "critical"));
  assert.deepEqual(told, ["a"]);
  told.length = 0;
  await put("config-entry" as never, "service-intentions/*", {
    Kind: "service-intentions",
    Name: "*",
    Sources: [{ Name: "z", Action: "allow" }],
  });
  assert.deepEqual(told.sort(), ["a", "b", "c"]);
});

test("a proxy gets resources once it is registered and has a certificate, and keeps the last good set", async () => {
  const { store, proxies, put, snapshot } = await world();
  let told = 0;
  proxies.resources.subscribe("web-sidecar-proxy", () => told++);
  assert.equal(proxies.resources.resources("web-sidecar-proxy"), undefined);
  await put("service" as never, "n/web-sidecar-proxy", sidecar("web"));
  assert.equal(told, 0);
  assert.match(proxies.warnings("web-sidecar-proxy").join(), /waiting for a certificate/);
  await put("leaf" as never, "web", leaf);
  assert.equal(told, 1);
  assert.equal(snapshot("web-sidecar-proxy").leaf.chain, "chain");
  await store.txn([{ op: "delete", kind: "leaf", key: "web" }]);
  assert.equal(told, 1);
  assert.ok(proxies.resources.resources("web-sidecar-proxy"));
});

test("modes choose the endpoints of an upstream in another datacenter", async () => {
  const { put, addSidecar, snapshot, proxies } = await world();
  const backend = {
    ...sidecar("socat"),
    Address: "127.9.1.1",
    TaggedAddresses: { wan: { Address: "127.9.9.9", Port: 20_000 } },
  };
  const imported = (status: string): unknown => ({
    Datacenter: "dc1",
    Service: "socat",
    Kind: "",
    Instances: [{ Service: backend, Status: status }],
  });
  await put("imported-service" as never, "dc1/socat", imported("passing"));
  await addSidecar(sidecar("web", [{ service: "socat", datacenter: "dc1", port: 8181 }]));
  proxies.resources.subscribe("web-sidecar-proxy", () => {});
  const endpoints = () => snapshot("web-sidecar-proxy").upstreams[0]?.endpoints;
  const setMode = (mode: string) =>
    put("config-entry" as never, "proxy-defaults/global", {
      Kind: "proxy-defaults",
      Name: "global",
      MeshGateway: { Mode: mode },
    });
  assert.deepEqual(endpoints(), [{ address: "127.9.9.9", port: 20_000, healthy: true }]);
  await setMode("local");
  assert.deepEqual(endpoints(), []);
  assert.match(proxies.warnings("web-sidecar-proxy").join(), /mode "local" and datacenter "dc2" has no mesh gateway/);
  await put(
    "service" as never,
    "n/gw",
    instance({ ID: "gw", Kind: "mesh-gateway", TaggedAddresses: { lan: { Address: "127.2.0.9", Port: 8443 } } }),
  );
  assert.deepEqual(endpoints(), [{ address: "127.2.0.9", port: 8443, healthy: true }]);
  await put("check" as never, "n/gwc", check("gwc", "gw", "critical"));
  assert.deepEqual(endpoints(), [{ address: "127.2.0.9", port: 8443, healthy: false }]);
  await setMode("remote");
  await put("imported-service" as never, "dc1/gw", remoteGateway("dc1", "127.9.0.7"));
  assert.deepEqual(endpoints(), [{ address: "127.9.0.7", port: 8443, healthy: true }]);
  await put("imported-service" as never, "dc1/socat", imported("critical"));
  assert.deepEqual(endpoints(), [{ address: "127.9.0.7", port: 8443, healthy: false }]);
});

test("checks of the service reach its sidecar's health target", async () => {
  const { put, addSidecar, proxies } = await world();
  await addSidecar(sidecar("web"));
  let told = 0;
  proxies.health.subscribe("web-sidecar-proxy", () => told++);
  const definition = { TCP: "127.0.0.1:80", Interval: "1s", Timeout: "200ms" };
  await put("check" as never, "n/c", { ...check("c", "web", "critical"), Definition: definition });
  assert.equal(told, 1);
  assert.deepEqual(proxies.health.checks("web-sidecar-proxy"), [
    { checkId: "c", address: "127.0.0.1", port: 80, intervalMs: 1000, timeoutMs: 200 },
  ]);
});

test("one proxy that cannot be computed or told keeps no other from its resources", async () => {
  const store = createMemoryStore();
  const index = createCatalogIndex(store, "n");
  const failures: string[] = [];
  const proxies = createProxies(
    {
      store,
      index,
      datacenter: "dc1",
      trustDomain: () => "td.consul",
      defaultPolicy: "deny",
      centralConfig: true,
      denials: () => 0,
      leaf: (service) => ({ ...leaf, Service: service }),
    },
    (snapshot) => {
      if (snapshot.proxyId === "bad-sidecar-proxy") throw new Error("cannot");
      return asSet(snapshot);
    },
    (proxyId, error) => failures.push(`${proxyId}: ${error instanceof Error ? error.message : ""}`),
  );
  store.subscribe((commit) => proxies.apply(commit));
  const told: string[] = [];
  proxies.resources.subscribe("bad-sidecar-proxy", () => told.push("bad"));
  proxies.resources.subscribe("deaf-sidecar-proxy", () => {
    throw new Error("deaf");
  });
  proxies.resources.subscribe("good-sidecar-proxy", () => told.push("good"));
  await store.txn([
    { op: "set", kind: "ca-root", key: "r", value: { ID: "r", RootCert: "root" } as never },
    ...["bad", "deaf", "good"].map((name) => ({
      op: "set" as const,
      kind: "service" as const,
      key: `n/${name}-sidecar-proxy`,
      value: sidecar(name),
    })),
  ]);
  assert.deepEqual(told, ["good"]);
  assert.deepEqual(failures.sort(), ["bad-sidecar-proxy: cannot", "deaf-sidecar-proxy: deaf"]);
  assert.match(proxies.warnings("bad-sidecar-proxy").join(), /cannot be made: cannot/);
});

test("checks of another node's service of the same id do not count", async () => {
  const { put, addSidecar, proxies, snapshot } = await world();
  await addSidecar(sidecar("b"));
  await addSidecar(sidecar("a", [{ service: "b", port: 5000 }]));
  proxies.resources.subscribe("a-sidecar-proxy", () => {});
  const healthy = () => snapshot("a-sidecar-proxy").upstreams[0]?.endpoints[0]?.healthy;
  await put("check" as never, "elsewhere/x", { ...check("x", "b", "critical"), Node: "elsewhere" });
  assert.equal(healthy(), true);
  await put("check" as never, "n/x", check("x", "b", "critical"));
  assert.equal(healthy(), false);
});
