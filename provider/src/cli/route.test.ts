/** The way of an echo through the two-datacenter example and what is said when there is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { UnitId } from "../runtime/runtime.ts";
import type { AgentService } from "./mesh-view.ts";
import { findRoute } from "./route.ts";

const unit = (datacenter: string, role: UnitId["role"], name: string): UnitId => ({
  mesh: "m",
  datacenter,
  role,
  name,
});

const UNITS = [
  unit("dc1", "control-plane", "dc1"),
  unit("dc1", "mesh-gateway", "gateway-primary"),
  unit("dc1", "service", "socat"),
  unit("dc2", "control-plane", "dc2"),
  unit("dc2", "mesh-gateway", "gateway-secondary"),
  unit("dc2", "service", "web"),
];

const sidecar = (service: string, upstreams: NonNullable<AgentService["Proxy"]>["Upstreams"] = []): AgentService => ({
  ID: `${service}-sidecar-proxy`,
  Service: `${service}-sidecar-proxy`,
  Kind: "connect-proxy",
  Proxy: { DestinationServiceName: service, Upstreams: upstreams },
});

const SERVICES = new Map<string, readonly AgentService[]>([
  ["dc1", [{ ID: "socat", Service: "socat" }, sidecar("socat")]],
  ["dc2", [sidecar("web", [{ DestinationName: "socat", Datacenter: "dc1", LocalBindPort: 8181 }])]],
]);

test("the route passes both sidecars and both gateways in order", () => {
  for (const request of [{ from: "web" }, { from: "web", to: "socat" }]) {
    const route = findRoute(request, SERVICES, UNITS);
    assert.equal(route.localPort, 8181);
    assert.deepEqual(
      route.hops.map((hop) => hop.label),
      ["sidecar web (dc2)", "gateway gateway-secondary (dc2)", "gateway gateway-primary (dc1)", "sidecar socat (dc1)"],
    );
  }
});

test("within one datacenter no gateway is passed", () => {
  const services = new Map([["dc1", [sidecar("web", [{ DestinationName: "socat", LocalBindPort: 1 }])]]]);
  const route = findRoute({ from: "web" }, services, [unit("dc1", "service", "web"), ...UNITS]);
  assert.deepEqual(
    route.hops.map((hop) => hop.label),
    ["sidecar web (dc1)", "sidecar socat (dc1)"],
  );
});

test("what is missing is named with what there is", () => {
  assert.throws(() => findRoute({ from: "web", to: "db" }, SERVICES, UNITS), /no upstream "db"; there is web -> socat/);
  assert.throws(() => findRoute({ from: "api" }, new Map(), UNITS), /no service has one/);
  assert.throws(() => findRoute({ from: "web" }, SERVICES, []), /no unit of it runs here/);
});
