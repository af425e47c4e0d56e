/** Resolving secrets, and the policy and token operations, over a store in memory. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { createMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { anonymousAccessor, managementPolicyId } from "./builtin.ts";
import { createPolicy, deletePolicy, listPolicies, readPolicy, readPolicyByName, updatePolicy } from "./policies.ts";
import { createResolver } from "./tokens.ts";
import { bootstrapAcl, createToken, deleteToken, listTokens, readToken, updateToken } from "./tokens-admin.ts";

const effects = { uuid: randomUUID, now: () => Date.UTC(2026, 0, 1) };
const options = { datacenter: "dc1", enabled: true, defaultPolicy: "deny" } as const;
const notFound = { name: "MeshError", code: "permission_denied", message: "ACL not found" };
const readWeb = 'service "web" { policy = "read" }';
const shown = { withSecret: true } as const;

async function withToken(store: Store, rules: string, more: object = {}) {
  const policy = await createPolicy(store, { Name: `p-${store.index}`, Rules: rules, ...more }, effects);
  const token = await createToken(store, { Policies: [{ ID: policy.ID }] }, effects);
  return { policy, token };
}

test("a secret resolves to what its token may do; an unknown one is ACL not found", async () => {
  const store = createMemoryStore();
  const { token: early } = await withToken(store, readWeb);
  const resolver = createResolver(store, options);
  const { token: late } = await withToken(store, 'acl = "read"');
  assert.equal(resolver.resolve(early.SecretID).serviceRead("web"), true);
  assert.equal(resolver.resolve(early.SecretID).accessor, early.AccessorID);
  assert.equal(resolver.resolve(late.SecretID).aclRead(), true);
  assert.equal(resolver.byAccessor(late.AccessorID)?.aclRead(), true);
  for (const secret of [randomUUID(), early.AccessorID, "__proto__", "x".repeat(100_000)]) {
    assert.throws(() => resolver.resolve(secret), notFound);
  }
  assert.equal(resolver.byAccessor(randomUUID()), undefined);
});

test("answers change with the policy and the token, and listeners hear whose", async () => {
  const store = createMemoryStore();
  const resolver = createResolver(store, options);
  const { policy, token } = await withToken(store, readWeb);
  const { token: other } = await withToken(store, readWeb);
  const heard: string[][] = [];
  const answers: (boolean | undefined)[] = [];
  const stop = resolver.onInvalidated((accessors) => {
    heard.push([...accessors]);
    answers.push(resolver.byAccessor(token.AccessorID)?.serviceWrite("web"));
  });
  const ask = () => resolver.resolve(token.SecretID);
  assert.equal(ask(), ask(), "cached");
  await updatePolicy(store, policy.ID, { Name: "renamed", Rules: 'service "web" { policy = "write" }' });
  assert.equal(ask().serviceWrite("web"), true);
  await updateToken(store, token.AccessorID, { Description: "no rights" });
  assert.equal(ask().serviceRead("web"), false);
  await deleteToken(store, token.AccessorID, other.AccessorID);
  assert.throws(ask, notFound);
  assert.deepEqual(heard, [[token.AccessorID], [token.AccessorID], [token.AccessorID]]);
  assert.deepEqual(answers, [true, false, undefined]);
  stop();
  await deletePolicy(store, other.Policies[0]!.ID);
  assert.equal(resolver.resolve(other.SecretID).serviceRead("web"), false);
  assert.equal(heard.length, 3);
});

test("policies and identities of other datacenters grant nothing", async () => {
  const store = createMemoryStore();
  const { token } = await withToken(store, readWeb, { Datacenters: ["dc2"] });
  const inDatacenter = (datacenter: string) =>
    createResolver(store, { ...options, datacenter }).resolve(token.SecretID);
  assert.equal(inDatacenter("dc1").serviceRead("web"), false);
  assert.equal(inDatacenter("dc2").serviceRead("web"), true);
});

test("without a token the anonymous one counts, and the default policy", async () => {
  const store = createMemoryStore();
  const resolver = createResolver(store, options);
  for (const secret of [undefined, "", "anonymous"]) {
    assert.equal(resolver.resolve(secret).accessor, "anonymous");
    assert.equal(resolver.resolve(secret).serviceRead("web"), false);
  }
  assert.equal(
    createResolver(store, { ...options, defaultPolicy: "allow" })
      .resolve("")
      .serviceWrite("web"),
    true,
  );
  await bootstrapAcl(store, undefined, effects);
  const policy = await createPolicy(store, { Name: "web", Rules: readWeb }, effects);
  await updateToken(store, "anonymous", { Policies: [{ Name: "web" }] });
  assert.equal(resolver.resolve(undefined).serviceRead("web"), true);
  assert.equal(resolver.byAccessor("anonymous")?.serviceRead("web"), true);
  await deletePolicy(store, policy.ID);
  assert.equal(resolver.resolve(undefined).serviceRead("web"), false);
});

test("ACLs turned off: everybody may do everything, whatever the secret", () => {
  const resolver = createResolver(createMemoryStore(), { ...options, enabled: false });
  assert.equal(resolver.resolve("nonsense").aclWrite(), true);
  assert.equal(resolver.byAccessor("nonsense")?.operatorWrite(), true);
});

test("a stored policy that cannot be read gives its tokens nothing rather than the rest", async () => {
  const store = createMemoryStore();
  const { policy, token } = await withToken(store, readWeb);
  const value = { ...policy, Rules: "future { }" };
  await store.txn([{ op: "set", kind: "acl-policy", key: policy.ID, value }]);
  const resolver = createResolver(store, options);
  assert.throws(() => resolver.resolve(token.SecretID), {
    code: "permission_denied",
    message: /cannot be read.*"future"/,
  });
  assert.equal(resolver.byAccessor(token.AccessorID), undefined);
});

test("bootstrap works once, and its token is management", async () => {
  const store = createMemoryStore();
  const resolver = createResolver(store, options);
  const both = await Promise.allSettled([1, 2].map(() => bootstrapAcl(store, {}, effects)));
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const token = both.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))[0]!;
  assert.equal(resolver.resolve(token.SecretID).aclWrite(), true);
  assert.deepEqual(token.Policies, [{ ID: managementPolicyId, Name: "global-management" }]);
  await deleteToken(store, token.AccessorID, "operator");
  const refused = { code: "permission_denied", message: /no longer allowed \(reset index: 1\)/ };
  await assert.rejects(bootstrapAcl(store, {}, effects), refused);
  assert.equal(readToken(store, anonymousAccessor, shown)?.SecretID, "anonymous");
});

test("bootstrap takes a secret of the operator's choice", async () => {
  const secret = randomUUID();
  const store = createMemoryStore();
  assert.equal((await bootstrapAcl(store, { BootstrapSecret: secret }, effects)).SecretID, secret);
  const bad = [{ BootstrapSecret: "short" }, { Secret: secret }, "text"];
  for (const input of bad) await assert.rejects(bootstrapAcl(createMemoryStore(), input, effects), { code: "invalid" });
});

test("policies: create, read, list, update, delete", async () => {
  const store = createMemoryStore();
  const made = await createPolicy(store, { Name: "web", Rules: readWeb, Datacenters: ["dc1"] }, effects);
  assert.deepEqual([made.Name, made.Rules, made.Datacenters, made.CreateIndex], ["web", readWeb, ["dc1"], 1]);
  assert.deepEqual(readPolicyByName(store, "web"), made);
  const updated = await updatePolicy(store, made.ID, { ...made, Name: "web2", Description: "d" });
  assert.deepEqual([updated.Name, updated.Description, updated.CreateIndex], ["web2", "d", 1]);
  assert.notEqual(updated.Hash, made.Hash);
  assert.deepEqual(
    listPolicies(store).map((entry) => [entry.Name, "Rules" in entry]),
    [["web2", false]],
  );
  assert.equal(await deletePolicy(store, made.ID), true);
  assert.equal(await deletePolicy(store, made.ID), false);
  assert.equal(readPolicy(store, made.ID), undefined);
});

test("two policies of one name: never, whoever is first and whatever way", async () => {
  const store = createMemoryStore();
  const results = await Promise.allSettled([1, 2, 3].map(() => createPolicy(store, { Name: "same" }, effects)));
  assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected"]);
  for (const one of results) if (one.status === "rejected") assert.equal(one.reason.code, "already_exists");
  const other = await createPolicy(store, { Name: "other" }, effects);
  await assert.rejects(updatePolicy(store, other.ID, { Name: "same" }), { code: "already_exists" });
});

const badPolicies: readonly [string, unknown, RegExp][] = [
  ["no name", { Rules: "" }, /Name/],
  ["a name with a space", { Name: "a b" }, /Name: must be letters/],
  ["a name too long", { Name: "a".repeat(129) }, /Name/],
  ["an ID", { Name: "a", ID: randomUUID() }, /ID: is chosen by the server/],
  ["rules that cannot be read", { Name: "a", Rules: 'service "x" { policy = "all" }' }, /line 1, column 24/],
  ["an unknown field", { Name: "a", Datacenter: "dc1" }, /Datacenter/],
  ["a namespace", { Name: "a", Namespace: "team" }, /Namespace: Isthmus does not have this/],
  ["a bad datacenter", { Name: "a", Datacenters: ["DC 1"] }, /Datacenters\.0/],
  ["no object", "text", /ACL policy/],
];
for (const [what, input, message] of badPolicies) {
  test(`a policy with ${what} is refused`, async () => {
    await assert.rejects(createPolicy(createMemoryStore(), input, effects), { code: "invalid", message });
  });
}

test("the builtin policy keeps its rules and cannot go; it can have another name", async () => {
  const store = createMemoryStore();
  await bootstrapAcl(store, undefined, effects);
  const builtin = readPolicy(store, managementPolicyId)!;
  const denied = { code: "permission_denied" };
  await assert.rejects(deletePolicy(store, managementPolicyId), denied);
  await assert.rejects(updatePolicy(store, managementPolicyId, { ...builtin, Rules: "" }), denied);
  await assert.rejects(updatePolicy(store, managementPolicyId, { ...builtin, Datacenters: ["dc1"] }), denied);
  assert.equal((await updatePolicy(store, managementPolicyId, { ...builtin, Name: "root" })).Name, "root");
});

test("tokens: create by policy name, as a Go client sends it", async () => {
  const store = createMemoryStore();
  const policy = await createPolicy(store, { Name: "mesh-gateway", Rules: readWeb }, effects);
  const input = {
    CreateIndex: 0,
    ModifyIndex: 0,
    AccessorID: "",
    SecretID: "",
    Description: "gateway",
    Policies: [{ ID: "", Name: "mesh-gateway" }],
    Local: false,
    CreateTime: "0001-01-01T00:00:00Z",
    Roles: null,
    ServiceIdentities: null,
  };
  const token = await createToken(store, input, effects);
  assert.deepEqual(token.Policies, [{ ID: policy.ID, Name: "mesh-gateway" }]);
  assert.equal(token.CreateTime, "2026-01-01T00:00:00.000Z");
  await updatePolicy(store, policy.ID, { Name: "renamed", Rules: readWeb });
  assert.deepEqual(readToken(store, token.AccessorID, shown)?.Policies, [{ ID: policy.ID, Name: "renamed" }]);
  await deletePolicy(store, policy.ID);
  assert.deepEqual(readToken(store, token.AccessorID, shown)?.Policies, []);
});

test("tokens: secrets are shown only where the caller may see them", async () => {
  const store = createMemoryStore();
  const token = await createToken(store, { ServiceIdentities: [{ ServiceName: "web" }] }, effects);
  assert.equal(JSON.stringify(listTokens(store, { withSecret: false })).includes(token.SecretID), false);
  assert.equal(readToken(store, token.AccessorID, { withSecret: false })?.SecretID, "<hidden>");
  assert.equal(listTokens(store, shown, { serviceName: "web" })[0]?.SecretID, token.SecretID);
  assert.deepEqual(listTokens(store, shown, { serviceName: "db" }), []);
  assert.deepEqual(listTokens(store, shown, { policyId: managementPolicyId }), []);
  const kept = await updateToken(store, token.AccessorID, { SecretID: "<hidden>", Description: "d" });
  assert.equal(kept.SecretID, token.SecretID);
});

test("tokens: chosen ids are kept, and never used twice", async () => {
  const store = createMemoryStore();
  const ids = { AccessorID: randomUUID(), SecretID: randomUUID() };
  const token = await createToken(store, ids, effects);
  assert.deepEqual([token.AccessorID, token.SecretID], [ids.AccessorID, ids.SecretID]);
  const taken = { code: "already_exists" };
  await assert.rejects(createToken(store, { AccessorID: ids.AccessorID }, effects), taken);
  await assert.rejects(createToken(store, { SecretID: ids.SecretID }, effects), taken);
});

const badTokens: readonly [string, unknown, RegExp][] = [
  ["an unknown policy", { Policies: [{ Name: "none" }] }, /no policy has the name "none"/],
  ["an unknown policy ID", { Policies: [{ ID: "x" }] }, /no policy has the ID "x"/],
  ["an empty policy link", { Policies: [{}] }, /no policy has the name ""/],
  ["an expiry", { ExpirationTTL: "1h" }, /ExpirationTTL: Isthmus does not have this/],
  ["roles", { Roles: [{ Name: "r" }] }, /Roles: Isthmus does not have this/],
  ["a secret that is no uuid", { SecretID: "hunter2" }, /must be a uuid/],
  ["a reserved accessor", { AccessorID: "00000000-0000-0000-0000-000000000009" }, /reserved/],
  ["a bad service name", { ServiceIdentities: [{ ServiceName: "Web" }] }, /ServiceIdentities\.0\.ServiceName/],
  ["a node identity without datacenter", { NodeIdentities: [{ NodeName: "n" }] }, /NodeIdentities\.0\.Datacenter/],
  ["datacenters on a local identity", localWithDatacenters(), /cannot have Datacenters on a local token/],
  ["an unknown field", { Policy: "x" }, /Policy/],
];

function localWithDatacenters() {
  return { Local: true, ServiceIdentities: [{ ServiceName: "web", Datacenters: ["dc1"] }] };
}

for (const [what, input, message] of badTokens) {
  test(`a token with ${what} is refused and nothing is written`, async () => {
    const store = createMemoryStore();
    await assert.rejects(createToken(store, input, effects), { code: "invalid", message });
    assert.equal(store.index, 0);
  });
}

test("tokens: what cannot be changed or deleted", async () => {
  const store = createMemoryStore();
  const token = await createToken(store, {}, effects);
  const fixed = [{ SecretID: randomUUID() }, { Local: true }, { AccessorID: randomUUID() }];
  for (const input of fixed) await assert.rejects(updateToken(store, token.AccessorID, input), { code: "invalid" });
  await assert.rejects(updateToken(store, randomUUID(), {}), { code: "not_found" });
  const denied = { code: "permission_denied" };
  await assert.rejects(deleteToken(store, token.AccessorID, token.AccessorID), denied);
  await assert.rejects(deleteToken(store, anonymousAccessor, "operator"), denied);
  await assert.rejects(deleteToken(store, "anonymous", "operator"), denied);
  assert.equal(await deleteToken(store, randomUUID(), "operator"), false);
});
