/** Records as Consul's JSON: what goes out by the HTTP API. What is ours alone (accessors, links) stays in. Pure. */
import type { Address, CheckDefinition, NodeRecord, ServiceRecord } from "../model/records.ts";
import type { Stored } from "../store/store.ts";
import type { Instance } from "./health.ts";

/** A record's place in the store's history. */
export interface Indexes {
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

export function indexes(record: Pick<Stored, "createIndex" | "modifyIndex">): Indexes {
  return { CreateIndex: record.createIndex, ModifyIndex: record.modifyIndex };
}

/** `Node` of the catalog. */
export function nodeJson(node: Stored<"node">): NodeRecord & Indexes {
  const { ID, Node, Address, Datacenter, TaggedAddresses, Meta } = node.value;
  return {
    ID,
    Node,
    Address,
    Datacenter,
    TaggedAddresses: TaggedAddresses ?? { lan: Address, wan: Address },
    Meta: Meta ?? {},
    ...indexes(node),
  };
}

/** A service as `/v1/agent/services`, `/v1/catalog/node/` and the health paths show it. */
export type ServiceJson = Omit<ServiceRecord, "Node" | "TokenAccessor" | "SidecarOf"> & {
  readonly Connect: object;
} & Indexes;

export function serviceJson(service: Stored<"service">): ServiceJson {
  const { Node: _node, TokenAccessor: _accessor, SidecarOf: _sidecarOf, ...shown } = service.value;
  return { ...shown, Connect: {}, ...indexes(service) };
}

/** A check as every path shows it. */
export interface CheckJson extends Indexes {
  readonly Node: string;
  readonly CheckID: string;
  readonly Name: string;
  readonly Status: string;
  readonly Notes: string;
  readonly Output: string;
  readonly ServiceID: string;
  readonly ServiceName: string;
  readonly ServiceTags: readonly string[];
  readonly Type: string;
  readonly Interval: string;
  readonly Timeout: string;
  readonly ExposedPort: 0;
  readonly Definition: CheckDefinition;
}

export function checkJson(check: Stored<"check">, serviceTags: readonly string[]): CheckJson {
  const { Node, CheckID, Name, Status, Notes, Output, ServiceID, ServiceName, Type, Definition } = check.value;
  return {
    Node,
    CheckID,
    Name,
    Status,
    Notes,
    Output,
    ServiceID,
    ServiceName,
    ServiceTags: serviceTags,
    Type: Type === "external" ? "" : Type,
    Interval: Definition.Interval ?? "",
    Timeout: Definition.Timeout ?? "",
    ExposedPort: 0,
    Definition,
    ...indexes(check),
  };
}

/** One entry of `/v1/health/service/<name>`. */
export interface CheckServiceNode {
  readonly Node: NodeRecord & Indexes;
  readonly Service: ServiceJson;
  readonly Checks: readonly CheckJson[];
}

export function checkServiceNode(instance: Instance): CheckServiceNode {
  return {
    Node: nodeJson(instance.node),
    Service: serviceJson(instance.service),
    Checks: instance.checks.map((check) => checkJson(check, check.value.ServiceID ? instance.service.value.Tags : [])),
  };
}

/** One entry of `/v1/catalog/service/<name>`: node and service in one flat object. */
export function catalogService(instance: Pick<Instance, "node" | "service">): Readonly<Record<string, unknown>> {
  const node = nodeJson(instance.node);
  const service = instance.service.value;
  return {
    ID: node.ID,
    Node: node.Node,
    Address: node.Address,
    Datacenter: node.Datacenter,
    TaggedAddresses: node.TaggedAddresses,
    NodeMeta: node.Meta,
    ServiceKind: service.Kind,
    ServiceID: service.ID,
    ServiceName: service.Service,
    ServiceTags: service.Tags,
    ServiceAddress: service.Address,
    ServiceTaggedAddresses: service.TaggedAddresses satisfies Readonly<Record<string, Address>>,
    ServiceWeights: service.Weights,
    ServiceMeta: service.Meta,
    ServicePort: service.Port,
    ServiceEnableTagOverride: service.EnableTagOverride,
    ServiceProxy: service.Proxy ?? {},
    ServiceConnect: {},
    ...indexes(instance.service),
  };
}
