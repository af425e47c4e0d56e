/** The classes of the plugin under Pulumi's mocks: their types, and that nothing else differs from the dynamic ones. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import * as dynamic from "./index.ts";
import * as plugin from "./plugin.ts";

const registered: { readonly type: string; readonly name: string; readonly inputs: Record<string, unknown> }[] = [];

before(async () => {
  pulumi.runtime.setAllConfig({ "isthmus:mesh": "0123abcd" });
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        registered.push({ type, name, inputs });
        return { id: `${name}-id`, state: inputs };
      },
      call: () => ({}),
    },
    "project",
    "stack",
  );
});

const settled = (resource: pulumi.CustomResource) => new Promise((resolve) => resource.id.apply(resolve));

async function declareAll(mesh: typeof dynamic): Promise<void> {
  const dc1 = new mesh.Datacenter("dc1", { primary: true });
  const web = new mesh.ServiceRegistration("web", { datacenter: dc1, port: 80, token: "secret" });
  const policy = new mesh.AclPolicy("policy", { datacenter: dc1, rules: "x" });
  const all: readonly pulumi.CustomResource[] = [
    dc1,
    web,
    policy,
    new mesh.AclToken("token", { datacenter: dc1, policies: [policy] }),
    new mesh.MeshGateway("gateway", { datacenter: dc1 }),
    new mesh.ProxyDefaults("global", { datacenter: dc1 }),
    new mesh.ServiceDefaults("defaults", { datacenter: dc1, name: web }),
    new mesh.Intention("intention", { datacenter: dc1, source: web, destination: "*", action: "allow" }),
  ];
  for (const resource of all) await settled(resource);
}

test("same inputs but for the closure, another type", async () => {
  await declareAll(dynamic);
  const before = registered.splice(0);
  await declareAll(plugin);
  const types = (resources: typeof registered) => resources.map(({ type }) => type).sort();
  assert.deepEqual(
    types(registered),
    types(before).map((type) => type.replace("pulumi-nodejs:dynamic/isthmus:", "isthmus:index:")),
  );
  for (const { name, inputs } of before) {
    const { __provider: closure, ...rest } = inputs;
    assert.match(String(closure), /isthmus\/provider\/dynamic/);
    assert.deepEqual(registered.find((one) => one.name === name)?.inputs, rest);
  }
});

test("a class knows its own kind and not the other front end's", () => {
  const one = new plugin.Datacenter("one", { primary: true });
  const other = new dynamic.Datacenter("other", { primary: true });
  assert.equal(plugin.Datacenter.__pulumiType, "isthmus:index:Datacenter");
  assert.deepEqual([plugin.Datacenter.isInstance(one), plugin.Datacenter.isInstance(other)], [true, false]);
  assert.deepEqual([dynamic.Datacenter.isInstance(one), dynamic.Datacenter.isInstance(other)], [false, true]);
  assert.equal(plugin.MeshGateway.isInstance(one), false);
  const name: "one" = one.datacenterName;
  assert.equal(name, "one");
});
