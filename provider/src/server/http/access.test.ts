/** Who may do what: every writing path against roles, tokens and their words, the operator's socket, forwarding. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ForwardRequest } from "./dependencies.ts";
import { createTestApi, operatorSecret, type Rules } from "./fixture.test.ts";

const identity = {
  PublicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
  IdentityFile: "/a",
  AdminSocket: "/b",
};
const policy = { Name: "p", Rules: "" };
const seedId = "00000000-0000-4000-8000-000000000001";
const seedToken = {
  AccessorID: seedId,
  SecretID: "00000000-0000-4000-8000-000000000002",
  Description: "",
  Policies: [],
  ServiceIdentities: [],
  NodeIdentities: [],
  Local: false,
  CreateTime: "2026-01-01T00:00:00Z",
};

/** Method, path, body, and the least role that may. */
const writes: readonly (readonly [string, string, unknown, Rules])[] = [
  ["PUT", "/v1/agent/service/register", { Name: "web", Port: 1 }, { serviceWrite: ["web"] }],
  [
    "PUT",
    "/v1/agent/service/register",
    { Name: "web", Port: 1, Connect: { SidecarService: {} } },
    { serviceWrite: ["web", "web-sidecar-proxy"] },
  ],
  [
    "PUT",
    "/v1/agent/service/register",
    { Name: "p", Kind: "connect-proxy", Port: 1, Proxy: { DestinationServiceName: "db" } },
    { serviceWrite: ["p", "db"] },
  ],
  ["PUT", "/v1/agent/service/register", { ID: "seed", Name: "web", Port: 1 }, { serviceWrite: ["web", "seed"] }],
  ["PUT", "/v1/agent/service/deregister/seed", undefined, { serviceWrite: ["seed"] }],
  ["PUT", "/v1/agent/service/maintenance/seed?enable=true", undefined, { serviceWrite: ["seed"] }],
  ["PUT", "/v1/agent/check/register", { Name: "n", TTL: "1m" }, { nodeWrite: ["dc1-server"] }],
  ["PUT", "/v1/agent/check/register", { Name: "n", TTL: "1m", ServiceID: "seed" }, { serviceWrite: ["seed"] }],
  ["PUT", "/v1/agent/check/pass/service:seed", undefined, { serviceWrite: ["seed"] }],
  ["PUT", "/v1/agent/check/deregister/service:seed", undefined, { serviceWrite: ["seed"] }],
  [
    "PUT",
    "/v1/catalog/register",
    { Node: "n", Address: "10.0.0.1", Service: { Service: "x" } },
    { nodeWrite: ["n"], serviceWrite: ["x"] },
  ],
  ["PUT", "/v1/catalog/deregister", { Node: "dc1-server", ServiceID: "seed" }, { serviceWrite: ["seed"] }],
  ["PUT", "/v1/config", { Kind: "proxy-defaults" }, { operator: "write" }],
  ["PUT", "/v1/config", { Kind: "service-defaults", Name: "web" }, { serviceWrite: ["web"] }],
  [
    "PUT",
    "/v1/config",
    { Kind: "service-intentions", Name: "db", Sources: [{ Name: "web", Action: "allow" }] },
    { intentionWrite: ["db"] },
  ],
  ["DELETE", "/v1/config/proxy-defaults/global", undefined, { operator: "write" }],
  ["PUT", "/v1/connect/intentions/exact?source=web&destination=db", { Action: "allow" }, { intentionWrite: ["db"] }],
  ["DELETE", "/v1/connect/intentions/exact?source=web&destination=db", undefined, { intentionWrite: ["db"] }],
  [
    "POST",
    "/v1/connect/intentions",
    { SourceName: "web", DestinationName: "db", Action: "allow" },
    { intentionWrite: ["db"] },
  ],
  ["PUT", "/v1/acl/policy", policy, { acl: "write" }],
  ["PUT", `/v1/acl/policy/${seedId}`, policy, { acl: "write" }],
  ["DELETE", `/v1/acl/policy/${seedId}`, undefined, { acl: "write" }],
  ["PUT", "/v1/acl/token", { Description: "t" }, { acl: "write" }],
  ["PUT", `/v1/acl/token/${seedId}`, {}, { acl: "write" }],
  ["DELETE", `/v1/acl/token/${seedId}`, undefined, { acl: "write" }],
  ["PUT", "/v1/isthmus/proxies/seed-sidecar-proxy/identity", identity, { serviceWrite: ["seed"] }],
  ["GET", "/v1/isthmus/join", undefined, { operator: "write", acl: "write" }],
  ["GET", "/v1/agent/connect/ca/leaf/seed", undefined, { serviceWrite: ["seed"] }],
  ["GET", "/v1/connect/ca/configuration", undefined, { operator: "read" }],
  ["GET", "/v1/acl/tokens", undefined, { acl: "read" }],
  ["GET", "/v1/agent/self", undefined, { nodeRead: ["dc1-server"] }],
  ["GET", "/v1/agent/metrics", undefined, { nodeRead: ["dc1-server"] }],
];

/** Twelve roles; none may do what its rules do not say. */
const roles: readonly Rules[] = [
  {},
  { serviceRead: ["*"] },
  { serviceRead: ["*"], nodeRead: ["*"] },
  { serviceWrite: ["web"] },
  { serviceWrite: ["seed"] },
  { serviceWrite: ["*"] },
  { nodeWrite: ["*"] },
  { intentionRead: ["*"] },
  { intentionWrite: ["db"] },
  { acl: "read" },
  { acl: "write" },
  { operator: "write" },
];

function covers(role: Rules, need: Rules): boolean {
  const list = (have: readonly string[] | undefined, names: readonly string[] | undefined) =>
    (names ?? []).every((name) => have?.includes("*") || have?.includes(name));
  return (
    list([...(role.serviceRead ?? []), ...(role.serviceWrite ?? [])], need.serviceRead) &&
    list(role.serviceWrite, need.serviceWrite) &&
    list([...(role.nodeRead ?? []), ...(role.nodeWrite ?? [])], need.nodeRead) &&
    list(role.nodeWrite, need.nodeWrite) &&
    list(role.intentionWrite, need.intentionWrite) &&
    (need.acl === undefined || role.acl === "write" || role.acl === need.acl) &&
    (need.operator === undefined || role.operator === "write" || role.operator === need.operator)
  );
}

describe("access", () => {
  for (const [method, path, body, need] of writes) {
    it(`${method} ${path} ${body === undefined ? "" : JSON.stringify(body).slice(0, 60)}`, async () => {
      for (const role of [...roles, need]) {
        await using api = await createTestApi();
        await api.store.txn([
          {
            op: "set",
            kind: "acl-policy",
            key: seedId,
            value: { ID: seedId, Name: "seed", Description: "", Rules: "" },
          },
          { op: "set", kind: "acl-token", key: seedId, value: seedToken },
        ]);
        await api.call("PUT", "/v1/agent/service/register", {
          Name: "seed",
          Port: 1,
          Check: { TTL: "1m" },
          Connect: { SidecarService: {} },
        });
        const before = api.store.index;
        const reply = await api.call(method, path, body, api.token(role));
        if (covers(role, need)) {
          assert.ok(reply.status < 400, `${JSON.stringify(role)}: ${reply.status} ${reply.text}`);
        } else {
          assert.equal(reply.status, 403, `${JSON.stringify(role)}: ${reply.text}`);
          assert.match(reply.text, /^Permission denied: token with AccessorID '.+' lacks permission '[a-z]+:[a-z]+'/);
          assert.equal(api.store.index, before);
        }
      }
    });
  }

  it("names the anonymous token, refuses unknown ones and tokens in the query", async () => {
    await using api = await createTestApi();
    const anonymous = await api.call("PUT", "/v1/agent/service/register", { Name: "web" }, null);
    assert.equal(anonymous.status, 403);
    assert.match(anonymous.text, /anonymous token lacks permission 'service:write' on "web"/);
    const unknown = await api.call("GET", "/v1/catalog/nodes", undefined, "no-such-secret");
    assert.equal(unknown.status, 403);
    assert.equal(unknown.text, "ACL not found");
    assert.equal((await api.call("GET", `/v1/catalog/nodes?token=${operatorSecret}`, undefined, null)).status, 400);
    const bearer = await fetch(`${api.url}/v1/agent/self`, { headers: { Authorization: `Bearer ${operatorSecret}` } });
    assert.equal(bearer.status, 200);
  });

  it("the operator's socket may do everything, but for a token that it is given", async () => {
    await using api = await createTestApi({ operatorSocket: true });
    assert.equal((await api.call("GET", "/v1/isthmus/join", undefined, null)).status, 200);
    assert.equal((await api.call("GET", "/v1/isthmus/join", undefined, api.token({}))).status, 403);
    assert.equal((await api.call("GET", "/v1/isthmus/join", undefined, "")).status, 403);
    const token = api.token({ serviceWrite: ["web"] }, "web-accessor");
    assert.equal(
      (await api.call("PUT", "/v1/agent/service/register", { Name: "web", Token: token }, null)).status,
      200,
    );
    assert.equal(api.store.get("service", "dc1-server/web")?.value.TokenAccessor, "web-accessor");
    assert.equal((await api.call("PUT", "/v1/agent/service/register", { Name: "db", Token: token }, null)).status, 403);
  });

  it("bootstraps once; what the first token makes holds at once and ends with it", async () => {
    await using api = await createTestApi();
    assert.equal((await api.call("PUT", "/v1/acl/bootstrap", undefined, null)).status, 403);
    const first = await api.call("PUT", "/v1/acl/bootstrap");
    assert.equal(first.status, 200);
    assert.equal((await api.call("PUT", "/v1/acl/bootstrap")).status, 403);
    const management = first.json.SecretID;
    const rules = 'service "web" { policy = "write" }';
    const policy = await api.call("PUT", "/v1/acl/policy", { Name: "web", Rules: rules }, management);
    assert.equal(policy.status, 200, policy.text);
    assert.equal((await api.call("GET", "/v1/acl/policy/name/web", undefined, management)).json.ID, policy.json.ID);
    assert.equal((await api.call("GET", "/v1/acl/policies", undefined, management)).json[0].Rules, undefined);
    const made = await api.call("PUT", "/v1/acl/token", { Policies: [{ Name: "web" }] }, management);
    const { SecretID, AccessorID } = made.json;
    const register = (Name: string) => api.call("PUT", "/v1/agent/service/register", { Name, Port: 1 }, SecretID);
    assert.equal((await register("web")).status, 200);
    assert.equal((await register("db")).status, 403);
    assert.equal(api.store.get("service", "dc1-server/web")?.value.TokenAccessor, AccessorID);
    assert.equal((await api.call("GET", "/v1/acl/token/self", undefined, SecretID)).json.SecretID, SecretID);
    const list = await api.call(
      "GET",
      `/v1/acl/tokens?policy=${policy.json.ID}`,
      undefined,
      api.token({ acl: "read" }),
    );
    assert.deepEqual(
      list.json.map((one: { SecretID: string }) => one.SecretID),
      ["<hidden>"],
    );
    assert.equal((await api.call("DELETE", `/v1/acl/token/${AccessorID}`, undefined, management)).json, true);
    assert.equal((await register("web")).text, "ACL not found");
    assert.equal((await api.call("PUT", "/v1/acl/policy", { Name: "x", Rules: "service {" }, management)).status, 400);
    assert.equal((await api.call("PUT", "/v1/acl/policy", "", management)).status, 400);
  });
});

describe("a secondary", () => {
  it("sends writes to the primary and answers when they can be read here", async () => {
    const sent: ForwardRequest[] = [];
    const order: string[] = [];
    await using api = await createTestApi({
      datacenter: "dc2",
      primaryDatacenter: "dc1",
      primary: () => ({
        forward: async (request) => {
          sent.push(request);
          const body = new TextEncoder().encode("true");
          return { status: 200, headers: { "x-consul-index": "77", "content-type": "application/json" }, body };
        },
        awaitReplicated: async (index) => {
          order.push(`replicated ${index}`);
        },
      }),
    });
    const foreign = "a-token-only-the-primary-knows";
    const put = await api.call(
      "PUT",
      "/v1/connect/intentions/exact?source=web&destination=db",
      { Action: "allow" },
      foreign,
    );
    assert.equal(put.json, true);
    assert.deepEqual(order, ["replicated 77"]);
    assert.notEqual(put.index, 77);
    const [request] = sent;
    assert.equal(request?.token, foreign);
    assert.equal(request?.operator, false);
    assert.equal(request?.query, "?source=web&destination=db");
    assert.deepEqual(JSON.parse(Buffer.from(request?.body ?? []).toString()), { Action: "allow" });

    await api.call("PUT", "/v1/acl/token", { Local: true });
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 1 });
    assert.equal(sent.length, 1);
    await api.call("PUT", "/v1/acl/token", { Local: false });
    await api.call("PUT", "/v1/config", { Kind: "proxy-defaults" });
    await api.call("GET", "/v1/agent/self?dc=dc1");
    assert.deepEqual(
      sent.slice(1).map((one) => `${one.method} ${one.path}${one.query}`),
      ["PUT /v1/acl/token", "PUT /v1/config", "GET /v1/agent/self"],
    );
  });
});
