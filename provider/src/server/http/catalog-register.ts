/** `/v1/catalog/register` and `deregister`: nodes, services and checks of any node, as somebody outside reports them. */
import { z } from "zod";
import { checkKey } from "../../catalog/checks.ts";
import { serviceRecord } from "../../catalog/registration.ts";
import { checksOn, deregistrationChanges, serviceKey, servicesOn } from "../../catalog/registration-changes.ts";
import { deleteCurrent, setCurrent, transact } from "../../catalog/transact.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";
import type { CheckRecord, NodeRecord, ServiceRecord } from "../../model/records.ts";
import type { Change } from "../../store/store.ts";
import { type Call, json, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { apiObject, dialAddress, identifierOrNone, meta, text } from "./fields.ts";
import { parseAs } from "./json-body.ts";
import { demandNodeWrite, demandServiceWrite } from "./permissions.ts";
import type { Serial } from "./serial.ts";
import { catalogServiceDefinition } from "./service-definition.ts";

const nodeName = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/,
    "must be 1 to 128 of A-Z, a-z, 0-9, . _ and -, with a letter or digit at both ends",
  );

const externalCheck = apiObject(
  {
    Node: z.string().exactOptional(),
    CheckID: identifierOrNone.exactOptional(),
    Name: text.default(""),
    Notes: text.default(""),
    Output: text.default(""),
    Status: z
      .enum(["passing", "warning", "critical"], { error: 'must be "passing", "warning" or "critical"' })
      .default("critical"),
    ServiceID: identifierOrNone.default(""),
  },
  {
    ignored: [
      "ServiceName",
      "ServiceTags",
      "Type",
      "Definition",
      "CreateIndex",
      "ModifyIndex",
      "Interval",
      "Timeout",
      "ExposedPort",
    ],
  },
).check((context) => {
  if (!context.value.CheckID && !context.value.Name) {
    context.issues.push({
      code: "custom",
      path: ["CheckID"],
      message: "is missing: a check needs a CheckID or a Name",
      input: context.value,
    });
  }
});

const registration = apiObject(
  {
    Datacenter: z.string().exactOptional(),
    ID: z.union([z.literal(""), z.uuid()], { error: "must be a uuid" }).exactOptional(),
    Node: nodeName,
    Address: dialAddress.exactOptional(),
    TaggedAddresses: z.record(z.string().max(64), dialAddress).exactOptional(),
    NodeMeta: meta.exactOptional(),
    Service: catalogServiceDefinition.exactOptional(),
    Check: externalCheck.exactOptional(),
    Checks: z.array(externalCheck).max(256, "has more than 256 entries").exactOptional(),
    SkipNodeUpdate: z.boolean().exactOptional(),
  },
  { unsupported: ["Locality", "PeerName"] },
);

const deregistration = apiObject({
  Datacenter: z.string().exactOptional(),
  Node: nodeName,
  ServiceID: identifierOrNone.exactOptional(),
  CheckID: identifierOrNone.exactOptional(),
});

type RegistrationBody = z.infer<typeof registration>;

export function catalogRegisterRoutes(deps: ApiDependencies, serial: Serial): readonly Route[] {
  const { store } = deps;
  const ownDatacenter = (name: string | undefined): void => {
    if (name && name !== deps.datacenter) {
      throw new MeshError(
        "invalid",
        `Datacenter: this is ${JSON.stringify(deps.datacenter)}; register in ${JSON.stringify(name)} through its own API`,
      );
    }
  };

  const registrationOf = (authorizer: Authorizer, body: RegistrationBody): readonly Change[] => {
    const before = store.get("node", body.Node)?.value;
    const node = body.Node === deps.node.Node ? deps.node : nodeRecord(body, before, deps.datacenter);
    const changes: Change[] = [];
    const same = before !== undefined && JSON.stringify(before) === JSON.stringify(node);
    if (!same && !(body.SkipNodeUpdate && before)) {
      demandNodeWrite(authorizer, node.Node);
      changes.push(setCurrent(store, "node", node.Node, node));
    }
    const services = servicesOn(store, node.Node);
    let own: ServiceRecord | undefined;
    if (body.Service) {
      own = serviceRecord(body.Service, { node: node.Node, tokenAccessor: authorizer.accessor, services });
      demandServiceWrite(authorizer, own.Service);
      if (own.Kind === "connect-proxy") demandServiceWrite(authorizer, own.Proxy?.DestinationServiceName ?? "");
      const replaced = services.find((one) => one.ID === own?.ID);
      if (replaced) demandServiceWrite(authorizer, replaced.Service);
      changes.push(setCurrent(store, "service", serviceKey(own), own));
    }
    for (const check of [...(body.Check ? [body.Check] : []), ...(body.Checks ?? [])]) {
      const record = checkRecord(check, node.Node, own ? [...services, own] : services);
      if (record.ServiceID) demandServiceWrite(authorizer, record.ServiceName);
      else demandNodeWrite(authorizer, node.Node);
      const replaced = store.get("check", checkKey(record))?.value;
      if (replaced && replaced.Type !== "external") {
        throw new MeshError(
          "invalid",
          `check "${record.CheckID}" of node "${node.Node}" is run by this mesh; report it through /v1/agent/check/update or choose another CheckID`,
        );
      }
      if (replaced?.ServiceID) demandServiceWrite(authorizer, replaced.ServiceName);
      changes.push(setCurrent(store, "check", checkKey(record), record));
    }
    return changes;
  };

  const register = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const body = parseAs(registration, await call.json());
    ownDatacenter(body.Datacenter);
    const commit = await serial(() => transact(store, () => registrationOf(authorizer, body)));
    return json(true, commit.index);
  };

  const deregister = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const body = parseAs(deregistration, await call.json());
    ownDatacenter(body.Datacenter);
    const commit = await serial(() =>
      transact(store, () => {
        if (body.ServiceID) {
          const service = store.get("service", `${body.Node}/${body.ServiceID}`)?.value;
          if (!service) return [];
          demandServiceWrite(authorizer, service.Service);
          return deregistrationChanges(store, body.Node, body.ServiceID);
        }
        if (body.CheckID) {
          const check = store.get("check", `${body.Node}/${body.CheckID}`)?.value;
          if (!check) return [];
          if (check.ServiceID) demandServiceWrite(authorizer, check.ServiceName);
          else demandNodeWrite(authorizer, body.Node);
          return [deleteCurrent(store, "check", checkKey(check))];
        }
        demandNodeWrite(authorizer, body.Node);
        if (body.Node === deps.node.Node)
          throw new MeshError("invalid", `node "${body.Node}" is the control plane's own; it cannot be deregistered`);
        return wholeNode(body.Node);
      }),
    );
    return json(true, commit.index);
  };

  /** One change a record: what goes with a service is not named twice. */
  const wholeNode = (node: string): readonly Change[] => {
    const all = [
      ...(store.get("node", node) ? [deleteCurrent(store, "node", node)] : []),
      ...servicesOn(store, node).flatMap((service) => deregistrationChanges(store, node, service.ID)),
      ...checksOn(store, node).map((check) => deleteCurrent(store, "check", checkKey(check))),
    ];
    return [...new Map(all.map((change) => [`${change.kind} ${change.key}`, change])).values()];
  };

  return [
    { method: "PUT", path: "/v1/catalog/register", handle: register },
    { method: "PUT", path: "/v1/catalog/deregister", handle: deregister },
  ];
}

function nodeRecord(body: RegistrationBody, before: NodeRecord | undefined, datacenter: string): NodeRecord {
  const Address = body.Address || before?.Address || "";
  if (!Address) throw new MeshError("invalid", `Address: is missing: node "${body.Node}" is not registered yet`);
  return {
    Node: body.Node,
    ID: body.ID || before?.ID || "",
    Address,
    Datacenter: datacenter,
    ...(body.TaggedAddresses ? { TaggedAddresses: body.TaggedAddresses } : {}),
    ...(body.NodeMeta ? { Meta: body.NodeMeta } : {}),
  };
}

function checkRecord(
  check: z.infer<typeof externalCheck>,
  node: string,
  services: readonly ServiceRecord[],
): CheckRecord {
  if (check.Node && check.Node !== node) throw new MeshError("invalid", `Check.Node: must be "${node}" or absent`);
  const service = check.ServiceID ? services.findLast((one) => one.ID === check.ServiceID) : undefined;
  if (check.ServiceID && !service)
    throw new MeshError(
      "invalid",
      `Check.ServiceID: node "${node}" has no service "${check.ServiceID}"; register it first`,
    );
  return {
    Node: node,
    CheckID: check.CheckID || check.Name,
    Name: check.Name || check.CheckID || "",
    Status: check.Status,
    Notes: check.Notes,
    Output: check.Output,
    ServiceID: service?.ID ?? "",
    ServiceName: service?.Service ?? "",
    Type: "external",
    Definition: {},
  };
}
