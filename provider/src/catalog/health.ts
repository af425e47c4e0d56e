/** Instances with their health and the address to reach them at. Pure. */
import { worstStatus } from "../model/health.ts";
import type { Address, CheckRecord, CheckStatus, NodeRecord, ServiceRecord } from "../model/records.ts";
import type { Stored } from "../store/store.ts";
import { aliasStatus } from "./checks.ts";

/** An instance, its node, its own checks and those of the node. */
export interface Instance {
  readonly node: Stored<"node">;
  readonly service: Stored<"service">;
  readonly checks: readonly Stored<"check">[];
}

/** Health of the instance: `critical` if any check is, then `warning`, else `passing`. */
export function instanceStatus(instance: Pick<Instance, "checks">): CheckStatus {
  return worstStatus(instance.checks.map((check) => check.value));
}

/**
 * Checks that count for an instance: the node's, its own, and for a sidecar that a service's registration made one more
 * that repeats the health of that service.
 */
export function checksOfInstance(
  service: Stored<"service">,
  checks: readonly Stored<"check">[],
): readonly Stored<"check">[] {
  const { Node, ID, SidecarOf } = service.value;
  const own = checks.filter(
    (check) => check.value.Node === Node && (check.value.ServiceID === "" || check.value.ServiceID === ID),
  );
  if (SidecarOf === undefined) return own;
  const repeated = checks.filter((check) => check.value.Node === Node && check.value.ServiceID === SidecarOf);
  return [...own, sidecarAlias(service, SidecarOf, repeated)];
}

function sidecarAlias(
  sidecar: Stored<"service">,
  serviceId: string,
  repeated: readonly Stored<"check">[],
): Stored<"check"> {
  const { Node, ID, Service } = sidecar.value;
  const value: CheckRecord = {
    Node,
    CheckID: `service:${ID}:alias`,
    Name: `Connect Sidecar Aliasing ${serviceId}`,
    ...aliasStatus(
      { id: serviceId, exists: true },
      repeated.map((check) => check.value),
    ),
    Notes: "",
    ServiceID: ID,
    ServiceName: Service,
    Type: "alias",
    Definition: { AliasService: serviceId },
  };
  return {
    kind: "check",
    key: `${Node}/${value.CheckID}`,
    value,
    createIndex: sidecar.createIndex,
    modifyIndex: Math.max(sidecar.modifyIndex, ...repeated.map((check) => check.modifyIndex)),
  };
}

/**
 * Where an instance is reached: from another datacenter (`wan`) its WAN address, else its own, else the node's WAN
 * address, else the node's; from the same one its LAN address, else its own, else the node's.
 */
export function bestAddress(
  service: Pick<ServiceRecord, "Address" | "Port" | "TaggedAddresses">,
  node: Pick<NodeRecord, "Address" | "TaggedAddresses"> | undefined,
  from: "lan" | "wan",
): Address {
  const tagged = service.TaggedAddresses[from];
  if (tagged?.Address) return { Address: tagged.Address, Port: tagged.Port || service.Port };
  if (service.Address) return { Address: service.Address, Port: service.Port };
  return { Address: node?.TaggedAddresses?.[from] || node?.Address || "", Port: service.Port };
}
