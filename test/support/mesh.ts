/** The tutorial's federation without Pulumi: `web` in dc2 calls `socat` in dc1 through a gateway in each datacenter. */
import { type ConfigChange, type Federation, startFederation } from "./control-planes.ts";
import type { RunningProxy } from "./proxies.ts";
import { type Service, startGateway, startService } from "./services.ts";

export interface Mesh extends Federation {
  readonly gateways: { readonly dc1: RunningProxy; readonly dc2: RunningProxy };
  readonly socat: Service;
  readonly web: Service;
  readonly proxies: readonly RunningProxy[];
}

/** Upstream port of web to socat. */
export const toSocat = 9191;

/** Ready, and with no intention but the default deny. Hosts 1 to 20 of the loopback network are taken. */
export async function startMesh(change: ConfigChange = {}, socatChecks: readonly unknown[] = []): Promise<Mesh> {
  const stack = new AsyncDisposableStack();
  try {
    const federation = stack.use(await startFederation(change));
    const { dc1, dc2, loopback } = federation;
    await dc1.api.put("/v1/config", { Kind: "proxy-defaults", Name: "global", MeshGateway: { Mode: "local" } });
    const gateways = {
      dc1: await startGateway(stack, dc1, "gateway-primary", loopback.address(3)),
      dc2: await startGateway(stack, dc2, "gateway-secondary", loopback.address(4)),
    };
    const socat = await startService(stack, dc1, {
      name: "socat",
      address: loopback.address(11),
      checks: socatChecks,
    });
    const web = await startService(stack, dc2, {
      name: "web",
      address: loopback.address(12),
      app: "none",
      upstreams: [{ service: "socat", datacenter: "dc1", port: toSocat }],
    });
    const proxies = [gateways.dc1, gateways.dc2, socat.sidecar, web.sidecar];
    for (const proxy of proxies) await proxy.ready();
    return {
      ...federation,
      gateways,
      socat,
      web,
      proxies,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Writes an intention in one of the datacenters. */
export async function intend(
  mesh: Federation,
  action: "allow" | "deny",
  pair: { readonly source: string; readonly destination: string; readonly from?: "dc1" | "dc2" },
): Promise<void> {
  const path = `/v1/connect/intentions/exact?source=${pair.source}&destination=${pair.destination}`;
  await mesh[pair.from ?? "dc1"].api.put(path, { Action: action });
}
