/** The resource classes under Pulumi's mocks: what goes to the engine, and that the closures capture nothing. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { unknownValue } from "../spec/index.ts";
import { AclPolicy } from "./acl-policy.ts";
import { AclToken } from "./acl-token.ts";
import { Datacenter } from "./datacenter.ts";
import { Intention } from "./intention.ts";
import { MeshGateway } from "./mesh-gateway.ts";
import { ProxyDefaults } from "./proxy-defaults.ts";
import { ServiceDefaults } from "./service-defaults.ts";
import { ServiceRegistration } from "./service-registration.ts";

const registered = new Map<string, { readonly type: string; readonly inputs: Record<string, unknown> }>();

before(async () => {
  pulumi.runtime.setAllConfig({ "isthmus:mesh": "0123abcd" });
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        registered.set(name, { type, inputs });
        return { id: `${name}-id`, state: inputs };
      },
      call: () => ({}),
    },
    "project",
    "stack",
  );
});

const value = <T>(output: pulumi.Output<T>): Promise<T> => new Promise((resolve) => output.apply(resolve));

test("references become names, owners are added, secrets stay secret, closures are small", async () => {
  const dc1 = new Datacenter("dc1", { primary: true });
  const dc2 = new Datacenter("second", { name: "dc2", primary: dc1, ports: { https: 9501 } });
  const all: pulumi.CustomResource[] = [
    dc1,
    dc2,
    new MeshGateway("gateway", { datacenter: dc2, token: "gateway secret" }),
    new ProxyDefaults("global", { datacenter: dc1, meshGateway: { mode: "local" } }),
    new AclToken("token", {
      datacenter: dc1,
      policies: [new AclPolicy("policy", { datacenter: "dc1", rules: "x" }), "other"],
    }),
  ];
  const socat = new ServiceRegistration("socat", { datacenter: dc1, port: 8181, connect: { sidecarService: {} } });
  const web = new ServiceRegistration("web", {
    datacenter: dc2,
    port: 8080,
    run: { command: "node", secretFiles: { key: "top" } },
    connect: { sidecarService: { proxy: { upstreams: [{ destinationName: socat, localBindPort: 8181 }] } } },
  });
  all.push(socat, web);
  all.push(
    new ServiceDefaults("web-defaults", {
      datacenter: dc1,
      name: web,
      upstreamConfig: { overrides: [{ name: socat }] },
    }),
  );
  all.push(new Intention("intention", { datacenter: dc1, source: web, destination: socat, action: "allow" }));
  for (const resource of all) await value(resource.id);

  const inputs = (name: string) => registered.get(name)!.inputs;
  const owner = { project: "project", stack: "stack", mesh: "0123abcd" };
  assert.partialDeepStrictEqual(inputs("second"), {
    name: "dc2",
    primaryDatacenter: "dc1",
    ports: { https: 9501 },
    owner: { ...owner, resource: "second" },
  });
  assert.equal("primary" in inputs("second"), false);
  assert.equal(inputs("gateway")["datacenter"], "dc2");
  assert.partialDeepStrictEqual(inputs("web"), {
    datacenter: "dc2",
    connect: {
      sidecarService: { proxy: { upstreams: [{ destinationName: "socat", datacenter: "dc1", localBindPort: 8181 }] } },
    },
  });
  assert.partialDeepStrictEqual(inputs("web-defaults"), {
    name: "web",
    upstreamConfig: { overrides: [{ name: "socat" }] },
  });
  assert.partialDeepStrictEqual(inputs("intention"), { source: "web", destination: "socat" });
  assert.deepEqual(inputs("token")["policies"], ["policy", "other"]);

  for (const [name, { type, inputs: given }] of registered) {
    if (type === "pulumi:pulumi:Stack") continue;
    assert.match(type, /^pulumi-nodejs:dynamic\/isthmus:[A-Z]/, name);
    const text = String(given["__provider"]);
    assert.ok(text.length < 3000, `${name}: ${text.length} characters`);
    assert.equal(text.match(/require\("@isthmus\/provider\/dynamic"\)/g)?.length, 6, name);
    assert.doesNotMatch(text, /zod|pulumi\/pulumi|global\.|Symbol|checkProgram/, name);
    assert.notEqual(given["datacenter"], unknownValue);
  }
});

test("policy packs can tell the classes apart", () => {
  assert.equal(Datacenter.__pulumiType, "pulumi-nodejs:dynamic/isthmus:Datacenter");
  assert.equal(Datacenter.isInstance({ __pulumiType: Datacenter.__pulumiType }), true);
  assert.equal(MeshGateway.isInstance({ __pulumiType: Datacenter.__pulumiType }), false);
  assert.equal(Intention.isInstance(undefined), false);
});

test("a primary that is not said, or said twice, is refused at once", () => {
  const make = Datacenter as unknown as new (name: string, args: object) => unknown;
  assert.throws(() => new make("x", {}), /x: primary is missing/);
  assert.throws(
    () => new make("x", { primary: "a", primaryDatacenter: "b" }),
    /primary is "a", but primaryDatacenter is "b"/,
  );
});
