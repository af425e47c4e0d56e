/** The whole-program rules, one table: a right federation and what is wrong when one thing of it changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkProgram, type Declared } from "./check-program.ts";

const dc = (name: string, more: object = {}): Declared => ({
  kind: "datacenter",
  resource: name,
  name,
  primaryDatacenter: "dc1",
  connect: true,
  centralConfig: true,
  network: "isolated",
  ...more,
});
const gateway = (datacenter: string, name = `gateway-${datacenter}`): Declared => ({
  kind: "mesh-gateway",
  resource: name,
  name,
  datacenter,
});
const socat: Declared = {
  kind: "service",
  resource: "socat",
  name: "socat",
  datacenter: "dc1",
  port: 8181,
  sidecar: true,
  upstreams: [],
};
const web = (more: object = {}, upstream: object = {}): Declared => ({
  kind: "service",
  resource: "web",
  name: "web",
  datacenter: "dc2",
  port: 8080,
  sidecar: true,
  upstreams: [{ service: "socat", datacenter: "dc1", bindPort: 8181, ...upstream }],
  ...more,
});
const defaults: Declared = { kind: "proxy-defaults", resource: "global", datacenter: "dc1", mode: "local" };
const intention = (source: string, destination: string): Declared => ({
  kind: "intention",
  resource: `${source}-${destination}`,
  datacenter: "dc1",
  source,
  destination,
});
const right = [dc("dc1"), dc("dc2"), defaults, gateway("dc1"), gateway("dc2"), socat, web(), intention("web", "socat")];
/** The right program with some declarations replaced or added by resource name, or removed. */
function but(...changes: readonly (Declared | string)[]): readonly Declared[] {
  const names = new Set(changes.map((one) => (typeof one === "string" ? one : one.resource)));
  return [...right.filter((one) => !names.has(one.resource)), ...changes.filter((one) => typeof one !== "string")];
}

const cases: readonly [string, readonly Declared[], readonly RegExp[]][] = [
  ["right", right, []],
  ["nothing", [], []],
  [
    "duplicate datacenter",
    but({ ...dc("again"), name: "dc2" } as Declared),
    [/^error again: datacenter "dc2" is declared by "dc2" already/],
  ],
  [
    "duplicate service",
    but({ ...socat, resource: "socat2" } as Declared),
    [/^error socat2: service "socat" in datacenter "dc1" is declared by "socat"/],
  ],
  ["same service elsewhere", but({ ...socat, resource: "socat2", datacenter: "dc2" } as Declared), []],
  [
    "duplicate gateway",
    but({ ...gateway("dc1"), resource: "g2" } as Declared),
    [/^error g2: mesh gateway "gateway-dc1"/],
  ],
  [
    "gateway named as a service",
    but(gateway("dc1", "socat"), { ...socat, resource: "s" } as Declared),
    [/^error socat: "socat" is the name of a service/],
  ],
  [
    "two primaries",
    but(dc("dc2", { primaryDatacenter: "dc2" })),
    [/^error dc2: "dc2" is a second primary beside "dc1"/],
  ],
  [
    "no primary",
    but(dc("dc1", { primaryDatacenter: "dc2" })),
    [/no datacenter is primary/, /^error dc1: "dc2" is not a primary/, /^error dc2: "dc1" is not a primary/],
  ],
  [
    "unknown primary",
    but(dc("dc2", { primaryDatacenter: "dc9" })),
    [/primary datacenter "dc9" is unknown; declared are/],
  ],
  ["gateway in an unknown datacenter", but(gateway("dc3")), [/^error gateway-dc3: datacenter "dc3" is unknown/]],
  [
    "upstream in an unknown datacenter",
    but(web({}, { datacenter: "dc3" })),
    [/^error web: upstreams\[0\]\.datacenter: "dc3" is unknown/],
  ],
  ["mode local, no own gateway", but("gateway-dc2"), [/mode "local" needs a mesh gateway in datacenter "dc2"/]],
  ["mode local, no gateway there", but("gateway-dc1"), [/mode "local" needs a mesh gateway in datacenter "dc1"/]],
  ["mode remote needs no own gateway", but("gateway-dc2", web({}, { mode: "remote" })), []],
  [
    "mode remote, no gateway there",
    but("gateway-dc1", web({}, { mode: "remote" })),
    [/mode "remote" needs a mesh gateway in datacenter "dc1"/],
  ],
  [
    "mode none, isolated",
    but("global"),
    [/mode "none" dials the other datacenter directly, but the network of "dc2", "dc1" is isolated/],
  ],
  ["mode none, routed", but("global", dc("dc1", { network: "routed" }), dc("dc2", { network: "routed" })), []],
  [
    "service defaults go before proxy defaults",
    but("gateway-dc2", {
      kind: "service-defaults",
      resource: "d",
      name: "web",
      datacenter: "dc1",
      mode: "remote",
      overrides: [],
    }),
    [],
  ],
  [
    "the proxy goes before service defaults",
    but("gateway-dc2", web({ mode: "local" }), {
      kind: "service-defaults",
      resource: "d",
      name: "web",
      datacenter: "dc1",
      mode: "remote",
      overrides: [],
    }),
    [/mode "local"/],
  ],
  [
    "overrides go before the proxy",
    but("gateway-dc2", web({ mode: "local" }), {
      kind: "service-defaults",
      resource: "d",
      name: "web",
      datacenter: "dc1",
      overrides: [{ service: "socat", mode: "remote" }],
    }),
    [],
  ],
  [
    "same local port twice",
    but(web({ upstreams: [1, 2].map(() => ({ service: "socat", datacenter: "dc1", bindPort: 9000 })) })),
    [/upstreams\[1\]\.localBindPort: 9000 is taken by upstreams\[0\]/],
  ],
  ["own port", but(web({}, { bindPort: 8080 })), [/8080 is the service's own port/]],
  [
    "unknown service",
    but(web({}, { service: "db" })),
    [/^warning web: upstreams\[0\]: no service "db" is declared in datacenter "dc1"/],
  ],
  ["intention on itself", but(intention("web", "web")), [/"web" is source and destination/]],
  ["wildcard intention", but(intention("*", "*")), []],
  [
    "connect off",
    but(dc("dc1", { connect: false })),
    [/^error socat: connect is disabled in datacenter "dc1"/, /^error gateway-dc1: connect is disabled/],
  ],
  [
    "central config off where it is written",
    but(dc("dc1", { centralConfig: false })),
    [/^error global: enableCentralServiceConfig is false in datacenter "dc1"/],
  ],
];

for (const [name, program, expected] of cases) {
  test(name, () => {
    const said = checkProgram(program).map((problem) => `${problem.severity} ${problem.message}`);
    assert.equal(said.length, expected.length, said.join("\n"));
    for (const pattern of expected)
      assert.ok(
        said.some((line) => pattern.test(line)),
        `${pattern} in\n${said.join("\n")}`,
      );
  });
}

test("only what later declarations cannot put right is final", () => {
  assert.deepEqual(
    checkProgram([dc("dc2")]).map((problem) => problem.final),
    [false],
  );
  assert.deepEqual(
    checkProgram([dc("dc1"), dc("dc1")]).map((problem) => problem.final),
    [true, true],
  );
});
