/** Whether the datacenter works and what is still missing, as `status` says it. */
import type { ControlPlaneConfig, StatusResponse } from "../model/isthmus-api.ts";
import type { ServiceRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";
import { version } from "./version.ts";
import { createWatchable, type Watchable } from "./watchable.ts";

export interface Readiness {
  readonly status: Watchable & { readonly response: () => StatusResponse };
  /** Something that readiness depends on changed. */
  changed(): void;
  /** The xDS server listens. */
  listening(): void;
}

export function createReadiness(deps: {
  readonly config: ControlPlaneConfig;
  readonly store: Store;
  readonly connectCa: { readonly ready: boolean; trustDomain(): string | undefined };
  readonly federation: {
    readonly replication?: () => NonNullable<StatusResponse["Replication"]>;
    onStatus(listener: () => void): void;
  };
  readonly gateways: () => readonly ServiceRecord[];
}): Readiness {
  const { config, store, connectCa, federation } = deps;
  const { watchable, changed } = createWatchable();
  let listening = false;
  federation.onStatus(changed);
  store.subscribe(changed);

  const waiting = (replication: StatusResponse["Replication"]): string[] => [
    ...(listening ? [] : ["its ports to be open"]),
    ...(replication && !replication.Connected && replication.ReplicatedIndex === 0
      ? [
          `the first replication from "${config.primaryDatacenter}"${replication.LastError ? ` (${replication.LastError})` : ""}`,
        ]
      : []),
    ...(!config.connect.enabled || connectCa.ready ? [] : ["the Connect CA to be able to sign"]),
  ];

  return {
    changed,
    listening: () => {
      listening = true;
      changed();
    },
    status: {
      get index() {
        return watchable.index;
      },
      subscribe: watchable.subscribe,
      response: () => {
        const replication = federation.replication?.();
        const missing = waiting(replication);
        return {
          Datacenter: config.datacenter,
          PrimaryDatacenter: config.primaryDatacenter,
          Version: version,
          TrustDomain: connectCa.trustDomain() ?? "",
          Network: config.network ?? "isolated",
          Ready: missing.length === 0,
          Waiting: missing,
          Datacenters: datacenters(deps),
          ...(replication ? { Replication: replication } : {}),
        };
      },
    },
  };
}

function datacenters(deps: {
  readonly config: ControlPlaneConfig;
  readonly store: Store;
  readonly gateways: () => readonly ServiceRecord[];
}): StatusResponse["Datacenters"] {
  return deps.store.list("datacenter").map(({ value }) => ({
    Name: value.Name,
    Primary: value.Primary,
    Gateways:
      value.Name === deps.config.datacenter
        ? deps.gateways().length
        : deps.store
            .list("imported-service", `${value.Name}/`)
            .filter((record) => record.value.Kind === "mesh-gateway")
            .reduce((sum, record) => sum + record.value.Instances.length, 0),
  }));
}
