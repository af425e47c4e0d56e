/** What each schema accepts, fills in and refuses, and how it says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aclPolicySchema,
  aclTokenSchema,
  checkSpec,
  datacenterSchema,
  intentionSchema,
  meshGatewaySpecSchema,
  proxyDefaultsSchema,
  serviceDefaultsSchema,
  serviceRegistrationSchema,
  unknownValue,
} from "./index.ts";

const owner = { project: "p", stack: "s", resource: "r", mesh: "0123abcd" };
const upstream = { destinationName: "socat", datacenter: "dc1", localBindPort: 8181 };
const service = (sidecarService: object, more: object = {}) => ({
  datacenter: "dc2",
  name: "web",
  port: 8080,
  connect: { sidecarService },
  owner,
  ...more,
});
const dc = (more: object = {}) => ({ name: "dc1", primaryDatacenter: "dc1", owner, ...more });

const accepted: readonly [string, Parameters<typeof checkSpec>[0], Record<string, unknown>, object][] = [
  [
    "datacenter defaults",
    datacenterSchema,
    dc(),
    {
      ports: { https: 8501, grpcTls: 8503, server: 8300 },
      acl: { enabled: true, defaultPolicy: "deny" },
      ca: { leafTtl: "72h", intermediateTtl: "8760h", rootTtl: "87600h" },
      connect: { enabled: true },
      enableCentralServiceConfig: true,
      runtime: "auto",
      network: "isolated",
    },
  ],
  ["the engine's own property", datacenterSchema, { ...dc(), __provider: "text" }, { name: "dc1" }],
  [
    "gateway defaults",
    meshGatewaySpecSchema,
    { datacenter: "dc1", name: "g", owner },
    { port: 8443, config: {}, meta: {} },
  ],
  [
    "opaque gateway options",
    meshGatewaySpecSchema,
    { datacenter: "dc1", name: "g", config: { envoy_gateway_no_default_bind: true }, owner },
    {
      config: { envoy_gateway_no_default_bind: true },
    },
  ],
  [
    "empty sidecar",
    serviceRegistrationSchema,
    service({}),
    {
      connect: { sidecarService: { port: 20000, proxy: { upstreams: [], config: {} } } },
    },
  ],
  [
    "upstream defaults",
    serviceRegistrationSchema,
    service({ proxy: { upstreams: [upstream] } }),
    {
      connect: {
        sidecarService: {
          port: 20000,
          proxy: {
            upstreams: [{ ...upstream, destinationType: "service", destinationNamespace: "default", config: {} }],
            config: {},
          },
        },
      },
    },
  ],
  [
    "proxy defaults",
    proxyDefaultsSchema,
    { datacenter: "dc1", meshGateway: { mode: "local" }, owner },
    { name: "global" },
  ],
  [
    "wildcards",
    intentionSchema,
    { datacenter: "dc1", source: "*", destination: "*", action: "deny", owner },
    { description: "" },
  ],
  [
    "token",
    aclTokenSchema,
    { datacenter: "dc1", policies: ["readers"], owner },
    { local: false, serviceIdentities: [] },
  ],
];

for (const [name, schema, given, expected] of accepted) {
  test(`accepted: ${name}`, () => {
    const result = checkSpec(schema, given);
    assert.deepEqual(result.failures, []);
    assert.partialDeepStrictEqual(result.inputs, expected);
    assert.equal("__provider" in result.inputs, false);
  });
}

const refused: readonly [string, Parameters<typeof checkSpec>[0], Record<string, unknown>, RegExp][] = [
  ["unknown property", datacenterSchema, dc({ prots: {} }), /^prots: unknown property; known are name, .*ports/],
  [
    "unknown nested property",
    datacenterSchema,
    dc({ ports: { http: 1 } }),
    /^ports\.http: unknown property; known are https/,
  ],
  [
    "wrong type",
    datacenterSchema,
    dc({ enableCentralServiceConfig: "yes" }),
    /^enableCentralServiceConfig: expected boolean/,
  ],
  ["missing", intentionSchema, { datacenter: "dc1", source: "a", destination: "b", owner }, /^action: is missing/],
  ["bad name", datacenterSchema, dc({ name: "DC_1" }), /^name: "DC_1" is no datacenter name; use 1 to 63/],
  [
    "port too large",
    serviceRegistrationSchema,
    service({ proxy: { upstreams: [{ ...upstream, localBindPort: 70000 }] } }),
    /^connect\.sidecarService\.proxy\.upstreams\[0\]\.localBindPort: 70000 is not in 1\.\.65535; choose a free port$/,
  ],
  [
    "port zero",
    meshGatewaySpecSchema,
    { datacenter: "dc1", name: "g", port: 0, owner },
    /^port: 0 is not in 1\.\.65535/,
  ],
  [
    "port as text",
    meshGatewaySpecSchema,
    { datacenter: "dc1", name: "g", port: "8443", owner },
    /^port: "8443" is not in/,
  ],
  [
    "mode as in the tutorial",
    proxyDefaultsSchema,
    { datacenter: "dc1", meshGateway: "local", owner },
    /^meshGateway: "local" is not an object; write \{ mode: "local" \}/,
  ],
  [
    "unknown mode",
    proxyDefaultsSchema,
    { datacenter: "dc1", meshGateway: { mode: "loca" }, owner },
    /^meshGateway\.mode: "loca" is no mesh gateway mode/,
  ],
  ["grpc off", datacenterSchema, dc({ ports: { grpcTls: -1 } }), /^ports\.grpcTls: is off, but proxies/],
  ["equal ports", datacenterSchema, dc({ ports: { https: 8300 } }), /^ports: 8300.*two of them are equal/],
  [
    "intermediate too short",
    datacenterSchema,
    dc({ ca: { intermediateTtl: "100h" } }),
    /^ca\.intermediateTtl: 100h is less than three times leafTtl/,
  ],
  [
    "no ACLs and deny",
    datacenterSchema,
    dc({ acl: { enabled: false } }),
    /^acl\.enabled: is false, so nobody could be allowed/,
  ],
  [
    "prepared query",
    serviceRegistrationSchema,
    service({ proxy: { upstreams: [{ ...upstream, destinationType: "prepared_query" }] } }),
    /destinationType: prepared queries are not supported/,
  ],
  [
    "namespace",
    serviceRegistrationSchema,
    service({ proxy: { upstreams: [{ ...upstream, destinationNamespace: "team" }] } }),
    /destinationNamespace: "team" is no namespace here/,
  ],
  [
    "same local port twice",
    serviceRegistrationSchema,
    service({ proxy: { upstreams: [upstream, { ...upstream, destinationName: "db" }] } }),
    /upstreams\[1\]\.localBindPort: 8181 is taken by upstreams\[0\]/,
  ],
  [
    "own port as upstream port",
    serviceRegistrationSchema,
    service({ proxy: { upstreams: [{ ...upstream, localBindPort: 8080 }] } }),
    /localBindPort: 8080 is the service's own port/,
  ],
  [
    "command and image",
    serviceRegistrationSchema,
    service({}, { run: { command: "node", image: "x" } }),
    /^run: give either command or image/,
  ],
  [
    "file outside",
    serviceRegistrationSchema,
    service({}, { run: { command: "node", files: { "../x": "" } } }),
    /^run\.files.*no relative path/,
  ],
  [
    "check without interval",
    serviceRegistrationSchema,
    service({}, { checks: [{ tcp: "localhost:1" }] }),
    /^checks\[0\]\.interval: is missing/,
  ],
  [
    "intention on itself",
    intentionSchema,
    { datacenter: "dc1", source: "web", destination: "web", action: "deny", owner },
    /^destination: "web" is the source too/,
  ],
  [
    "protocol",
    serviceDefaultsSchema,
    { datacenter: "dc1", name: "web", protocol: "http", owner },
    /^protocol: "http" is not supported/,
  ],
  ["empty rules", aclPolicySchema, { datacenter: "dc1", name: "p", rules: "", owner }, /^rules: is empty/],
  ["mesh id", datacenterSchema, dc({ owner: { ...owner, mesh: "XYZ" } }), /^owner\.mesh: "XYZ" is no mesh id/],
];

for (const [name, schema, given, reason] of refused) {
  test(`refused: ${name}`, () => {
    const { failures } = checkSpec(schema, given);
    assert.equal(failures.length, 1, JSON.stringify(failures));
    assert.match(failures[0]!.reason, reason);
    assert.ok(failures[0]!.reason.startsWith(failures[0]!.property));
  });
}

test("unknown values are tolerated wherever they are, and the rest is still checked", () => {
  for (const given of [
    service({}, { token: unknownValue }),
    service({}, { port: unknownValue }),
    service(unknownValue as never),
    service({ proxy: { upstreams: [{ ...upstream, localBindPort: unknownValue }] } }),
    service({}, { run: { command: "node", env: { A: unknownValue } } }),
    service({}, { tags: unknownValue }),
  ]) {
    const result = checkSpec(serviceRegistrationSchema, given);
    assert.deepEqual(result.failures, [], JSON.stringify(given));
    assert.equal(result.hasUnknowns, true);
    assert.equal(result.inputs["allowDirect"], false, "defaults are there all the same");
  }
  const { failures } = checkSpec(serviceRegistrationSchema, service({ port: 0 }, { token: unknownValue }));
  assert.equal(failures.length, 1);
});
