/** Registrations as transactions: what the store's present content and a request make of it. */
import type { CheckRecord, NodeRecord, ServiceRecord } from "../model/records.ts";
import type { Change, Store } from "../store/store.ts";
import { checkKey } from "./checks.ts";
import type { ServiceInput } from "./definitions.ts";
import { recordsOfDeregistration, recordsOfRegistration } from "./registration.ts";
import { deleteCurrent, setCurrent } from "./transact.ts";

/** Store key of an instance. */
export function serviceKey(service: Pick<ServiceRecord, "Node" | "ID">): string {
  return `${service.Node}/${service.ID}`;
}

/** Services of a node. */
export function servicesOn(store: Store, node: string): readonly ServiceRecord[] {
  return store.list("service", `${node}/`).map((record) => record.value);
}

/** Checks of a node and its services. */
export function checksOn(store: Store, node: string): readonly CheckRecord[] {
  return store.list("check", `${node}/`).map((record) => record.value);
}

/** Registers a service (and its sidecar) on a node, which is written with it. @throws {MeshError} `invalid` */
export function registrationChanges(
  store: Store,
  node: NodeRecord,
  input: ServiceInput,
  options: { readonly tokenAccessor: string; readonly replaceExistingChecks: boolean },
): readonly Change[] {
  const registration = recordsOfRegistration(input, {
    ...options,
    node: node.Node,
    services: servicesOn(store, node.Node),
    checks: checksOn(store, node.Node),
  });
  return [
    setCurrent(store, "node", node.Node, node),
    ...registration.services.map((service) => setCurrent(store, "service", serviceKey(service), service)),
    ...registration.checks.map((check) => setCurrent(store, "check", checkKey(check), check)),
    ...registration.removedChecks.map((check) => deleteCurrent(store, "check", checkKey(check))),
    ...registration.removedServices.flatMap((service) => goneService(store, service)),
  ];
}

/** Takes out a service, the sidecar that was made for it, their checks and their proxies' identities. */
export function deregistrationChanges(store: Store, node: string, serviceId: string): readonly Change[] {
  const gone = recordsOfDeregistration(serviceId, { services: servicesOn(store, node), checks: checksOn(store, node) });
  return [
    ...gone.services.flatMap((service) => goneService(store, service)),
    ...gone.checks.map((check) => deleteCurrent(store, "check", checkKey(check))),
  ];
}

/** The identity goes with the proxy: an id that is registered again must not be served to the old key. */
function goneService(store: Store, service: ServiceRecord): readonly Change[] {
  const identities =
    service.Kind === "" ? [] : store.list("proxy-identity").filter((record) => record.value.ProxyID === service.ID);
  return [
    deleteCurrent(store, "service", serviceKey(service)),
    ...identities.map((record) => deleteCurrent(store, "proxy-identity", record.key)),
  ];
}
