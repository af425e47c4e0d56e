/** What is published of a catalog, and what a message may change: the pure parts, in tables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../model/digest.ts";
import type { CheckRecord, ServiceRecord } from "../model/records.ts";
import { pauseMs } from "./backoff.ts";
import { exportsOf } from "./exports.ts";
import type { RecordsMessage } from "./protocol.ts";
import { changesFromPrimary, changesFromSecondary } from "./replica.ts";

const service = (id: string, extra: Partial<ServiceRecord> = {}): ServiceRecord => ({
  Node: "n",
  ID: id,
  Service: id,
  Kind: "",
  Tags: [],
  Meta: {},
  Address: "",
  Port: 1,
  TaggedAddresses: {},
  Weights: { Passing: 1, Warning: 1 },
  EnableTagOverride: false,
  ...extra,
});
const proxied = { DestinationServiceName: "web", DestinationServiceID: "web" };
const sidecar = service("web-sidecar-proxy", {
  Kind: "connect-proxy",
  TokenAccessor: "accessor",
  SidecarOf: "web",
  Proxy: { ...proxied, Upstreams: [{ DestinationType: "service", DestinationName: "db", LocalBindPort: 1 }] },
});
const check = (ServiceID: string, Status: CheckRecord["Status"], Node = "n"): CheckRecord => ({
  Node,
  CheckID: `${ServiceID}-${Status}`,
  Name: "",
  Status,
  Notes: "",
  Output: "",
  ServiceID,
  ServiceName: "",
  Type: "ttl",
  Definition: {},
});
const nodes = [{ Node: "n", ID: "", Address: "127.1.0.1", Datacenter: "dc2" }];

test("a service appears with its sidecars under its own name, without what is private", () => {
  const made = exportsOf({ nodes, services: [service("web"), sidecar, service("plain")], checks: [] }, "dc2");
  assert.deepEqual(
    made.map((record) => [record.Datacenter, record.Service, record.Kind]),
    [["dc2", "web", "connect-proxy"]],
  );
  const instance = made[0]!.Instances[0]!.Service;
  assert.equal(instance.Address, "127.1.0.1");
  assert.deepEqual(instance.Proxy, proxied);
  assert.ok(!("TokenAccessor" in instance) && !("SidecarOf" in instance));
});

test("an instance is as healthy as the worst of its own, its service's and its node's checks", () => {
  const cases: readonly (readonly [readonly CheckRecord[], string])[] = [
    [[], "passing"],
    [[check("web", "passing")], "passing"],
    [[check("web", "warning")], "warning"],
    [[check("web", "critical"), check("web-sidecar-proxy", "warning")], "critical"],
    [[check("web-sidecar-proxy", "critical")], "critical"],
    [[check("", "warning")], "warning"],
    [[check("", "critical", "other"), check("db", "critical")], "passing"],
  ];
  for (const [checks, expected] of cases) {
    assert.equal(exportsOf({ nodes, services: [sidecar], checks }, "dc2")[0]!.Instances[0]!.Status, expected);
  }
});

test("gateways appear with all their addresses; odd names are names like others", () => {
  const TaggedAddresses = { lan: { Address: "a", Port: 1 }, wan: { Address: "b", Port: 2 } };
  const gateway = service("gw", { Kind: "mesh-gateway", TaggedAddresses });
  const odd = service("odd", { Kind: "connect-proxy", Proxy: { DestinationServiceName: "__proto__" } });
  const made = exportsOf({ nodes, services: [gateway, odd], checks: [] }, "dc2");
  assert.deepEqual(
    made.map((record) => record.Service),
    ["__proto__", "gw"],
  );
  assert.deepEqual(made[1]!.Instances[0]!.Service.TaggedAddresses, TaggedAddresses);
});

test("order in the catalog does not change the exports", () => {
  const services = [
    sidecar,
    service("web-2", { Kind: "connect-proxy", Proxy: proxied }),
    service("gw", { Kind: "mesh-gateway" }),
  ];
  const one = exportsOf({ nodes, services, checks: [] }, "dc2");
  assert.deepEqual(exportsOf({ nodes, services: services.toReversed(), checks: [] }, "dc2"), one);
  assert.equal(digestOf({ a: 1, b: [{ d: 1, c: 2 }] }).digest, digestOf({ b: [{ c: 2, d: 1 }], a: 1 }).digest);
});

const message = (set: RecordsMessage["set"], deleted: RecordsMessage["deleted"] = []): RecordsMessage => ({
  type: "records",
  set,
  deleted,
  complete: true,
  index: 1,
});

test("a secondary can publish its own services and nothing else", () => {
  const value = { ...exportsOf({ nodes, services: [sidecar], checks: [] }, "dc2")[0]! };
  const kind = "imported-service";
  assert.equal(
    changesFromSecondary(message([{ kind, key: "dc2/web", value }], [{ kind, key: "dc2/db" }]), "dc2").length,
    2,
  );
  const bad: readonly (readonly [RecordsMessage, string])[] = [
    [message([{ kind: "acl-token", key: "x", value: {} }]), "permission_denied"],
    [message([{ kind, key: "dc3/web", value }]), "permission_denied"],
    [message([{ kind, key: "dc2/other", value }]), "permission_denied"],
    [message([{ kind, key: "dc2/web", value: { ...value, Datacenter: "dc3" } }]), "permission_denied"],
    [message([], [{ kind, key: "dc3/web" }]), "permission_denied"],
    [message([], [{ kind: "config-entry", key: "dc2/web" }]), "permission_denied"],
    [message([{ kind, key: "dc2/web", value: { ...value, Instances: [{}] } }]), "invalid"],
    [message([{ kind, key: "dc2/web", value: { ...value, Instances: "x" } }]), "invalid"],
  ];
  for (const [one, code] of bad) assert.throws(() => changesFromSecondary(one, "dc2"), { name: "MeshError", code });
});

test("a primary cannot overwrite what is a secondary's own", () => {
  const record = { kind: "imported-service", key: "dc2/web" } as const;
  assert.throws(() => changesFromPrimary(message([], [record]), "dc2", undefined), { code: "conflict" });
  const state = { ClusterId: "c", Epoch: 1, Index: 9 };
  assert.deepEqual(changesFromPrimary(message([]), "dc2", state), [
    { op: "set", kind: "fact", key: "replication", value: { Value: JSON.stringify(state) } },
  ]);
});

test("pauses double from 50 ms to 2 s, with up to half taken off", () => {
  assert.deepEqual(
    [1, 2, 3, 6, 7, 50].map((failures) => pauseMs(failures, 0)),
    [50, 100, 200, 1_600, 2_000, 2_000],
  );
  assert.equal(pauseMs(1, 0.999), 50 * 0.5005);
});
