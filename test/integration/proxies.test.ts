/** What a control plane sees of its proxies: refusals, revoked and renewed identities, registrations that come and go. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { intend, type Mesh, startMesh, toSocat } from "../support/mesh.ts";
import { reloads } from "../support/proxies.ts";
import { registration, startApp } from "../support/services.ts";
import { converseOn, sayOn } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";

describe("proxies", { timeout: 180_000 }, () => {
  let mesh: Mesh;
  const echoes = (text: string) =>
    eventually(`"${text}" comes back`, async () => {
      return (await sayOn(await mesh.web.dial(toSocat), text)).text === `${text}\n`;
    });
  const proxyCheck = async (id: string) => {
    const checks = await mesh.dc2.api.get("/v1/agent/checks");
    return checks[`proxy:${id}`]?.Status as string | undefined;
  };
  before(async () => {
    mesh = await startMesh();
    await intend(mesh, "allow", { source: "web", destination: "socat" });
    await echoes("ready");
  });
  after(async () => {
    await mesh?.[Symbol.asyncDispose]();
  });

  test("a refused listener is shown, the last good configuration stays, and a right one heals it", async () => {
    const { dc2, web, loopback } = mesh;
    const taken = 9292;
    const options = { name: "web", address: loopback.address(12) };
    const upstream = { service: "socat", datacenter: "dc1", port: toSocat };
    await using _other = await startApp(options.address, taken, "echo");
    const talk = converseOn(await web.dial(toSocat));
    const put = (upstreams: readonly (typeof upstream)[]) =>
      dc2.api.put("/v1/agent/service/register", registration({ ...options, upstreams }));
    await put([upstream, { ...upstream, port: taken }]);
    const refused = await eventually("the refusal is shown", async () => {
      const { Ready, Types } = await web.sidecar.status();
      const nacked = Types.find(({ State }) => State === "nacked");
      return nacked && !Ready && nacked;
    });
    assert.match(refused.TypeUrl, /Listener$/);
    assert.match(refused.Error ?? "", /9292/);
    const gauge = (await dc2.api.get("/v1/agent/metrics")).Gauges.find(
      ({ Name }: { Name: string }) => Name === "isthmus.xds.nacked_types",
    );
    assert.equal(gauge.Value, 1);
    assert.equal(dc2.log().split("the proxy refused a resource").length - 1, 1, "it is sent once, not again and again");
    await echoes("on the last good configuration");
    await put([upstream]);
    await web.sidecar.ready();
    assert.equal(talk.broken(), undefined);
    talk.close();
  });

  test("a deregistered proxy's stream is cut; registered again, it comes back without a restart", async () => {
    const { dc2, web, loopback } = mesh;
    const pid = web.sidecar.pid;
    const upstreams = [{ service: "socat", datacenter: "dc1", port: toSocat }];
    const options = { name: "web", address: loopback.address(12), upstreams };
    const talk = converseOn(await web.dial(toSocat));
    const cut = performance.now();
    await dc2.api.put("/v1/agent/service/deregister/web");
    await eventually(
      "its stream is cut",
      async () => (await web.sidecar.counter(/control_plane.connected_state/)) === 0,
    );
    console.log(`stream cut after ${(performance.now() - cut).toFixed(0)} ms`);
    await dc2.api.put("/v1/agent/service/register", registration(options));
    assert.equal(await proxyCheck("web-sidecar-proxy"), "critical");
    await web.sidecar.renewIdentity();
    const renewed = performance.now();
    await eventually("it is passing again", async () => (await proxyCheck("web-sidecar-proxy")) === "passing", 20_000);
    await web.sidecar.ready();
    console.log(`back ${(performance.now() - renewed).toFixed(0)} ms after its new identity`);
    await echoes("registered anew");
    assert.equal(web.sidecar.pid, pid);
    assert.equal(talk.broken(), undefined, "traffic was not touched");
    talk.close();
  });

  test("a registration that changes nothing leaves its proxy as it is", async () => {
    const { dc2, web, loopback } = mesh;
    const upstreams = [{ service: "socat", datacenter: "dc1", port: toSocat }];
    const before = await reloads(web.sidecar);
    await dc2.api.put(
      "/v1/agent/service/register",
      registration({ name: "web", address: loopback.address(12), upstreams }),
    );
    assert.equal(await proxyCheck("web-sidecar-proxy"), "passing");
    await echoes("unchanged");
    assert.equal(await reloads(web.sidecar), before);
  });

  test("a new identity is taken up by itself; the former one stays good until the next", async () => {
    const { web } = mesh;
    for (let round = 0; round < 3; round += 1) await web.sidecar.renewIdentity();
    await eventually("it is connected with a newer identity", async () => (await web.sidecar.status()).Ready);
    await echoes("new identity");
  });

  test("a proxy whose token is deleted is cut", async () => {
    const { dc2, web } = mesh;
    const { AccessorID, SecretID } = await dc2.api.put("/v1/acl/token", {
      ServiceIdentities: [{ ServiceName: "web" }],
      Local: true,
    });
    await web.sidecar.renewIdentity(SecretID);
    await web.sidecar.renewIdentity(SecretID);
    await web.sidecar.ready();
    await dc2.api.delete(`/v1/acl/token/${AccessorID}`);
    const cut = performance.now();
    await eventually("it is not connected", async () => !(await web.sidecar.status()).Connected, 1_000);
    console.log(`cut ${(performance.now() - cut).toFixed(0)} ms after its token went`);
    await eventually("it counts as gone", async () => (await proxyCheck("web-sidecar-proxy")) === "critical", 3_000);
    await web.sidecar.renewIdentity();
    await eventually("it is back", async () => (await proxyCheck("web-sidecar-proxy")) === "passing", 20_000);
  });
});
