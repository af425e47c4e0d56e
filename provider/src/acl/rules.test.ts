/** Policy rules: the forms that are read, the words that are known, and the defective file of the tutorial. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type PolicyRules, parseRules } from "./rules.ts";

const web = { resource: "service", match: "exact", name: "web", access: "write" } as const;
const all = { resource: "service", match: "prefix", name: "", access: "read" } as const;

const forms: readonly [string, string, PolicyRules][] = [
  ["nothing", "", { plain: [], named: [] }],
  [
    "the tutorial's replication policy",
    '{ "acl": "write", "operator": "write", "service_prefix": { "" : { "policy": "read" } } }',
    {
      plain: [
        { resource: "acl", access: "write" },
        { resource: "operator", access: "write" },
      ],
      named: [all],
    },
  ],
  [
    "HCL blocks",
    'service_prefix "" { policy = "read" }\nservice "web" { policy = "write" }',
    { plain: [], named: [all, web] },
  ],
  [
    "intentions",
    'service "web" { policy="write" intentions="read" }',
    { plain: [], named: [{ ...web, intentions: "read" }] },
  ],
  ["an object of names", 'service = { web = { policy = "write" } }', { plain: [], named: [web] }],
  ["a block of names", 'service { "web" { policy = "write" } }', { plain: [], named: [web] }],
  ["a list of objects", '{"service": [{"web": [{"policy": "write"}]}]}', { plain: [], named: [web] }],
  ["list on keys", 'key_prefix "a/" { policy = "list" }', keyRule()],
];

function keyRule(): PolicyRules {
  return { plain: [], named: [{ resource: "key", match: "prefix", name: "a/", access: "list" }] };
}

for (const [what, text, expected] of forms) {
  test(`parseRules reads ${what}`, () => assert.deepEqual(parseRules(text), expected));
}

test("parseRules knows every resource of Consul", () => {
  const named = ["agent", "event", "key", "node", "query", "service", "session"];
  for (const resource of named.flatMap((name) => [name, `${name}_prefix`])) {
    for (const access of ["read", "write", "deny"]) {
      assert.equal(parseRules(`${resource} "x" { policy = "${access}" }`).named[0]?.access, access);
    }
  }
  for (const resource of ["acl", "keyring", "mesh", "operator", "peering"]) {
    assert.deepEqual(parseRules(`${resource} = "deny"`).plain, [{ resource, access: "deny" }]);
  }
});

/** As the first document prints it. */
const tutorialGatewayPolicy = `{
  "service_prefix": {
    "": {
      "policy": "read"
    }
  }
}
{
  "service": {
      "mesh-gateway": {
        "policy": "write"
      }
    }
}`;

const faulty: readonly [string, string, RegExp][] = [
  [
    "the tutorial's gateway policy",
    tutorialGatewayPolicy,
    /^line 8, column 1: a second object begins here; the rules of a policy are one object, not several in a row: put both/,
  ],
  [
    "an unknown resource",
    'acl = "read"\nservices "web" {}',
    /^line 2, column 1: "services" is not a resource .*"service"/,
  ],
  ["a resource in capitals", 'Service "web" { policy = "read" }', /^line 1, column 1: "Service" is not a resource/],
  ["an Enterprise resource", 'namespace "x" { policy = "read" }', /"namespace" is not a resource/],
  [
    "an unknown word",
    'service "web" {\n  policy = "admin"\n}',
    /^line 2, column 12: policy of service "web" is "admin"; it can be "deny", "write", "read"$/,
  ],
  ["list on a service", 'service "web" { policy = "list" }', /is "list"; it can be "deny", "write", "read"/],
  ["an unknown plain word", "acl = true", /^line 1, column 7: "acl" is true; it can be/],
  ["a plain resource with a block", 'acl "x" { policy = "read" }', /"acl" takes one word: acl = "read"/],
  ["no policy", 'service "web" {}', /^line 1, column 1: service "web" has no policy/],
  ["only intentions", 'service "web" { intentions = "write" }', /service "web" has no policy/],
  [
    "intentions on a node",
    'node "a" { policy = "read" intentions = "read" }',
    /"intentions" means nothing in node "a"/,
  ],
  ["a bad intentions word", 'service "w" { policy = "read" intentions = "all" }', /intentions of service "w" is "all"/],
  ["sentinel", 'key "a" { policy = "read" sentinel { code = "" } }', /"sentinel" means nothing in key "a"/],
  ["a word for a service", 'service = "read"', /^line 1, column 11: service needs a name and a block/],
  ["a word in place of a block", 'service = { web = "read" }', /service "web" needs a block/],
  ["two names", 'service "a" "b" { policy = "read" }', /service takes one name, not 2/],
];
for (const [what, text, message] of faulty) {
  test(`parseRules refuses ${what}`, () => {
    assert.throws(() => parseRules(text), { name: "MeshError", code: "invalid", message });
  });
}
