import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ResourceSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { EncodedResource, MeshGatewaySnapshot, ResourceSet, SidecarSnapshot } from "../model/proxy-snapshot.ts";
import { resourceSet, resourcesFromSnapshot } from "./resource-set.ts";
import { resourceTypes } from "./resource-types.ts";

const trustDomain = "11111111-2222-3333-4444-555555555555.consul";

const upstream = {
  service: "socat",
  datacenter: "dc1",
  bindAddress: "127.0.0.1",
  bindPort: 8181,
  protocol: "tcp",
  connectTimeoutMs: 5000,
  denials: 0,
  endpoints: [{ address: "10.0.0.2", port: 8443, healthy: true }],
} as const;

const sidecar: SidecarSnapshot = {
  kind: "connect-proxy",
  proxyId: "web-sidecar-proxy",
  service: "web",
  datacenter: "dc2",
  trustDomain,
  publicListener: { address: "127.2.0.3", port: 20000 },
  localApp: { address: "127.0.0.1", port: 8080, connectTimeoutMs: 5000 },
  leaf: { chain: "CHAIN", privateKey: "KEY" },
  roots: ["ROOT"],
  callers: { named: [], others: "deny" },
  upstreams: [upstream],
  checks: [],
};

const gateway: MeshGatewaySnapshot = {
  kind: "mesh-gateway",
  proxyId: "gateway",
  datacenter: "dc1",
  trustDomain,
  listeners: [{ name: "default", address: "127.1.0.2", port: 8443 }],
  connectTimeoutMs: 5000,
  services: [{ service: "socat", endpoints: upstream.endpoints }],
  remotes: [{ datacenter: "dc2", endpoints: [] }],
  checks: [],
};

/** `Cluster local_app` and so on. */
function names(set: ResourceSet): readonly string[] {
  return all(set).map(label);
}

function all(set: ResourceSet): readonly EncodedResource[] {
  return [...set.values()].flatMap((ofType) => [...ofType.values()]);
}

function label({ typeUrl, name }: EncodedResource): string {
  return `${typeUrl.slice(typeUrl.lastIndexOf(".") + 1)} ${name}`;
}

/** What differs as objects between a set and the one made after it. */
function renewed(before: ResourceSet, after: ResourceSet): readonly string[] {
  return all(after)
    .filter((one) => before.get(one.typeUrl)?.get(one.name) !== one)
    .map(label);
}

test("equal snapshots give equal bytes, whatever came before", () => {
  const one = resourceSet(sidecar);
  const two = resourceSet(structuredClone(sidecar), resourceSet({ ...sidecar, roots: ["OTHER"] }));
  assert.deepEqual(all(one), all(two));
});

test("an encoded resource carries its name, version and message", () => {
  for (const resource of all(resourceSet(sidecar))) {
    const decoded = fromBinary(ResourceSchema, resource.bytes);
    assert.equal(decoded.name, resource.name);
    assert.equal(decoded.version, resource.version);
    assert.equal(decoded.resource?.typeUrl, resource.typeUrl);
  }
});

test("the messages are those of the set", () => {
  const labels = resourcesFromSnapshot(sidecar).map(({ typeUrl, name }) => `${typeUrl} ${name}`);
  assert.deepEqual(
    labels,
    all(resourceSet(sidecar)).map(({ typeUrl, name }) => `${typeUrl} ${name}`),
  );
});

test("a sidecar's resources", () => {
  const sni = `socat.default.dc1.internal.${trustDomain}`;
  assert.deepEqual(names(resourceSet(sidecar)), [
    "Cluster local_app",
    `Cluster ${sni}`,
    `ClusterLoadAssignment ${sni}`,
    "Listener public_listener:127.2.0.3:20000",
    "Listener socat:127.0.0.1:8181",
    "TypedExtensionConfig intentions",
    "Secret callers",
    `Secret destination:${sni}`,
    "Secret leaf",
  ]);
});

test("a gateway holds no secret and no extension, and every type is there", () => {
  const set = resourceSet(gateway);
  assert.deepEqual(
    [...set.keys()],
    resourceTypes.map((type) => type.typeUrl),
  );
  assert.deepEqual(names(set), [
    `Cluster dc2.internal.${trustDomain}`,
    `Cluster socat.default.dc1.internal.${trustDomain}`,
    `ClusterLoadAssignment dc2.internal.${trustDomain}`,
    `ClusterLoadAssignment socat.default.dc1.internal.${trustDomain}`,
    "Listener default:127.1.0.2:8443",
  ]);
});

const sni = `socat.default.dc1.internal.${trustDomain}`;
const changes: readonly { what: string; to: SidecarSnapshot; renews: readonly string[] }[] = [
  { what: "nothing", to: structuredClone(sidecar), renews: [] },
  {
    what: "an endpoint",
    to: { ...sidecar, upstreams: [{ ...upstream, endpoints: [] }] },
    renews: [`ClusterLoadAssignment ${sni}`],
  },
  {
    what: "a denial of the pair: its listener, whose chain is named anew",
    to: { ...sidecar, upstreams: [{ ...upstream, denials: 1 }] },
    renews: ["Listener socat:127.0.0.1:8181"],
  },
  { what: "the leaf", to: { ...sidecar, leaf: { chain: "NEW", privateKey: "NEW" } }, renews: ["Secret leaf"] },
  {
    what: "the roots",
    to: { ...sidecar, roots: ["ROOT", "NEXT"] },
    renews: ["Secret callers", `Secret destination:${sni}`],
  },
  {
    what: "an intention: identities and rules, not the listener, so that no open connection ends",
    to: { ...sidecar, callers: { named: [{ service: "api", allow: true }], others: "deny" } },
    renews: ["TypedExtensionConfig intentions", "Secret callers"],
  },
  { what: "the checks, which are not resources", to: { ...sidecar, checks: [] }, renews: [] },
];
for (const { what, to, renews } of changes) {
  test(`a change of ${what}`, () => {
    const before = resourceSet(sidecar);
    const after = resourceSet(to, before);
    assert.deepEqual(renewed(before, after), renews);
    assert.deepEqual(all(after), all(resourceSet(to)), "reuse changed the bytes");
  });
}

test("two upstreams to one destination have a cluster each", () => {
  const second = { ...upstream, bindPort: 8182, endpoints: [] };
  const set = resourceSet({ ...sidecar, upstreams: [upstream, second] });
  assert.deepEqual(
    names(set).filter((name) => name.startsWith("Cluster ")),
    [`Cluster 127.0.0.1:8182~${sni}`, "Cluster local_app", `Cluster ${sni}`],
  );
});

test("two listeners at one place are an error that says so", () => {
  assert.throws(() => resourceSet({ ...sidecar, upstreams: [upstream, upstream] }), /share an address and port/);
});
