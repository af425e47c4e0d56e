/** What `/v1/agent/metrics` shows of proxies, certificates and the federation. */
import { X509Certificate } from "node:crypto";
import type { XdsCounters } from "../ads/ads-server.ts";
import type { StatusResponse } from "../model/isthmus-api.ts";
import type { DatacenterRecord, ServiceRecord } from "../model/records.ts";
import type { Gauge } from "../server/http/dependencies.ts";
import type { Store } from "../store/store.ts";
import type { ProxyState } from "./liveness.ts";

export interface GaugeSources {
  readonly store: Store;
  readonly datacenter: string;
  readonly proxies: () => readonly ServiceRecord[];
  readonly state: (proxyId: string) => ProxyState;
  readonly xds: () => XdsCounters;
  /** PEM of the certificate that the API, xDS and the federation link show. */
  readonly serverCertificate: () => string;
  /** Absent in the primary. */
  readonly replication?: () => NonNullable<StatusResponse["Replication"]>;
  /** Names of the datacenters whose links to this one are up. */
  readonly connected: () => readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function gauges(sources: GaugeSources): readonly Gauge[] {
  return [...proxyGauges(sources), ...certificateGauges(sources), ...federationGauges(sources)];
}

function proxyGauges({ proxies, state, xds }: GaugeSources): readonly Gauge[] {
  const states = proxies().map((proxy) => state(proxy.ID));
  const refused = states.flatMap(({ types }) => [...types.values()].filter((type) => type.state === "nacked"));
  return [
    { name: "isthmus.proxies.registered", help: "Sidecars and gateways in the catalog.", value: states.length },
    {
      name: "isthmus.proxies.connected",
      help: "Proxies with an open xDS stream.",
      value: states.filter(({ connected }) => connected).length,
    },
    {
      name: "isthmus.xds.nacked_types",
      help: "Resource types that a proxy has refused and not accepted since, over all proxies.",
      value: refused.length,
    },
    { name: "isthmus.xds.streams", help: "ADS and HDS streams opened since the start.", value: xds().streams },
    { name: "isthmus.xds.messages_sent", help: "Messages sent to proxies since the start.", value: xds().messagesSent },
    { name: "isthmus.xds.bytes_sent", help: "Bytes sent to proxies since the start.", value: xds().bytesSent },
  ];
}

/** For each sort of certificate the one that ends first. */
function certificateGauges({ store, serverCertificate, now }: GaugeSources): readonly Gauge[] {
  const intermediate = store.get("signer", "connect-intermediate")?.value.Chain[0];
  const ends: readonly (readonly [certificate: string, notAfter: readonly string[]])[] = [
    ["connect-root", store.list("ca-root").map(({ value }) => value.NotAfter)],
    ["connect-intermediate", intermediate ? [new X509Certificate(intermediate).validTo] : []],
    ["connect-leaf", store.list("leaf").map(({ value }) => value.NotAfter)],
    ["control-server", [new X509Certificate(serverCertificate()).validTo]],
    ["proxy-identity", newestIdentities(store)],
  ];
  return ends.flatMap(([certificate, notAfter]) => {
    if (notAfter.length === 0) return [];
    const first = notAfter.reduce((least, text) => Math.min(least, Date.parse(text)), Number.POSITIVE_INFINITY);
    return [
      {
        name: "isthmus.certificates.seconds_to_expiry",
        help: "Time left for the certificate of its sort that ends first.",
        value: Math.round((first - now()) / 1000),
        labels: { certificate },
      },
    ];
  });
}

/** A proxy's former identity ends without anybody missing it. */
function newestIdentities(store: Store): readonly string[] {
  const newest = new Map<string, string>();
  for (const { value } of store.list("proxy-identity")) {
    const known = newest.get(value.ProxyID);
    if (known === undefined || Date.parse(known) < Date.parse(value.NotAfter))
      newest.set(value.ProxyID, value.NotAfter);
  }
  return [...newest.values()];
}

function federationGauges(sources: GaugeSources): readonly Gauge[] {
  const link = sources.replication?.();
  if (link) {
    const silentMs = link.LastSuccess === "" ? undefined : sources.now() - Date.parse(link.LastSuccess);
    const lag = link.Connected ? 0 : silentMs;
    return [
      linkGauge(link.SourceDatacenter, link.Connected),
      {
        name: "isthmus.replication.index",
        help: "Revision of the primary that this datacenter has reached.",
        value: link.ReplicatedIndex,
      },
      ...(lag === undefined
        ? []
        : [
            {
              name: "isthmus.replication.lag_seconds",
              help: "How long nothing has come from the primary while its link is down; 0 while it is up.",
              value: Math.round(lag / 1000),
            },
          ]),
    ];
  }
  const connected = new Set(sources.connected());
  return sources.store
    .list("datacenter")
    .map(({ value }): DatacenterRecord => value)
    .filter(({ Name }) => Name !== sources.datacenter)
    .map(({ Name }) => linkGauge(Name, connected.has(Name)));
}

function linkGauge(datacenter: string, connected: boolean): Gauge {
  return {
    name: "isthmus.federation.connected",
    help: "1 while the link to or from that datacenter is up.",
    value: connected ? 1 : 0,
    labels: { datacenter },
  };
}
