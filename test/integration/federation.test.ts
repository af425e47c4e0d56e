/** A secondary joins its primary: what follows, what is passed on, and what is refused and how that is said. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { JoinResponse } from "../../provider/src/model/isthmus-api.ts";
import { type Federation, startFederation } from "../support/control-planes.ts";
import { eventually } from "../support/wait.ts";

describe("federation", { timeout: 120_000 }, () => {
  let federation: Federation;
  before(async () => {
    federation = await startFederation();
  });
  after(async () => {
    await federation?.[Symbol.asyncDispose]();
  });

  test("a secondary is ready, has the primary's root and trust domain, and knows every datacenter", async () => {
    const { dc1, dc2 } = federation;
    const [first, second] = [await dc1.status(), await dc2.status()];
    assert.equal(second.TrustDomain, first.TrustDomain);
    assert.equal(second.Replication?.Connected, true);
    assert.deepEqual(
      second.Datacenters.map(({ Name, Primary }) => [Name, Primary]),
      [
        ["dc1", true],
        ["dc2", false],
      ],
    );
    const roots = await Promise.all([dc1, dc2].map(({ api }) => api.get("/v1/connect/ca/roots")));
    assert.equal(roots[0].Roots[0].RootCert, roots[1].Roots[0].RootCert);
    assert.equal(roots[1].Roots[0].IntermediateCerts.length, 1);
  });

  test("config entries, intentions, policies and tokens follow", async () => {
    const { dc1, dc2 } = federation;
    await dc1.api.put("/v1/config", { Kind: "service-defaults", Name: "web", Protocol: "tcp" });
    await dc1.api.put("/v1/connect/intentions/exact?source=web&destination=db", { Action: "allow" });
    const policy = await dc1.api.put("/v1/acl/policy", { Name: "readers", Rules: 'service "db" { policy = "read" }' });
    const token = await dc1.api.put("/v1/acl/token", { Policies: [{ ID: policy.ID }] });
    const local = await dc1.api.put("/v1/acl/token", { Policies: [{ ID: policy.ID }], Local: true });
    await eventually("the token is known in dc2", async () => {
      return (await dc2.api.call("GET", "/v1/acl/token/self", undefined, token.SecretID)).status === 200;
    });
    assert.equal((await dc2.api.get("/v1/config/service-defaults/web")).Protocol, "tcp");
    const intention = await dc2.api.get("/v1/connect/intentions/exact?source=web&destination=db");
    assert.equal(intention.Action, "allow");
    assert.equal((await dc2.api.get(`/v1/acl/policy/${policy.ID}`)).Rules, policy.Rules);
    assert.equal((await dc2.api.call("GET", "/v1/acl/token/self", undefined, local.SecretID)).status, 403);
    await dc1.api.delete(`/v1/acl/token/${token.AccessorID}`);
    await eventually("the token is gone in dc2", async () => {
      return (await dc2.api.call("GET", "/v1/acl/token/self", undefined, token.SecretID)).status === 403;
    });
  });

  test("the catalog of each datacenter is known in the other, with health", async () => {
    const { dc1, dc2 } = federation;
    const registration = { Name: "db", Port: 80, Address: "127.0.0.9", Connect: { SidecarService: { Port: 20_000 } } };
    await dc2.api.put("/v1/agent/service/register", registration);
    const found = await eventually("db of dc2 is known in dc1", async () => {
      const instances = await dc1.api.get("/v1/health/connect/db?dc=dc2");
      return instances.length === 1 && instances[0];
    });
    assert.equal(found.Service.Port, 20_000);
    assert.equal(found.Checks[0].Status, "critical", "its sidecar was never connected");
    await dc2.api.put("/v1/agent/service/deregister/db");
    await eventually("db is gone in dc1", async () => (await dc1.api.get("/v1/health/connect/db?dc=dc2")).length === 0);
  });

  test("a write in the secondary is carried out by the primary and read back at once", async () => {
    const { dc1, dc2 } = federation;
    for (let round = 0; round < 20; round += 1) {
      const Meta = { round: String(round) };
      await dc2.api.put("/v1/config", { Kind: "service-defaults", Name: "forwarded", Protocol: "tcp", Meta });
      assert.deepEqual((await dc2.api.get("/v1/config/service-defaults/forwarded")).Meta, Meta);
    }
    assert.deepEqual((await dc1.api.get("/v1/config/service-defaults/forwarded")).Meta, { round: "19" });
    const { AccessorID, SecretID } = await dc2.api.put("/v1/acl/token", { Description: "made in dc2" });
    assert.equal((await dc2.api.get(`/v1/acl/token/${AccessorID}`)).SecretID, SecretID);
    assert.equal((await dc1.api.get(`/v1/acl/token/${AccessorID}`)).SecretID, SecretID);
    const denied = await dc2.api.call(
      "PUT",
      "/v1/config",
      { Kind: "service-defaults", Name: "x", Protocol: "tcp" },
      SecretID,
    );
    assert.equal(denied.status, 403, "the caller's own rights count in the primary");
    assert.match(denied.text, /lacks permission/);
  });

  test("cas holds across datacenters: the index that the secondary shows is not the primary's", async () => {
    const { dc1, dc2 } = federation;
    const write = (api: typeof dc1.api, cas: number, value: string) =>
      api.call("PUT", `/v1/config?cas=${cas}`, { Kind: "service-defaults", Name: "cas", Meta: { value } });
    assert.equal((await write(dc2.api, 0, "a")).json, true);
    assert.equal((await write(dc2.api, 0, "b")).json, false, "it exists by now");
    const { ModifyIndex } = await dc1.api.get("/v1/config/service-defaults/cas");
    assert.equal((await write(dc1.api, ModifyIndex - 1, "c")).json, false);
    const seen = await dc2.api.get("/v1/config/service-defaults/cas");
    assert.equal((await write(dc2.api, seen.ModifyIndex, "d")).json, true, "what was read in dc2 can be written there");
    assert.equal((await write(dc2.api, seen.ModifyIndex, "e")).json, false, "once");
  });

  test("a wrong token, root, name or primary is refused with a status that says why", async () => {
    const { dc1, join } = federation;
    const good = await dc1.operator.get<JoinResponse>("/v1/isthmus/join");
    const { join: dc2Join } = federation.dc2.config;
    assert.ok(dc2Join);
    const base = { ...dc2Join, address: good.Address };
    const readOnly = await dc1.api.put("/v1/acl/token", { Description: "no rights" });
    const foreign = (await (await federation.join("foreign", 30)).operator.get<JoinResponse>("/v1/isthmus/join"))
      .ControlRoot;
    const cases = [
      { datacenter: "wrong-token", change: { join: { ...base, token: "nonsense" } }, reason: /ACL not found/ },
      { datacenter: "no-rights", change: { join: { ...base, token: readOnly.SecretID } }, reason: /acl:write/ },
      {
        datacenter: "wrong-root",
        change: { join: { ...base, controlRoot: foreign } },
        reason: /certificate|issuer|verif/i,
      },
      { datacenter: "dc2", change: {}, reason: /another datacenter "dc2" is connected/ },
      { datacenter: "wrong-primary", change: { primaryDatacenter: "dc9" }, reason: /dc9|does not match|altname/i },
    ];
    for (const [index, { datacenter, change, reason }] of cases.entries()) {
      await using wrong = await join(datacenter, 31 + index, { join: base, ...change });
      await eventually(`${datacenter} says why`, async () => {
        const { Ready, Waiting } = await wrong.status();
        assert.equal(Ready, false);
        assert.match(Waiting.join(), reason);
        return true;
      });
      await wrong.kill();
    }
    assert.equal((await federation.dc2.status()).Replication?.Connected, true, "the real dc2 was left alone");
  });

  test("a datacenter that is gone for good is forgotten everywhere, not while it is connected, and may come back", async () => {
    const { dc1, dc2, join } = federation;
    const known = async (at: typeof dc1) => (await at.status()).Datacenters.map(({ Name }) => Name);
    const service = { Name: "db", Port: 80, Address: "127.0.0.9", Connect: { SidecarService: { Port: 20_000 } } };
    const forget = (at: typeof dc1, name: string) => at.api.call("DELETE", `/v1/isthmus/datacenters/${name}`);
    const dc3 = await join("dc3", 40);
    await dc3.ready();
    await dc3.api.put("/v1/agent/service/register", service);
    await eventually("dc2 knows db in dc3", async () => {
      return (await dc2.api.call("GET", "/v1/health/connect/db?dc=dc3")).json?.length === 1;
    });
    const refused = await forget(dc1, "dc3");
    assert.deepEqual([refused.status, /is connected: stop it first/.test(refused.text)], [409, true]);
    await dc3.kill();
    await eventually("forgotten, by way of dc2", async () => (await forget(dc2, "dc3")).status === 200);
    assert.ok(!(await known(dc2)).includes("dc3"));
    assert.ok(!(await known(dc1)).includes("dc3"));
    assert.equal((await dc2.api.call("GET", "/v1/health/connect/db?dc=dc3")).status, 400, "no path to dc3");
    assert.equal((await forget(dc1, "dc3")).status, 200, "absence is success");
    assert.equal((await forget(dc1, "dc1")).status, 400, "the primary does not forget itself");
    assert.equal((await dc1.api.call("DELETE", "/v1/isthmus/datacenters/dc2", undefined, "")).status, 403);

    await dc3.start();
    await dc3.ready();
    await eventually("dc3 is back, with its services", async () => {
      return (await dc2.api.call("GET", "/v1/health/connect/db?dc=dc3")).json?.length === 1;
    });
  });
});
