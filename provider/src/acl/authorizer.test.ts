/** What rules mean: single questions, and a matrix of roles against everything that can be asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Authorizer } from "../model/authorizer.ts";
import { type AuthorizerInput, createAuthorizer, managementAuthorizer, managementRules } from "./authorizer.ts";
import { parseRules } from "./rules.ts";

function authorizer(rules: string | readonly string[], more: Partial<AuthorizerInput> = {}): Authorizer {
  const texts = typeof rules === "string" ? [rules] : rules;
  return createAuthorizer({
    accessor: "token",
    policies: texts.map(parseRules),
    serviceIdentities: [],
    nodeIdentities: [],
    defaultPolicy: "deny",
    datacenter: "dc1",
    ...more,
  });
}

const service = (name: string, policy: string, intentions?: string) =>
  `service "${name}" { policy = "${policy}" ${intentions ? `intentions = "${intentions}"` : ""} }\n`;
const prefix = (name: string, policy: string, intentions?: string) =>
  service(name, policy, intentions).replace("service", "service_prefix");

type Question = Exclude<keyof Authorizer, "accessor">;

/** `serviceRead web` → the answer. */
function ask(of: Authorizer, question: string): boolean {
  const [name, argument = ""] = question.split(" ");
  return of[name as Question](argument);
}

const table: readonly [string, string | readonly string[], readonly string[], readonly string[]][] = [
  ["no rule, no right", "", [], ["serviceRead web", "nodeRead n", "intentionRead web", "aclRead", "operatorRead"]],
  ["read is not write", service("web", "read"), ["serviceRead web"], ["serviceWrite web", "serviceRead db"]],
  ["write is read", service("web", "write"), ["serviceRead web", "serviceWrite web"], ["serviceRead web2"]],
  [
    "a prefix fits what begins with it",
    prefix("web", "read"),
    ["serviceRead web", "serviceRead web-1"],
    ["serviceRead we"],
  ],
  ["the empty prefix fits all", prefix("", "read"), ["serviceRead x", "serviceReadAll"], ["serviceWrite x"]],
  [
    "exact over prefix, also when it gives less",
    prefix("web", "write") + service("web", "read"),
    ["serviceRead web", "serviceWrite web-1"],
    ["serviceWrite web"],
  ],
  [
    "the longest prefix",
    prefix("", "write") + prefix("web", "read") + prefix("web-a", "deny"),
    ["serviceWrite db", "serviceRead web", "serviceRead web-b"],
    ["serviceWrite web", "serviceRead web-a", "serviceRead web-abc"],
  ],
  [
    "an exact deny in a granted prefix",
    prefix("", "write") + service("x", "deny"),
    ["serviceWrite y"],
    ["serviceRead x"],
  ],
  [
    "an exact grant in a denied prefix",
    prefix("", "deny") + service("x", "write"),
    ["serviceWrite x"],
    ["serviceRead y"],
  ],
  ["deny beats write for one name", [service("w", "write"), service("w", "deny")], [], ["serviceRead w"]],
  ["deny beats write in the other order", [service("w", "deny"), service("w", "write")], [], ["serviceRead w"]],
  ["write beats read over policies", [service("w", "read"), service("w", "write")], ["serviceWrite w"], []],
  [
    "deny of a shorter prefix does not reach",
    [prefix("", "deny"), prefix("w", "read")],
    ["serviceRead w"],
    ["serviceRead x"],
  ],
  ["one refusal spoils reading all", prefix("", "read") + service("x", "deny"), ["serviceRead y"], ["serviceReadAll"]],
  ["reading each named is not reading all", service("a", "read"), ["serviceRead a"], ["serviceReadAll"]],
  ["a non-empty prefix is not all", prefix("a", "read"), [], ["serviceReadAll"]],
  ["service read gives intentions read", service("w", "read"), ["intentionRead w"], ["intentionWrite w"]],
  ["service write gives intentions read only", service("w", "write"), ["intentionRead w"], ["intentionWrite w"]],
  ["intentions write needs its own word", service("w", "read", "write"), ["intentionWrite w"], ["serviceWrite w"]],
  ["intentions can be denied", service("w", "write", "deny"), ["serviceWrite w"], ["intentionRead w"]],
  [
    "service deny denies intentions",
    prefix("", "read") + service("w", "deny"),
    ["intentionRead x"],
    ["intentionRead w"],
  ],
  ["service deny with intentions read", service("w", "deny", "read"), ["intentionRead w"], ["serviceRead w"]],
  [
    "policy and intentions merge apart",
    [service("w", "read", "write"), service("w", "write", "read")],
    ["serviceWrite w", "intentionWrite w"],
    [],
  ],
  [
    "a deny of intentions in another policy",
    [service("w", "write", "write"), service("w", "read", "deny")],
    ["serviceWrite w"],
    ["intentionRead w"],
  ],
  ["any readable intention lets * be read", service("w", "read"), ["intentionRead *"], ["intentionWrite *"]],
  ["writing one intention is not writing *", service("w", "read", "write"), ["intentionWrite w"], ["intentionWrite *"]],
  ["writing all intentions is writing *", prefix("", "read", "write"), ["intentionWrite *", "intentionWrite w"], []],
  [
    "one refusal spoils writing *",
    prefix("", "read", "write") + service("w", "read"),
    ["intentionWrite x", "intentionRead *"],
    ["intentionWrite *", "intentionWrite w"],
  ],
  ["nothing readable, * not either", prefix("", "deny"), [], ["intentionRead *"]],
  ["nodes are apart from services", 'node "n" { policy = "write" }', ["nodeWrite n", "nodeRead n"], ["serviceRead n"]],
  ["node prefixes", 'node_prefix "n" { policy = "read" }', ["nodeRead n1"], ["nodeWrite n1", "nodeRead m"]],
  ["key rules give nothing here", 'key_prefix "" { policy = "write" }', [], ["serviceRead w", "nodeRead n"]],
  ["acl read", 'acl = "read"', ["aclRead"], ["aclWrite", "operatorRead"]],
  ["acl write", 'acl = "write"', ["aclRead", "aclWrite"], ["serviceRead w"]],
  ["acl deny beats", ['acl = "write"', 'acl = "deny"'], [], ["aclRead", "aclWrite"]],
  ["operator", 'operator = "write"', ["operatorRead", "operatorWrite"], ["aclRead"]],
  ["names of JavaScript", service("__proto__", "write"), ["serviceWrite __proto__"], ["serviceRead constructor"]],
];
for (const [what, rules, yes, no] of table) {
  test(`rules: ${what}`, () => {
    const made = authorizer(rules);
    for (const question of yes) assert.equal(ask(made, question), true, question);
    for (const question of no) assert.equal(ask(made, question), false, question);
  });
}

test("the default policy allow fills what no rule says, but never acl", () => {
  const rules = `${prefix("web", "read")}${service("x", "deny")}operator = "read"`;
  const made = authorizer(rules, { defaultPolicy: "allow" });
  const yes = [
    "serviceWrite db",
    "serviceRead web",
    "nodeWrite n",
    "intentionWrite db",
    "intentionRead *",
    "operatorRead",
  ];
  const no = [
    "serviceWrite web",
    "serviceRead x",
    "serviceReadAll",
    "intentionWrite *",
    "operatorWrite",
    "aclRead",
    "aclWrite",
  ];
  for (const question of yes) assert.equal(ask(made, question), true, question);
  for (const question of no) assert.equal(ask(made, question), false, question);
  const bare = authorizer("", { defaultPolicy: "allow" });
  for (const question of ["serviceReadAll", "intentionWrite *", "operatorWrite"])
    assert.equal(ask(bare, question), true);
  assert.equal(bare.aclRead(), false);
});

test("identities hold in their datacenters only", () => {
  const serviceIdentities = [
    { ServiceName: "web" },
    { ServiceName: "here", Datacenters: ["dc2", "dc1"] },
    { ServiceName: "there", Datacenters: ["dc2"] },
  ];
  const made = authorizer("", { serviceIdentities });
  assert.deepEqual(["web", "web-sidecar-proxy", "here", "there", "web2"].map(made.serviceWrite), [
    true,
    true,
    true,
    false,
    false,
  ]);
  const elsewhere = authorizer("", { serviceIdentities: serviceIdentities.slice(2) });
  assert.equal(elsewhere.serviceRead("web"), false);
  const nodeIdentities = [
    { NodeName: "n1", Datacenter: "dc1" },
    { NodeName: "n2", Datacenter: "dc2" },
  ];
  const node = authorizer("", { nodeIdentities });
  assert.deepEqual(["n1", "n2"].map(node.nodeWrite), [true, false]);
  assert.equal(node.serviceReadAll(), true);
});

test("a policy's deny holds against an identity", () => {
  const made = authorizer(service("web", "deny"), { serviceIdentities: [{ ServiceName: "web" }] });
  assert.equal(made.serviceWrite("web"), false);
});

/** Everything that can be asked, in one letter each. */
const questions: readonly (readonly [string, string])[] = [
  ["r", "serviceRead web"],
  ["w", "serviceWrite web"],
  ["o", "serviceRead db"],
  ["x", "serviceWrite db"],
  ["s", "serviceReadAll"],
  ["n", "nodeRead n1"],
  ["N", "nodeWrite n1"],
  ["i", "intentionRead web"],
  ["I", "intentionWrite web"],
  ["j", "intentionRead *"],
  ["J", "intentionWrite *"],
  ["a", "aclRead"],
  ["A", "aclWrite"],
  ["p", "operatorRead"],
  ["P", "operatorWrite"],
];
const gatewayRules = `${service("gateway-primary", "write")}${prefix("", "read")}node_prefix "" { policy = "read" }`;
const roles: readonly [string, Authorizer, string][] = [
  ["nobody", authorizer(""), ""],
  ["reader of the catalog", authorizer(prefix("", "read")), "rosij"],
  ["auditor", authorizer('acl = "read"\noperator = "read"'), "ap"],
  ["policy writer", authorizer('acl = "write"'), "aA"],
  ["operator", authorizer('operator = "write"'), "pP"],
  ["replication token", authorizer(`acl = "write"\noperator = "write"\n${prefix("", "read", "read")}`), "rosijaApP"],
  ["sidecar of web", authorizer("", { serviceIdentities: [{ ServiceName: "web" }] }), "rwosnij"],
  ["mesh gateway", authorizer(gatewayRules), "rosnij"],
  ["owner of web", authorizer(service("web", "write", "write")), "rwiIj"],
  ["intention manager", authorizer(prefix("", "read", "write")), "rosiIjJ"],
  ["node agent", authorizer("", { nodeIdentities: [{ NodeName: "n1", Datacenter: "dc1" }] }), "rosnNij"],
  ["management by rules", authorizer(managementRules), "rwoxsnNiIjJaApP"],
  ["management", managementAuthorizer("m"), "rwoxsnNiIjJaApP"],
];
for (const [role, made, expected] of roles) {
  test(`role: ${role}`, () => {
    const granted = questions.filter(([, question]) => ask(made, question)).map(([letter]) => letter);
    assert.equal(granted.join(""), expected);
  });
}
