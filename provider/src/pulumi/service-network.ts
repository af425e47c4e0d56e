/** Which service units belong to the WAN network: those that dial another datacenter themselves, and those it may dial. */

import type { StatusResponse } from "../model/isthmus-api.ts";
import { resolveMeshGatewayMode } from "../model/mesh-gateway-mode.ts";
import type { ProxyConfig, ProxyDefaultsEntry, ServiceDefaultsEntry } from "../model/records.ts";
import { type ApiClient, findRuntime, orUndefined } from "./api-client.ts";
import type { HandlerContext } from "./context.ts";

/** The central configuration of a datacenter, as far as it says how traffic goes. */
export interface CentralConfig {
  readonly datacenter: string;
  readonly network: "isolated" | "routed";
  readonly proxyDefaults: ProxyDefaultsEntry | undefined;
  readonly serviceDefaults: readonly ServiceDefaultsEntry[];
}

/** Reads it from the datacenter itself. */
export async function readCentralConfig(api: ApiClient): Promise<CentralConfig> {
  const [status, proxyDefaults, serviceDefaults] = await Promise.all([
    api.get<StatusResponse>("/v1/isthmus/status"),
    orUndefined(api.get<ProxyDefaultsEntry>("/v1/config/proxy-defaults/global")),
    api.get<readonly ServiceDefaultsEntry[]>("/v1/config/service-defaults"),
  ]);
  return { datacenter: status.Datacenter, network: status.Network ?? "isolated", proxyDefaults, serviceDefaults };
}

/**
 * True when the sidecar's unit has to be in the WAN network: an upstream goes to another datacenter's gateways, or the
 * datacenter's services and others dial each other directly.
 */
export function needsWan(service: string, proxy: ProxyConfig, central: CentralConfig): boolean {
  if (central.network === "routed") return true;
  const defaultsOf = (name: string) => central.serviceDefaults.find((entry) => entry.Name === name);
  return (proxy.Upstreams ?? []).some(
    (upstream) =>
      (upstream.Datacenter || central.datacenter) !== central.datacenter &&
      resolveMeshGatewayMode({
        proxyDefaults: central.proxyDefaults,
        serviceDefaults: defaultsOf(service),
        destinationDefaults: defaultsOf(upstream.DestinationName),
        proxy,
        upstream,
      }) === "remote",
  );
}

interface RegisteredProxy {
  readonly Kind?: string;
  readonly Proxy?: ProxyConfig;
}

/**
 * Puts every service unit of the mesh into the networks that the modes now ask for, in place. Called after the central
 * configuration changed; a datacenter that does not answer is left as it is and said so.
 */
export async function connectServices(mesh: string, datacenter: string, context: HandlerContext): Promise<void> {
  const runtime = await findRuntime(mesh, datacenter, context.findRuntimes);
  if (!runtime) return;
  const units = (await runtime.list(mesh)).filter((unit) => unit.id.role === "service");
  for (const name of new Set(units.map((unit) => unit.id.datacenter))) {
    using api = context.openApi(runtime, mesh, name);
    try {
      const central = await readCentralConfig(api);
      const services = Object.values(await api.get<Readonly<Record<string, RegisteredProxy>>>("/v1/agent/services"));
      for (const unit of units.filter((one) => one.id.datacenter === name)) {
        const proxy = services.find(
          (one) => one.Kind === "connect-proxy" && one.Proxy?.DestinationServiceName === unit.id.name,
        )?.Proxy;
        const wan = proxy !== undefined && needsWan(unit.id.name, proxy, central);
        if (wan !== (unit.placement.wan !== undefined)) await runtime.ensureUnit(unit.id, unit.owner, { wan });
      }
    } catch (error) {
      context.log(`datacenter "${name}": networks of its services were not adjusted: ${(error as Error).message}`);
    }
  }
}
