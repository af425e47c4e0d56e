/** Health: applications checked by their own sidecars, proxies by their streams; what each datacenter makes of it and how fast. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Mesh, startMesh } from "../support/mesh.ts";
import type { RunningProxy } from "../support/proxies.ts";
import { ports, type Service, startService } from "../support/services.ts";
import { eventually } from "../support/wait.ts";

const intervalMs = 500;

describe("health", { timeout: 180_000 }, () => {
  let mesh: Mesh;
  let api: Service;
  /** Dials api and socat from dc2. */
  let nearSidecar: RunningProxy;
  const stack = new AsyncDisposableStack();

  /** Healthy endpoints of a destination, as the Envoy that dials it counts them. */
  const healthy = (proxy: RunningProxy, cluster: string) =>
    proxy.counter(new RegExp(`^cluster\\.${cluster}\\..*membership_healthy$`));
  const status = async (service: string, place: "dc1" | "dc2") => {
    const dc = place === "dc1" ? "" : "?dc=dc1";
    const [instance] = await mesh[place].api.get(`/v1/health/connect/${service}${dc}`);
    const worst = (instance?.Checks ?? []).some((check: { Status: string }) => check.Status === "critical");
    return worst ? "critical" : "passing";
  };
  /** Milliseconds from the act until each holds. */
  const timed = async (
    what: string,
    act: () => Promise<unknown>,
    conditions: Readonly<Record<string, () => Promise<boolean>>>,
    withinMs: number,
  ): Promise<void> => {
    const start = performance.now();
    await act();
    const times = await Promise.all(
      Object.entries(conditions).map(async ([name, holds]) => {
        await eventually(`${what}: ${name}`, holds, withinMs + 8_000);
        return [name, performance.now() - start] as const;
      }),
    );
    console.log(`${what}: ${times.map(([name, ms]) => `${name} ${ms.toFixed(0)} ms`).join(", ")}`);
    for (const [name, ms] of times) assert.ok(ms < withinMs, `${what}: ${name} took ${ms.toFixed(0)} ms`);
  };

  before(async () => {
    mesh = stack.use(await startMesh());
    const { dc1, dc2, loopback } = mesh;
    const address = loopback.address(21);
    const at = { Interval: `${intervalMs}ms`, Timeout: "300ms" };
    api = await startService(stack, dc1, {
      name: "api",
      address,
      app: "http",
      checks: [
        { CheckID: "api-tcp", TCP: `${address}:${ports.app}`, ...at },
        { CheckID: "api-http", HTTP: `http://${address}:${ports.app}/health`, ...at },
        { CheckID: "api-ttl", TTL: "1s" },
      ],
    });
    await dc1.api.put("/v1/agent/check/pass/api-ttl");
    const near = await startService(stack, dc2, {
      name: "near",
      address: loopback.address(22),
      app: "none",
      upstreams: [
        { service: "api", datacenter: "dc1", port: 9191 },
        { service: "socat", datacenter: "dc1", port: 9192 },
      ],
    });
    nearSidecar = near.sidecar;
    await nearSidecar.ready();
  });
  const keepAlive = (): (() => void) => {
    const timer = setInterval(() => void mesh.dc1.api.call("PUT", "/v1/agent/check/pass/api-ttl"), 300);
    return () => clearInterval(timer);
  };
  after(async () => {
    await stack.disposeAsync();
  });

  test("an application that dies is out of every datacenter's endpoints within about two intervals, and comes back", async () => {
    const stop = keepAlive();
    try {
      const holds = (count: number, word: string) => ({
        "dc1's API": async () => (await status("api", "dc1")) === word,
        "dc1's gateway": async () => (await healthy(mesh.gateways.dc1, "api")) === count,
        "dc2's API": async () => (await status("api", "dc2")) === word,
        "dc2's sidecar": async () => (await healthy(nearSidecar, "api")) === count,
      });
      await timed("first result", async () => {}, holds(1, "passing"), 3_000);
      await timed("application dies", async () => api.app?.stop(), holds(0, "critical"), 2 * intervalMs + 1_000);
      const checks = await mesh.dc1.api.get("/v1/health/checks/api");
      assert.deepEqual(
        checks.map((check: { CheckID: string; Status: string }) => [check.CheckID, check.Status]).sort(),
        [
          ["api-http", "critical"],
          ["api-tcp", "critical"],
          ["api-ttl", "passing"],
        ],
      );
      await timed("application comes back", async () => api.app?.start(), holds(1, "passing"), 2 * intervalMs + 1_000);
    } finally {
      stop();
    }
  });

  test("a TTL check that is not reported in time is critical everywhere, and passing with the next report", async () => {
    const { dc1 } = mesh;
    const holds = (count: number, word: string) => ({
      "dc1's API": async () => (await status("api", "dc1")) === word,
      "dc2's sidecar": async () => (await healthy(nearSidecar, "api")) === count,
    });
    const pass = () => dc1.api.put("/v1/agent/check/pass/api-ttl?note=well");
    await timed("last report", pass, holds(0, "critical"), 1_800);
    const stop = keepAlive();
    await timed("report", pass, holds(1, "passing"), 1_000);
    stop();
  });

  test("a sidecar that dies is out within two seconds in every datacenter, and comes back", async () => {
    const { socat } = mesh;
    const holds = (count: number, word: string) => ({
      "dc1's API": async () => (await status("socat", "dc1")) === word,
      "dc1's gateway": async () => (await healthy(mesh.gateways.dc1, "socat")) === count,
      "dc2's API": async () => (await status("socat", "dc2")) === word,
      "dc2's sidecar": async () => (await healthy(mesh.web.sidecar, "socat")) === count,
    });
    await timed("sidecar dies", () => socat.sidecar.kill(), holds(0, "critical"), 2_000);
    await timed("sidecar comes back", () => socat.sidecar.start(), holds(1, "passing"), 2_000);
  });

  test("a gateway that dies is out within two seconds in every datacenter, and comes back", async () => {
    const { gateways, web } = mesh;
    const seen = (count: number) => ({
      "dc2's gateway": async () => (await healthy(gateways.dc2, "[^.]*\\.?dc1")) === count,
    });
    await timed("dc1's gateway dies", () => gateways.dc1.kill(), seen(0), 2_000);
    await timed("dc1's gateway comes back", () => gateways.dc1.start(), seen(1), 2_000);
    const used = (count: number) => ({ "web's sidecar": async () => (await healthy(web.sidecar, "socat")) === count });
    await timed("dc2's gateway dies", () => gateways.dc2.kill(), used(0), 2_000);
    await timed("dc2's gateway comes back", () => gateways.dc2.start(), used(1), 2_000);
  });

  test("health survives the restart of a control plane", async () => {
    const { dc1, socat, web } = mesh;
    await socat.sidecar.kill();
    await eventually("socat is out", async () => (await healthy(web.sidecar, "socat")) === 0);
    await dc1.kill();
    await dc1.start();
    assert.equal(await status("socat", "dc1"), "critical");
    await eventually("dc2 has the link again", async () => (await mesh.dc2.status()).Replication?.Connected);
    assert.equal(await healthy(web.sidecar, "socat"), 0);
    await socat.sidecar.start();
    await eventually("socat is back", async () => (await healthy(web.sidecar, "socat")) === 1);
  });
});
