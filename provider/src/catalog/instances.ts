/** Instances of services: those of this datacenter's catalog, and those that another datacenter lets us know. */
import type { CheckRecord, NodeRecord, RecordKind, ServiceRecord } from "../model/records.ts";
import type { Store, Stored } from "../store/store.ts";
import { checksOfInstance, type Instance } from "./health.ts";

/** Kinds that {@link instances} reads. */
export const instanceKinds = ["node", "service", "check"] as const satisfies readonly RecordKind[];

/** All instances for which the filter holds, sorted by node and id. */
export function instances(store: Store, filter: (service: ServiceRecord) => boolean): readonly Instance[] {
  const checksByNode = new Map<string, readonly Stored<"check">[]>();
  const checksOf = (node: string): readonly Stored<"check">[] => {
    const known = checksByNode.get(node) ?? store.list("check", `${node}/`);
    checksByNode.set(node, known);
    return known;
  };
  return store
    .list("service")
    .filter((service) => filter(service.value))
    .flatMap((service) => {
      const node = store.get("node", service.value.Node);
      return node ? [{ node, service, checks: checksOfInstance(service, checksOf(service.value.Node)) }] : [];
    });
}

/**
 * Instances that another datacenter announced. Its nodes are not known here: each instance brings a node of its own
 * address, and one check with the status that its datacenter gave it.
 */
export function importedInstances(
  store: Store,
  datacenter: string,
  filter: (service: ServiceRecord) => boolean,
): readonly Instance[] {
  return store.list("imported-service", `${datacenter}/`).flatMap((record) =>
    record.value.Instances.filter((one) => filter(one.Service)).map(({ Service, Status }) => {
      const at = { createIndex: record.createIndex, modifyIndex: record.modifyIndex };
      const node: NodeRecord = { Node: Service.Node, ID: "", Address: Service.Address, Datacenter: datacenter };
      const check: CheckRecord = {
        Node: Service.Node,
        CheckID: `datacenter:${datacenter}:${Service.ID}`,
        Name: `Status in ${datacenter}`,
        Status,
        Notes: "",
        Output: "",
        ServiceID: Service.ID,
        ServiceName: Service.Service,
        Type: "external",
        Definition: {},
      };
      const key = `${Service.Node}/${Service.ID}`;
      return {
        node: { kind: "node", key: Service.Node, value: node, ...at },
        service: { kind: "service", key, value: Service, ...at },
        checks: [{ kind: "check", key: `${Service.Node}/${check.CheckID}`, value: check, ...at }],
      } satisfies Instance;
    }),
  );
}
