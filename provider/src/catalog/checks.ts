/** From a registered check to its record: ids, names, first status. Pure. */
import { MeshError } from "../model/errors.ts";
import type { CheckDefinition, CheckRecord, CheckStatus, ServiceRecord } from "../model/records.ts";
import type { CheckInput } from "./definitions.ts";

/** Id of the check that a service in maintenance mode has. */
export function maintenanceCheckId(serviceId: string): string {
  return `_service_maintenance:${serviceId}`;
}

/** Id of the check that says whether a proxy is connected and has its listeners; the control plane keeps it. */
export function proxyCheckId(proxyId: string): string {
  return `proxy:${proxyId}`;
}

/** Store key of a check. */
export function checkKey(check: Pick<CheckRecord, "Node" | "CheckID">): string {
  return `${check.Node}/${check.CheckID}`;
}

/** Where a check belongs: an instance, or the node when there is none. */
export interface CheckOwner {
  readonly node: string;
  readonly service?: Pick<ServiceRecord, "ID" | "Service">;
}

/**
 * The record of one check.
 * @param fallbackId id when the input has none
 * @throws {MeshError} `invalid` when not exactly one of TCP, HTTP, TTL and AliasService is there, or TCP or HTTP has no Interval.
 */
export function recordOfCheck(input: CheckInput, owner: CheckOwner, fallbackId: string): CheckRecord {
  const type = typeOf(input);
  const name = input.Name || (owner.service ? `Service '${owner.service.Service}' check` : fallbackId);
  return {
    Node: owner.node,
    CheckID: input.CheckID || fallbackId,
    Name: name,
    Status: input.Status ?? (type === "alias" ? "passing" : "critical"),
    Notes: input.Notes ?? "",
    Output: firstOutput(type),
    ServiceID: owner.service?.ID ?? "",
    ServiceName: owner.service?.Service ?? "",
    Type: type,
    Definition: definitionOf(input),
  };
}

/** The checks of one instance, with Consul's ids: `service:<id>`, or `service:<id>:<n>` when there are several. */
export function recordsOfChecks(
  inputs: readonly CheckInput[],
  service: Pick<ServiceRecord, "ID" | "Service" | "Node">,
): readonly CheckRecord[] {
  const records = inputs.map((input, at) =>
    recordOfCheck(
      input,
      { node: service.Node, service },
      inputs.length === 1 ? `service:${service.ID}` : `service:${service.ID}:${at + 1}`,
    ),
  );
  const seen = new Set<string>();
  for (const record of records) {
    if (seen.has(record.CheckID)) {
      throw new MeshError(
        "invalid",
        `service "${service.Service}": check id "${record.CheckID}" is used twice; give each check its own CheckID`,
      );
    }
    seen.add(record.CheckID);
  }
  return records;
}

/** A newly registered proxy counts as critical until its xDS stream is open and its listeners are there. */
export function unconnectedProxyCheck(proxy: ServiceRecord): CheckRecord {
  return {
    Node: proxy.Node,
    CheckID: proxyCheckId(proxy.ID),
    Name: "Envoy connected to its control plane",
    Status: "critical",
    Notes: "",
    Output: "no xDS stream was opened yet",
    ServiceID: proxy.ID,
    ServiceName: proxy.Service,
    Type: "proxy",
    Definition: {},
  };
}

/** The critical check of a service in maintenance mode. */
export function maintenanceCheck(service: ServiceRecord, reason: string): CheckRecord {
  return {
    Node: service.Node,
    CheckID: maintenanceCheckId(service.ID),
    Name: "Service Maintenance Mode",
    Status: "critical",
    Notes: reason || "Maintenance mode is on; no reason was given.",
    Output: "",
    ServiceID: service.ID,
    ServiceName: service.Service,
    Type: "maintenance",
    Definition: {},
  };
}

/** A check that is registered again keeps what is known of its status, as long as it is the same kind of check. */
export function keepStatus(next: CheckRecord, before: CheckRecord | undefined): CheckRecord {
  if (!before || before.Type !== next.Type) return next;
  return { ...next, Status: before.Status, Output: before.Output };
}

/** What an alias check says about the instance it repeats. */
export function aliasStatus(
  target: { readonly id: string; readonly exists: boolean },
  checks: readonly Pick<CheckRecord, "Status" | "Name">[],
): { readonly Status: CheckStatus; readonly Output: string } {
  if (!target.exists) return { Status: "critical", Output: `service "${target.id}" is not registered on this node` };
  const critical = checks.find((check) => check.Status === "critical");
  if (critical) return { Status: "critical", Output: `Aliased check "${critical.Name}" failing` };
  const warning = checks.find((check) => check.Status === "warning");
  if (warning) return { Status: "warning", Output: `Aliased check "${warning.Name}" in warning` };
  return { Status: "passing", Output: checks.length === 0 ? "No checks found." : "All checks passing." };
}

function typeOf(input: CheckInput): "tcp" | "http" | "ttl" | "alias" {
  const types = (
    [
      ["tcp", input.TCP],
      ["http", input.HTTP],
      ["ttl", input.TTL],
      ["alias", input.AliasService],
    ] as const
  ).flatMap(([type, value]) => (value ? [type] : []));
  const [type] = types;
  const label = input.CheckID || input.Name || "check";
  if (!type || types.length > 1) {
    throw new MeshError(
      "invalid",
      `check "${label}": set exactly one of TCP, HTTP, TTL and AliasService (it has ${types.length})`,
    );
  }
  if ((type === "tcp" || type === "http") && !input.Interval) {
    throw new MeshError("invalid", `check "${label}": a ${type.toUpperCase()} check needs an Interval such as "10s"`);
  }
  return type;
}

function firstOutput(type: CheckRecord["Type"]): string {
  if (type === "tcp" || type === "http") return "waiting for the first result from the service's sidecar";
  if (type === "ttl") return "waiting for the first report";
  return "";
}

function definitionOf(input: CheckInput): CheckDefinition {
  const definition: Record<string, unknown> = {};
  for (const field of definitionFields) {
    if (input[field] !== undefined && input[field] !== "") definition[field] = input[field];
  }
  return definition as CheckDefinition; // the fields are CheckDefinition's own, with the same types
}

const definitionFields = [
  "TCP",
  "HTTP",
  "Method",
  "Header",
  "TTL",
  "Interval",
  "Timeout",
  "DeregisterCriticalServiceAfter",
  "AliasService",
] as const satisfies readonly (keyof CheckDefinition & keyof CheckInput)[];
