/** Config entries and intentions over the API. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTestApi } from "./fixture.test.ts";

describe("config entries", () => {
  it("writes, reads, lists and deletes, with cas", async () => {
    await using api = await createTestApi();
    const entry = {
      Kind: "proxy-defaults",
      Name: "global",
      MeshGateway: { Mode: "local" },
      Config: { connect_timeout_ms: 1000 },
    };
    assert.equal((await api.call("PUT", "/v1/config?cas=7", entry)).json, false);
    assert.equal((await api.call("PUT", "/v1/config?cas=0", entry)).json, true);
    assert.equal((await api.call("PUT", "/v1/config?cas=0", entry)).json, false);
    const read = await api.call("GET", "/v1/config/proxy-defaults/global");
    assert.deepEqual({ ...read.json, CreateIndex: 0, ModifyIndex: 0 }, { ...entry, CreateIndex: 0, ModifyIndex: 0 });
    assert.equal(
      (await api.call("PUT", "/v1/config", { Kind: "service-defaults", Name: "web", Protocol: "TCP" })).json,
      true,
    );
    assert.equal((await api.call("GET", "/v1/config/service-defaults")).json[0].Protocol, "tcp");
    assert.equal(
      (await api.call("DELETE", `/v1/config/proxy-defaults/global?cas=${read.json.ModifyIndex + 50}`)).json,
      false,
    );
    assert.equal(
      (await api.call("DELETE", `/v1/config/proxy-defaults/global?cas=${read.json.ModifyIndex}`)).json,
      true,
    );
    assert.equal((await api.call("GET", "/v1/config/proxy-defaults/global")).status, 404);
    assert.equal((await api.call("DELETE", "/v1/config/proxy-defaults/global")).status, 200);
  });

  it("takes what Consul's Go client sends", async () => {
    await using api = await createTestApi();
    const entry =
      '{"Kind":"service-defaults","Name":"web","TransparentProxy":{},"MeshGateway":{},"Expose":{},"ExternalSNI":"","UpstreamConfig":{"Defaults":{"MeshGateway":{"Mode":"remote"},"Limits":null}},"Meta":null,"CreateIndex":0,"ModifyIndex":0}';
    const reply = await api.call("PUT", "/v1/config", entry);
    assert.equal(reply.status, 200, reply.text);
  });

  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    [
      "the tutorial's mode",
      { Kind: "proxy-defaults", Name: "global", MeshGateway: "local" },
      /MeshGateway: must be an object that holds the mode: "MeshGateway": \{"Mode": "local"\}/,
    ],
    [
      "the list of the YAML sample",
      { Kind: "proxy-defaults", MeshGateway: [{ Mode: "local" }] },
      /"MeshGateway": \{"Mode": "local"\}/,
    ],
    ["another name", { Kind: "proxy-defaults", Name: "web" }, /Name: must be "global"/],
    [
      "an unknown mode",
      { Kind: "proxy-defaults", MeshGateway: { Mode: "near" } },
      /MeshGateway\.Mode: must be "none", "local" or "remote"/,
    ],
    ["an unknown kind", { Kind: "service-router", Name: "web" }, /"service-router" is no kind of config entry here/],
    ["no kind", { Name: "web" }, /Kind: missing/],
    ["service-defaults of everything", { Kind: "service-defaults", Name: "*" }, /Name: /],
    ["http", { Kind: "service-defaults", Name: "web", Protocol: "http" }, /Protocol: must be "tcp"/],
    [
      "a name in the defaults",
      { Kind: "service-defaults", Name: "web", UpstreamConfig: { Defaults: { Name: "x" } } },
      /Defaults\.Name: must be absent/,
    ],
    [
      "a source twice",
      {
        Kind: "service-intentions",
        Name: "db",
        Sources: [
          { Name: "a", Action: "allow" },
          { Name: "a", Action: "deny" },
        ],
      },
      /Sources\[1\]\.Name: "a" is there twice/,
    ],
    ["no source", { Kind: "service-intentions", Name: "db", Sources: [] }, /Sources: is empty/],
    [
      "permissions",
      { Kind: "service-intentions", Name: "db", Sources: [{ Name: "a", Permissions: [{ Action: "allow" }] }] },
      /Permissions is not supported here/,
    ],
    [
      "half a wildcard",
      { Kind: "service-intentions", Name: "db", Sources: [{ Name: "a*", Action: "allow" }] },
      /must be \* or a service name/,
    ],
  ];
  for (const [what, body, message] of refused) {
    it(`refuses ${what}`, async () => {
      await using api = await createTestApi();
      const reply = await api.call("PUT", "/v1/config", body);
      assert.equal(reply.status, 400, reply.text);
      assert.match(reply.text, message);
    });
  }
});

describe("intentions", () => {
  const exact = "/v1/connect/intentions/exact?source=web&destination=db";

  it("are written by pair and kept as config entries", async () => {
    await using api = await createTestApi();
    assert.equal((await api.call("GET", exact)).status, 404);
    assert.equal((await api.call("PUT", exact, { Action: "allow", Description: "d" })).json, true);
    assert.equal(
      (await api.call("PUT", "/v1/connect/intentions/exact?source=*&destination=default/db", { Action: "deny" })).json,
      true,
    );
    const read = await api.call("GET", exact);
    assert.equal(read.json.Precedence, 9);
    assert.equal(read.json.Description, "d");
    const entry = (await api.call("GET", "/v1/config/service-intentions/db")).json;
    assert.deepEqual(
      entry.Sources.map((one: { Name: string; Precedence: number }) => [one.Name, one.Precedence]),
      [
        ["web", 9],
        ["*", 8],
      ],
    );
    assert.equal((await api.call("DELETE", exact)).json, true);
    assert.equal((await api.call("DELETE", exact)).json, true);
    await api.call("DELETE", "/v1/connect/intentions/exact?source=*&destination=db");
    assert.equal((await api.call("GET", "/v1/config/service-intentions/db")).status, 404);
  });

  it("are decided by precedence", async () => {
    await using api = await createTestApi();
    const allowed = async (source: string, destination: string): Promise<boolean> =>
      (await api.call("GET", `/v1/connect/intentions/check?source=${source}&destination=${destination}`)).json.Allowed;
    const put = (source: string, destination: string, Action: string) =>
      api.call("PUT", `/v1/connect/intentions/exact?source=${source}&destination=${destination}`, { Action });
    assert.equal(await allowed("web", "db"), false);
    await put("*", "*", "allow");
    assert.equal(await allowed("web", "db"), true);
    await put("web", "*", "deny");
    assert.equal(await allowed("web", "db"), false);
    await put("*", "db", "allow");
    assert.equal(await allowed("web", "db"), true);
    await put("web", "db", "deny");
    assert.equal(await allowed("web", "db"), false);
    const { json } = await api.call("GET", "/v1/connect/intentions/match?by=destination&name=db");
    assert.deepEqual(
      json.db.map((one: { Precedence: number }) => one.Precedence),
      [9, 8, 6, 5],
    );
    assert.equal((await api.call("GET", "/v1/connect/intentions")).json.length, 4);
    const authorize = await api.call("POST", "/v1/agent/connect/authorize", {
      Target: "db",
      ClientCertURI: "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc2/svc/web",
      ClientCertSerial: "01",
    });
    assert.equal(authorize.json.Authorized, false);
    assert.match(authorize.json.Reason, /Precedence: 9/);
  });

  it("can be written the older way, by id", async () => {
    await using api = await createTestApi();
    const body = {
      SourceName: "web",
      DestinationName: "db",
      SourceType: "consul",
      Action: "allow",
      Precedence: 0,
      CreatedAt: "0001-01-01T00:00:00Z",
    };
    const { ID } = (await api.call("POST", "/v1/connect/intentions", body)).json;
    assert.equal((await api.call("POST", "/v1/connect/intentions", body)).status, 409);
    assert.equal((await api.call("PUT", `/v1/connect/intentions/${ID}`, { ...body, Action: "deny" })).json.ID, ID);
    assert.equal((await api.call("PUT", exact, { Action: "allow" })).json, true);
    const read = (await api.call("GET", `/v1/connect/intentions/${ID}`)).json;
    assert.equal(read.Action, "allow");
    assert.equal((await api.call("DELETE", `/v1/connect/intentions/${ID}`)).json, true);
    assert.equal((await api.call("GET", `/v1/connect/intentions/${ID}`)).status, 404);
  });

  it("written at once all arrive", async () => {
    await using api = await createTestApi();
    const sources = Array.from({ length: 12 }, (_, at) => `s${at}`);
    await Promise.all(
      sources.map((source) =>
        api.call("PUT", `/v1/connect/intentions/exact?source=${source}&destination=db`, { Action: "allow" }),
      ),
    );
    assert.equal((await api.call("GET", "/v1/connect/intentions")).json.length, 12);
  });
});
