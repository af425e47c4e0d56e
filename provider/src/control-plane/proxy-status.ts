/** A proxy as `status` shows it. Pure. */
import type { ProxyStatus } from "../model/isthmus-api.ts";
import type { LeafRecord, ServiceRecord } from "../model/records.ts";
import type { ProxyState } from "./liveness.ts";

/** Listeners: a proxy that acknowledged them serves. */
const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener";

export function proxyStatus(
  proxy: ServiceRecord,
  state: ProxyState,
  warnings: readonly string[],
  leaf: LeafRecord | undefined,
): ProxyStatus {
  const types = [...state.types].sort(([a], [b]) => (a < b ? -1 : 1));
  const acked = types.every(([, status]) => status.state === "acked");
  return {
    ProxyID: proxy.ID,
    Service: proxy.Kind === "connect-proxy" ? (proxy.Proxy?.DestinationServiceName ?? proxy.Service) : proxy.Service,
    Kind: proxy.Kind === "mesh-gateway" ? "mesh-gateway" : "connect-proxy",
    Connected: state.connected,
    Ready: state.connected && acked && state.types.get(listenerType)?.state === "acked",
    Warnings: warnings,
    Types: types.map(([typeUrl, status]) => ({
      TypeUrl: typeUrl,
      State: status.state,
      At: new Date(status.at).toISOString(),
      ...(status.state === "nacked" ? { Error: status.error } : {}),
    })),
    ...(leaf ? { Certificate: { Serial: leaf.SerialNumber, NotAfter: leaf.NotAfter } } : {}),
  };
}
