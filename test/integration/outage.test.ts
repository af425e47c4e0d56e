/** Control planes that are away: what goes on without the primary, how it heals, and what a restart sends to Envoy again. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { ControlPlane } from "../support/control-planes.ts";
import { intend, type Mesh, startMesh, toSocat } from "../support/mesh.ts";
import { gauge } from "../support/metrics.ts";
import { reloads } from "../support/proxies.ts";
import { startService } from "../support/services.ts";
import { converseOn, listenOn, sayOn } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";

const toLate = 9393;

describe("outages", { timeout: 180_000 }, () => {
  let mesh: Mesh;
  const stack = new AsyncDisposableStack();
  const echo = async (text: string) => (await sayOn(await mesh.web.dial(toSocat), text)).text === `${text}\n`;
  const echoes = (text: string) => eventually(`"${text}" comes back`, () => echo(text));
  const allReloads = () => Promise.all(mesh.proxies.map(reloads));
  const connected = (controlPlane: ControlPlane) => gauge(controlPlane, "isthmus.proxies.connected");
  const sent = async (...controlPlanes: readonly ControlPlane[]) => {
    let bytes = 0;
    for (const one of controlPlanes) bytes += await gauge(one, "isthmus.xds.bytes_sent");
    return bytes;
  };
  before(async () => {
    mesh = stack.use(await startMesh());
    await intend(mesh, "allow", { source: "web", destination: "socat" });
    await intend(mesh, "allow", { source: "friend", destination: "late" });
    await echoes("ready");
  });
  after(async () => {
    await stack.disposeAsync();
  });

  test("without the primary a secondary serves, registers, issues certificates and enforces; shared writes fail clearly", async () => {
    const { dc1, dc2, loopback, web } = mesh;
    const talk = converseOn(await web.dial(toSocat));
    await dc1.kill();
    await echoes("the primary is away");

    const late = await startService(stack, dc2, { name: "late", address: loopback.address(31), app: "first" });
    await late.sidecar.ready();
    const callers = await Promise.all(
      ["friend", "stranger"].map((name, index) =>
        startService(stack, dc2, {
          name,
          address: loopback.address(32 + index),
          app: "none",
          upstreams: [{ service: "late", datacenter: "dc2", port: toLate }],
        }),
      ),
    );
    for (const caller of callers) await caller.sidecar.ready();
    const heard = async (index: number) => (await listenOn(await callers[index]!.dial(toLate))).text;
    await eventually("the allowed caller hears", async () => (await heard(0)) === "I speak first\n");
    assert.equal(await heard(1), "", "the other hears not one byte");

    await web.sidecar.kill();
    await web.sidecar.start();
    await web.sidecar.ready();
    await echoes("a sidecar restarted meanwhile");

    const entry = { Kind: "service-defaults", Name: "web", Protocol: "tcp" };
    const writes = [
      await dc2.api.call("PUT", "/v1/config", entry),
      await dc2.api.call("PUT", "/v1/connect/intentions/exact?source=a&destination=b", { Action: "allow" }),
      await dc2.api.call("PUT", "/v1/acl/token", { Description: "global" }),
    ];
    for (const { status, text } of writes) {
      assert.equal(status, 503, text);
      assert.match(text, /cannot reach its primary "dc1", so nothing was written/);
    }
    await dc2.api.put("/v1/acl/token", { Description: "local", Local: true });
    const { Ready, Replication } = await dc2.status();
    assert.deepEqual([Ready, Replication?.Connected], [true, false]);
    assert.equal(await gauge(dc2, "isthmus.federation.connected", { datacenter: "dc1" }), 0);
    talk.close();
  });

  test("the primary comes back: everything heals within seconds, and no Envoy reloads anything", async () => {
    const { dc1, dc2, web } = mesh;
    const before = await allReloads();
    const talk = converseOn(await web.dial(toSocat));
    await dc1.start();
    const start = performance.now();
    const time = async (what: string, holds: () => Promise<boolean | undefined>) => {
      await eventually(what, holds, 5_000);
      return `${what} ${(performance.now() - start).toFixed(0)} ms`;
    };
    const times = await Promise.all([
      time("link up", async () => (await dc2.status()).Replication?.Connected),
      time("dc1's proxies connected", async () => (await connected(dc1)) === 2),
      time("late known in dc1", async () => (await dc1.api.get("/v1/health/connect/late?dc=dc2")).length === 1),
      time("a write in dc2 goes through", async () => {
        const path = "/v1/connect/intentions/exact?source=stranger&destination=late";
        return (await dc2.api.call("PUT", path, { Action: "deny" })).status === 200;
      }),
    ]);
    console.log(`primary back, after its API answered: ${times.join(", ")}`);
    assert.equal(await gauge(dc2, "isthmus.replication.lag_seconds"), 0);
    await echoes("healed");
    assert.deepEqual(await allReloads(), before);
    assert.equal(talk.broken(), undefined);
    talk.close();
  });

  test("both control planes are killed and restarted: no connection breaks and next to nothing is sent again", async () => {
    const { dc1, dc2, web } = mesh;
    const talk = converseOn(await web.dial(toSocat));
    const lines = talk.lines();
    const before = await allReloads();
    const all = await connected(dc2);
    await Promise.all([dc1.kill(), dc2.kill()]);
    await echoes("without any control plane");
    await Promise.all([dc1.start(), dc2.start()]);
    await eventually("every proxy is back", async () => {
      return (await connected(dc1)) === 2 && (await connected(dc2)) === all;
    });
    await eventually("the link is up", async () => (await dc2.status()).Replication?.Connected);
    for (const proxy of mesh.proxies) await proxy.ready();
    await echoes("restarted");
    const again = await sent(dc1, dc2);
    assert.deepEqual(await allReloads(), before);
    await eventually("the conversation goes on", () => talk.lines() > lines + 10);
    assert.equal(talk.broken(), undefined);
    talk.close();

    // What a proxy that has nothing is sent, for scale.
    await Promise.all(mesh.proxies.map((proxy) => proxy.kill()));
    await Promise.all(mesh.proxies.map((proxy) => proxy.start()));
    for (const proxy of mesh.proxies) await proxy.ready();
    const full = (await sent(dc1, dc2)) - again;
    console.log(`sent again after the restart: ${again} bytes to ${all + 2} proxies; four new Envoys: ${full} bytes`);
    assert.ok(again < full * 0.1, `${again} of ${full} bytes`);
  });
});
