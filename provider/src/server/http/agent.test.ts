/** Registration through the agent's paths: services, sidecars, checks, maintenance, waiting by content. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTestApi } from "./fixture.test.ts";

const web = {
  Name: "web",
  Port: 8080,
  Connect: {
    SidecarService: { Proxy: { Upstreams: [{ DestinationName: "socat", Datacenter: "dc2", LocalBindPort: 8181 }] } },
  },
};

describe("agent services", () => {
  it("registers a service with its sidecar and takes both out again", async () => {
    await using api = await createTestApi();
    assert.equal((await api.call("PUT", "/v1/agent/service/register", web)).status, 200);
    const { json } = await api.call("GET", "/v1/agent/services");
    assert.deepEqual(Object.keys(json).sort(), ["web", "web-sidecar-proxy"]);
    const sidecar = json["web-sidecar-proxy"];
    assert.equal(sidecar.Kind, "connect-proxy");
    assert.equal(sidecar.Port, 21000);
    assert.equal(sidecar.Proxy.DestinationServiceName, "web");
    assert.equal(sidecar.Proxy.DestinationServiceID, "web");
    assert.equal(sidecar.Proxy.LocalServiceAddress, "127.0.0.1");
    assert.equal(sidecar.Proxy.LocalServicePort, 8080);
    assert.equal(sidecar.Proxy.Upstreams[0].DestinationType, "service");
    assert.equal(sidecar.TokenAccessor, undefined);
    assert.equal(api.store.get("service", "dc1-server/web")?.value.TokenAccessor, "management");
    const checks = await api.call("GET", "/v1/agent/checks");
    assert.equal(checks.json["proxy:web-sidecar-proxy"].Status, "critical");

    assert.equal((await api.call("PUT", "/v1/agent/service/deregister/web")).status, 200);
    assert.deepEqual((await api.call("GET", "/v1/agent/services")).json, {});
    assert.deepEqual((await api.call("GET", "/v1/agent/checks")).json, {});
    assert.equal((await api.call("PUT", "/v1/agent/service/deregister/web")).status, 404);
  });

  it("changes nothing when the same is registered again, in any spelling", async () => {
    await using api = await createTestApi();
    await api.call("PUT", "/v1/agent/service/register", web);
    const before = api.store.index;
    const snake = {
      name: "web",
      port: 8080,
      connect: {
        sidecar_service: {
          proxy: { upstreams: [{ destination_name: "socat", datacenter: "dc2", local_bind_port: 8181 }] },
        },
      },
    };
    assert.equal((await api.call("PUT", "/v1/agent/service/register", snake)).status, 200);
    assert.equal(api.store.index, before);
  });

  it("removes a sidecar that is no longer asked for, with its proxy's identity", async () => {
    await using api = await createTestApi();
    await api.call("PUT", "/v1/agent/service/register", web);
    const identity = {
      Fingerprint: "AA",
      ProxyID: "web-sidecar-proxy",
      TokenAccessor: "x",
      NotAfter: "2030-01-01T00:00:00Z",
    };
    await api.store.txn([{ op: "set", kind: "proxy-identity", key: "AA", value: identity }]);
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 8080 });
    assert.equal(api.store.get("service", "dc1-server/web-sidecar-proxy"), undefined);
    assert.equal(api.store.get("proxy-identity", "AA"), undefined);
    assert.equal(api.store.get("check", "dc1-server/proxy:web-sidecar-proxy"), undefined);
  });

  it("gives sidecars registered at once different ports", async () => {
    await using api = await createTestApi();
    const names = Array.from({ length: 20 }, (_, at) => `s${at}`);
    const replies = await Promise.all(
      names.map((Name) =>
        api.call("PUT", "/v1/agent/service/register", { Name, Port: 80, Connect: { SidecarService: {} } }),
      ),
    );
    assert.deepEqual(new Set(replies.map((one) => one.status)), new Set([200]));
    const ports = api.store
      .list("service")
      .filter((one) => one.value.Kind === "connect-proxy")
      .map((one) => one.value.Port);
    assert.equal(new Set(ports).size, 20);
  });

  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    ["unknown property", { Name: "web", Prot: 1 }, /unknown property "Prot"; known are .*Port/],
    [
      "unknown property deep inside",
      { Name: "web", Connect: { SidecarService: { Proxy: { Upstreems: [] } } } },
      /Connect\.SidecarService\.Proxy: unknown property "Upstreems"/,
    ],
    ["wrong type", { Name: "web", Port: "8080" }, /Port: .*number/],
    ["port out of range", { Name: "web", Port: 70000 }, /Port: must be in 0\.\.65535/],
    ["the same property twice", '{"Name":"web","name":"api"}', /"Name" and "name" are the same property/],
    [
      "same local port twice",
      {
        Name: "web",
        Connect: {
          SidecarService: {
            Proxy: {
              Upstreams: [
                { DestinationName: "a", LocalBindPort: 1 },
                { DestinationName: "b", LocalBindPort: 1 },
              ],
            },
          },
        },
      },
      /Upstreams\[1\]\.LocalBindPort: 127\.0\.0\.1:1 is already upstream 0's/,
    ],
    [
      "mode as text",
      { Name: "web", Connect: { SidecarService: { Proxy: { MeshGateway: "local" } } } },
      /"MeshGateway": \{"Mode": "local"\}/,
    ],
    ["a name that no SNI can have", { Name: "We b" }, /Name: must be 1 to 80/],
    ["another namespace", { Name: "web", Namespace: "team" }, /Namespace must be "default"/],
    ["what Consul has and we have not", { Name: "web", Connect: { Native: true } }, /Native is not supported here/],
    [
      "two kinds of check in one",
      { Name: "web", Check: { TTL: "10s", TCP: "127.0.0.1:1", Interval: "1s" } },
      /exactly one of TCP, HTTP, TTL and AliasService/,
    ],
    ["a TCP check without interval", { Name: "web", Check: { TCP: "127.0.0.1:1" } }, /needs an Interval/],
    [
      "a gateway with upstreams",
      { Name: "gw", Kind: "mesh-gateway", Port: 1, Proxy: { Upstreams: [{ DestinationName: "a", LocalBindPort: 1 }] } },
      /has no upstreams/,
    ],
    [
      "a proxy before nothing",
      { Name: "p", Kind: "connect-proxy", Port: 1, Proxy: {} },
      /needs Proxy\.DestinationServiceName/,
    ],
    ["a wildcard address", { Name: "web", Address: "0.0.0.0" }, /Address: .*not a wildcard/],
    ["no body", "", /the body is empty/],
    ["no JSON", "{", /not JSON/],
    ["a list", "[]", /expected object/],
    ["__proto__", '{"Name":"web","Meta":{"__proto__":{"x":1}}}', /__proto__/],
  ];
  for (const [what, body, message] of refused) {
    it(`refuses ${what}`, async () => {
      await using api = await createTestApi();
      const before = api.store.index;
      const reply = await api.call("PUT", "/v1/agent/service/register", body);
      assert.equal(reply.status, 400, reply.text);
      assert.match(reply.text, message);
      assert.equal(api.store.index, before);
    });
  }

  it("waits until the content has another hash", async () => {
    await using api = await createTestApi();
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 1 });
    const first = await api.call("GET", "/v1/agent/service/web");
    const hash = first.headers.get("x-consul-contenthash");
    assert.equal(first.json.ContentHash, hash);
    const waiting = api.call("GET", `/v1/agent/service/web?hash=${hash}&wait=30s`);
    await api.call("PUT", "/v1/agent/service/register", { Name: "other", Port: 1 });
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 2 });
    const second = await waiting;
    assert.equal(second.json.Port, 2);
    assert.notEqual(second.json.ContentHash, hash);
  });

  it("takes a service into maintenance and out again", async () => {
    await using api = await createTestApi();
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 1 });
    await api.call("PUT", "/v1/agent/service/maintenance/web?enable=true&reason=disk");
    assert.deepEqual((await api.call("GET", "/v1/health/service/web?passing")).json, []);
    const [critical] = (await api.call("GET", "/v1/health/state/critical")).json;
    assert.equal(critical.Notes, "disk");
    await api.call("PUT", "/v1/agent/service/maintenance/web?enable=false");
    assert.equal((await api.call("GET", "/v1/health/service/web?passing")).json.length, 1);
    assert.equal((await api.call("PUT", "/v1/agent/service/maintenance/web")).status, 400);
  });
});

describe("agent checks", () => {
  it("takes reports on TTL checks, keeps the status over a re-registration, and passes the sidecar's health on", async () => {
    await using api = await createTestApi();
    const service = { ...web, Check: { TTL: "10m" } };
    await api.call("PUT", "/v1/agent/service/register", service);
    await api.call("PUT", "/v1/agent/check/pass/service:web?note=fine");
    await api.call("PUT", "/v1/agent/service/register", service);
    const { json } = await api.call("GET", "/v1/agent/checks");
    assert.equal(json["service:web"].Status, "passing");
    assert.equal(json["service:web"].Output, "fine");
    const update = await api.call("PUT", "/v1/agent/check/update/service:web", { Status: "warning", Output: "hm" });
    assert.equal(update.status, 200);
    const [sidecar] = (await api.call("GET", "/v1/health/connect/web")).json;
    const alias = sidecar.Checks.find((check: { Type: string }) => check.Type === "alias");
    assert.equal(alias.Status, "warning");
    assert.equal((await api.call("PUT", "/v1/agent/check/fail/proxy:web-sidecar-proxy")).status, 400);
    assert.equal((await api.call("PUT", "/v1/agent/check/pass/nothing")).status, 404);
  });

  it("registers and removes a check of the node or of a service", async () => {
    await using api = await createTestApi();
    assert.equal((await api.call("PUT", "/v1/agent/check/register", { Name: "disk", TTL: "1m" })).status, 200);
    assert.equal(
      (await api.call("PUT", "/v1/agent/check/register", { Name: "x", TTL: "1m", ServiceID: "web" })).status,
      404,
    );
    assert.equal((await api.call("GET", "/v1/health/node/dc1-server")).json[0].CheckID, "disk");
    assert.equal((await api.call("PUT", "/v1/agent/check/deregister/disk")).status, 200);
    assert.deepEqual((await api.call("GET", "/v1/health/node/dc1-server")).json, []);
  });

  it("drops checks that a registration does not name only when asked to", async () => {
    await using api = await createTestApi();
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 1, Check: { TTL: "1m" } });
    await api.call("PUT", "/v1/agent/service/register", { Name: "web", Port: 1 });
    assert.equal(api.store.list("check").length, 1);
    await api.call("PUT", "/v1/agent/service/register?replace-existing-checks=true", { Name: "web", Port: 1 });
    assert.equal(api.store.list("check").length, 0);
  });
});
