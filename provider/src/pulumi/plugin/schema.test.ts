/** The package's schema: everything typed, nothing loose that zod knows better, aliases for what came from dynamic resources. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nouns } from "./nouns.ts";
import { type PropertySpec, packageSchema } from "./schema.ts";

const schema = packageSchema("1.2.3");
const primitives = ["string", "integer", "number", "boolean"];

/** Options that go to Envoy as they are: zod does not know more of them. */
const opaque = /(^|\.)config$/;

function checkType(type: PropertySpec | undefined, path: string): void {
  assert.ok(type, path);
  if (type.$ref === "pulumi.json#/Any") assert.match(path.replace(/\{\}$/, ""), opaque, `${path} is anything`);
  else if (type.$ref !== undefined) assert.ok(schema.types[type.$ref.replace("#/types/", "")], `${path}: ${type.$ref}`);
  else if (type.type === "array") checkType(type.items, `${path}[]`);
  else if (type.type === "object") checkType(type.additionalProperties, `${path}{}`);
  else assert.ok(primitives.includes(String(type.type)), `${path}: ${type.type}`);
}

test("every property of every resource and type has a type", () => {
  for (const [token, resource] of Object.entries(schema.resources)) {
    for (const [key, property] of Object.entries(resource.inputProperties)) checkType(property, `${token}.${key}`);
    for (const [key, property] of Object.entries(resource.properties)) checkType(property, `${token}.${key}`);
  }
  for (const [token, type] of Object.entries(schema.types)) {
    if (type.enum) assert.ok(type.enum.length > 0 && type.type === "string", token);
    for (const [key, property] of Object.entries(type.properties ?? {})) checkType(property, `${token}.${key}`);
    for (const key of type.required ?? []) assert.ok(type.properties?.[key], `${token}.${key}`);
  }
});

test("every property is described", () => {
  const described = [...Object.entries(schema.resources), ...Object.entries(schema.types)];
  for (const [token, type] of described) {
    const inputs = "inputProperties" in type ? type.inputProperties : {};
    for (const [key, property] of Object.entries({ ...type.properties, ...inputs })) {
      assert.ok(property.description, `${token}.${key} has no description`);
    }
  }
});

test("resources: inputs are outputs too, required ones exist, each is an alias of its dynamic form", () => {
  assert.deepEqual(Object.keys(schema.resources), [...nouns.keys()]);
  for (const [token, resource] of Object.entries(schema.resources)) {
    const noun = nouns.get(token)!;
    assert.deepEqual(Object.keys(resource.inputProperties), Object.keys(noun.schema.shape), token);
    for (const key of Object.keys(resource.inputProperties)) assert.ok(resource.properties[key], `${token}.${key}`);
    for (const key of Object.keys(noun.outputs.shape)) assert.ok(resource.properties[key], `${token}.${key}`);
    for (const key of resource.requiredInputs) assert.ok(resource.inputProperties[key], `${token}.${key}`);
    for (const key of resource.required) assert.ok(resource.properties[key], `${token}.${key}`);
    assert.deepEqual(resource.aliases, [{ type: `pulumi-nodejs:dynamic/isthmus:${noun.name}` }]);
    assert.equal(
      noun.stables.every((key) => key in resource.properties),
      true,
      token,
    );
  }
});

test("types, defaults, enumerations and secrets as zod says them", () => {
  const { resources, types } = schema;
  assert.equal(schema.version, "1.2.3");
  assert.deepEqual(resources["isthmus:index:ServiceRegistration"]!.requiredInputs, ["datacenter", "port"]);
  assert.deepEqual(types["isthmus:index:DatacenterNetwork"]!.enum, [{ value: "isolated" }, { value: "routed" }]);
  const ports = types["isthmus:index:DatacenterPorts"]!.properties!;
  assert.partialDeepStrictEqual(ports["grpcTls"], { type: "integer", default: 8503 });
  const gateway = resources["isthmus:index:MeshGateway"]!;
  assert.equal(gateway.inputProperties["token"]!.secret, true);
  assert.equal(gateway.inputProperties["wanAddress"]!.type, "string");
  assert.equal(resources["isthmus:index:AclToken"]!.properties["secretId"]!.secret, true);
  assert.equal(types["isthmus:index:ServiceRegistrationRun"]!.properties!["secretFiles"]!.secret, true);
});
