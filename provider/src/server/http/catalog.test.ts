/** Reading the catalog and health: filters, other datacenters, waiting, and what a token may see. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServiceRecord } from "../../model/records.ts";
import { createTestApi } from "./fixture.test.ts";

const external = {
  Node: "legacy",
  Address: "10.0.0.9",
  NodeMeta: { rack: "a" },
  Service: {
    Service: "db",
    Port: 5432,
    Tags: ["primary"],
    TaggedAddresses: { wan: { Address: "198.18.0.9", Port: 15432 } },
  },
  Check: { CheckID: "db-alive", Name: "alive", Status: "passing", ServiceID: "db" },
};

describe("catalog", () => {
  it("registers nodes, services and checks of elsewhere and takes them out", async () => {
    await using api = await createTestApi();
    assert.equal((await api.call("PUT", "/v1/catalog/register", external)).json, true);
    assert.deepEqual((await api.call("GET", "/v1/catalog/services")).json, { db: ["primary"] });
    const [flat] = (await api.call("GET", "/v1/catalog/service/db")).json;
    assert.equal(flat.ServicePort, 5432);
    assert.equal(flat.Address, "10.0.0.9");
    assert.deepEqual(flat.ServiceTaggedAddresses.wan, { Address: "198.18.0.9", Port: 15432 });
    const [healthy] = (await api.call("GET", "/v1/health/service/db?passing&tag=primary&node-meta=rack:a")).json;
    assert.equal(healthy.Checks[0].CheckID, "db-alive");
    assert.deepEqual((await api.call("GET", "/v1/health/service/db?tag=replica")).json, []);
    assert.equal((await api.call("GET", "/v1/catalog/node/legacy")).json.Services.db.Port, 5432);
    assert.equal((await api.call("GET", "/v1/catalog/node-services/legacy")).json.Services.length, 1);
    assert.equal((await api.call("GET", "/v1/catalog/node/none")).json, null);
    assert.equal((await api.call("GET", "/v1/catalog/nodes")).json.length, 2);
    assert.equal((await api.call("PUT", "/v1/catalog/register", { ...external, Datacenter: "dc9" })).status, 400);
    await api.call("PUT", "/v1/catalog/deregister", { Node: "legacy" });
    assert.deepEqual((await api.call("GET", "/v1/catalog/services")).json, {});
    assert.deepEqual(api.store.list("check"), []);
    assert.equal((await api.call("PUT", "/v1/catalog/deregister", { Node: "dc1-server" })).status, 400);
  });

  it("answers for another datacenter from what it let us know", async () => {
    await using api = await createTestApi();
    const service = (ID: string, Kind: ServiceRecord["Kind"]): ServiceRecord => ({
      Node: "dc2-server",
      ID,
      Service: ID,
      Kind,
      Tags: [],
      Meta: {},
      Address: "10.2.0.5",
      Port: 21000,
      TaggedAddresses: {},
      Weights: { Passing: 1, Warning: 1 },
      EnableTagOverride: false,
      ...(Kind === "connect-proxy" ? { Proxy: { DestinationServiceName: "socat" } } : {}),
    });
    const imported = (Service: string, record: ServiceRecord) =>
      ({
        op: "set",
        kind: "imported-service",
        key: `dc2/${Service}`,
        value: { Datacenter: "dc2", Service, Kind: record.Kind, Instances: [{ Service: record, Status: "critical" }] },
      }) as const;
    await api.store.txn([
      { op: "set", kind: "datacenter", key: "dc2", value: { Name: "dc2", Primary: false, Address: "127.2.0.1:8300" } },
      imported("socat", service("socat-sidecar-proxy", "connect-proxy")),
    ]);
    assert.deepEqual((await api.call("GET", "/v1/catalog/datacenters")).json, ["dc1", "dc2"]);
    const [one] = (await api.call("GET", "/v1/health/connect/socat?dc=dc2")).json;
    assert.equal(one.Service.Address, "10.2.0.5");
    assert.equal(one.Node.Datacenter, "dc2");
    assert.equal(one.Checks[0].Status, "critical");
    assert.deepEqual((await api.call("GET", "/v1/health/connect/socat?dc=dc2&passing")).json, []);
    assert.deepEqual((await api.call("GET", "/v1/health/connect/socat")).json, []);
    const other = await api.call("GET", "/v1/agent/services?dc=dc2");
    assert.equal(other.status, 400);
    assert.match(other.text, /ask that datacenter's own API/);
    assert.match(
      (await api.call("GET", "/v1/catalog/services?dc=dc7")).text,
      /No path to datacenter "dc7"; known are dc1, dc2/,
    );
  });

  it("shows a token only what it may read", async () => {
    await using api = await createTestApi();
    for (const Name of ["web", "db"]) await api.call("PUT", "/v1/agent/service/register", { Name, Port: 1 });
    const secret = api.token({ serviceRead: ["web"], nodeRead: ["*"] });
    const blind = api.token({ serviceRead: ["*"] });
    assert.deepEqual(Object.keys((await api.call("GET", "/v1/catalog/services", undefined, secret)).json), ["web"]);
    assert.deepEqual(Object.keys((await api.call("GET", "/v1/agent/services", undefined, secret)).json), ["web"]);
    assert.deepEqual((await api.call("GET", "/v1/health/service/db", undefined, secret)).json, []);
    assert.equal((await api.call("GET", "/v1/health/service/web", undefined, secret)).json.length, 1);
    assert.deepEqual((await api.call("GET", "/v1/health/service/web", undefined, blind)).json, []);
    assert.equal((await api.call("GET", "/v1/agent/service/db", undefined, secret)).status, 403);
    assert.deepEqual((await api.call("GET", "/v1/catalog/services", undefined, null)).json, {});
  });
});

describe("blocking queries", () => {
  it("answers when the data changes, with the new index", async () => {
    await using api = await createTestApi();
    const first = await api.call("GET", "/v1/health/service/web");
    const waiting = api.call("GET", `/v1/health/service/web?index=${first.index}&wait=30s`);
    const write = await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 1 });
    const second = await waiting;
    assert.equal(second.json.length, 1);
    assert.equal(second.index, write.index);
    assert.equal(second.headers.get("x-consul-knownleader"), "true");
    assert.equal(second.headers.get("x-consul-lastcontact"), "0");
  });

  it("answers with the old index when the time is up, at once for an index from the future", async () => {
    await using api = await createTestApi();
    const first = await api.call("GET", "/v1/catalog/nodes");
    const same = await api.call("GET", `/v1/catalog/nodes?index=${first.index}&wait=20ms`);
    assert.equal(same.index, first.index);
    assert.equal((await api.call("GET", "/v1/catalog/nodes?index=99999&wait=10m")).index, first.index);
    for (const bad of ["index=-1", "index=x", "index=1&wait=soon", "index=1&wait=-5s"]) {
      assert.equal((await api.call("GET", `/v1/catalog/nodes?${bad}`)).status, 400, bad);
    }
  });

  it("shows nothing to a token that went away while it waited", async () => {
    await using api = await createTestApi();
    const secret = api.token({ serviceRead: ["*"], nodeRead: ["*"] });
    const { index } = await api.call("GET", "/v1/health/service/web", undefined, secret);
    const waiting = api.call("GET", `/v1/health/service/web?index=${index}&wait=30s`, undefined, secret);
    await api.call("GET", "/v1/status/leader"); // the waiting request has been taken in when this one is answered
    api.revoke(secret);
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 1 });
    const reply = await waiting;
    assert.equal(reply.status, 403);
    assert.equal(reply.text, "ACL not found");
  });

  it("waits on proxies too, and ends with 503 when the control plane stops", async () => {
    await using api = await createTestApi();
    const proxy = {
      ProxyID: "p",
      Service: "web",
      Kind: "connect-proxy",
      Connected: true,
      Ready: true,
      Warnings: [],
      Types: [],
    } as const;
    const waiting = api.call("GET", "/v1/isthmus/proxies?index=1&wait=30s");
    api.proxies.list = [proxy];
    api.proxies.change();
    assert.deepEqual((await waiting).json, [proxy]);
    const stopped = api.call("GET", "/v1/isthmus/proxies/p?index=2&wait=30s");
    await api.call("GET", "/v1/status/leader");
    api.stop();
    assert.equal((await stopped).status, 503);
  });
});
