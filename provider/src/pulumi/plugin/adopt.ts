/** Import: from a resource's ID alone to its inputs and outputs, as far as what runs shows them. */
import { isDeepStrictEqual } from "node:util";
import { checkSpec, datacenterSchema, type OwnerSpec, serviceRegistrationSchema } from "@isthmus/sdk/spec";
import { MeshError } from "../../model/errors.ts";
import type { StatusResponse } from "../../model/isthmus-api.ts";
import type { AclTokenRecord, ServiceRecord } from "../../model/records.ts";
import type { Placement, Runtime } from "../../runtime/runtime.ts";
import { type ApiClient, orUndefined } from "../api-client.ts";
import type { Handler, HandlerContext, Props, ReadResult } from "../context.ts";
import { withControlPlane } from "../control-plane-access.ts";
import { accessorFor } from "../own-token.ts";
import { recogniseDatacenter } from "../resources/datacenter.ts";
import { allRunning, inspectUnit } from "../unit-lifecycle.ts";
import { within } from "../waiting.ts";
import type { Noun } from "./noun.ts";

/** Undefined when there is no such thing. */
type Adopt = (
  parts: readonly string[],
  owner: OwnerSpec,
  context: HandlerContext,
  handler: Handler,
) => Promise<ReadResult | undefined>;

/** How the IDs of a kind of resource look. */
interface Grammar {
  /** For people. */
  readonly form: string;
  readonly pattern: RegExp;
  readonly adopt: Adopt;
}

const label = "([a-z0-9-]+)";

/** The mesh's primary, which writes what the federation shares. */
async function primaryOf({ mesh }: OwnerSpec, context: HandlerContext): Promise<string> {
  for await (const runtime of context.findRuntimes()) {
    for (const { id } of await runtime.list(mesh)) {
      if (id.role !== "control-plane") continue;
      using api = context.openApi(runtime, mesh, id.datacenter);
      return (await api.get<StatusResponse>("/v1/isthmus/status")).PrimaryDatacenter;
    }
  }
  throw new MeshError("not_found", `no datacenter of mesh ${mesh} runs on this machine`);
}

/** What the federation shares shows all of its inputs; the datacenter through which it was written is not among them. */
function shared(identity: (parts: readonly string[]) => Props): Adopt {
  return async (parts, owner, context, handler) => {
    const datacenter = await primaryOf(owner, context);
    return await handler.read("", { datacenter, owner, ...identity(parts) }, context);
  };
}

async function adoptDatacenter(
  [mesh, name]: readonly string[],
  owner: OwnerSpec,
  context: HandlerContext,
): Promise<ReadResult | undefined> {
  if (mesh !== owner.mesh)
    throw new MeshError("invalid", `datacenter "${name}" is of mesh ${mesh}, but this project's is ${owner.mesh}`);
  const unit = { mesh: owner.mesh, datacenter: name!, role: "control-plane", name: name! } as const;
  const found = await inspectUnit(unit, {}, context);
  if (!found) return undefined;
  demandOwner(`datacenter "${name}"`, found.state.owner, owner);
  using api = context.openApi(found.runtime, owner.mesh, name!);
  const status = await api.get<StatusResponse>("/v1/isthmus/status");
  const { inputs } = checkSpec(datacenterSchema, {
    name,
    primaryDatacenter: status.PrimaryDatacenter,
    runtime: found.runtime.kind,
    network: status.Network ?? "isolated",
    owner,
  });
  const props = await recogniseDatacenter(inputs, context);
  return props && { props, inputs };
}

function demandOwner(what: string, found: OwnerSpec, wanted: OwnerSpec): void {
  if (isDeepStrictEqual({ ...found }, { ...wanted })) return;
  throw new MeshError(
    "conflict",
    `${what} belongs to resource "${found.resource}" of project "${found.project}", stack "${found.stack}"; import it there under that name`,
  );
}

type Registered = Pick<ServiceRecord, "ID" | "Kind" | "Port" | "Tags" | "Meta" | "TaggedAddresses" | "Proxy">;

async function registered(api: ApiClient, id: string): Promise<Registered | undefined> {
  const services = await api.get<Readonly<Record<string, Registered>>>("/v1/agent/services");
  return Object.values(services).find((one) => one.ID === id);
}

/** Inputs of a gateway that its registration shows: all but its token. */
export function gatewayInputs(gateway: Registered, placement: Placement): Props {
  const ownWan = placement.wan ?? placement.lan;
  const wan = gateway.TaggedAddresses?.["wan"]?.Address;
  const { envoy_gateway_bind_addresses: binds, ...config } = gateway.Proxy?.Config ?? {};
  const ownBinds = { wan: { address: ownWan, port: gateway.Port } };
  return {
    port: gateway.Port,
    ...(wan !== undefined && wan !== ownWan && { wanAddress: wan }),
    config: {
      ...config,
      ...(binds !== undefined && !isDeepStrictEqual(binds, ownBinds) && { envoy_gateway_bind_addresses: binds }),
    },
    meta: gateway.Meta ?? {},
  };
}

/** When a proxy's certificate ends cannot be asked, so the next `up` renews it, which breaks no connection. */
const dueCertificate = { issuedAt: 0, notAfter: 0 };

async function adoptGateway(
  [datacenter, name]: readonly string[],
  owner: OwnerSpec,
  context: HandlerContext,
): Promise<ReadResult | undefined> {
  const unit = { mesh: owner.mesh, datacenter: datacenter!, role: "mesh-gateway", name: name! } as const;
  const found = await inspectUnit(unit, {}, context);
  if (!found) return undefined;
  demandOwner(`mesh gateway "${name}"`, found.state.owner, owner);
  const { placement } = found.state;
  using api = context.openApi(found.runtime, owner.mesh, datacenter!);
  const gateway = await registered(api, name!);
  if (!gateway) return undefined;
  const inputs: Props = { datacenter, name, ...gatewayInputs(gateway, placement), owner };
  const props = {
    ...inputs,
    lanAddress: placement.lan,
    remoteAddress: inputs["wanAddress"] ?? placement.wan ?? placement.lan,
    runtime: found.runtime.kind satisfies Runtime["kind"],
    running: allRunning(found.state, ["proxy"]),
    certificate: dueCertificate,
  };
  return { props, inputs };
}

/** Of a service that runs here its program cannot be read back, so only registrations of what runs elsewhere are adopted. */
async function adoptService(
  [datacenter, name]: readonly string[],
  owner: OwnerSpec,
  context: HandlerContext,
): Promise<ReadResult | undefined> {
  return await withControlPlane({ datacenter: datacenter!, owner }, context, async ({ runtime, api }) => {
    const service = await registered(api, name!);
    if (!service) return undefined;
    if (await runtime.inspect({ mesh: owner.mesh, datacenter: datacenter!, role: "service", name: name! })) {
      throw new MeshError(
        "conflict",
        `service "${name}" has a program or a sidecar that Isthmus runs, and what they were started with cannot be read back; declare it under the name it had and \`up\` adopts it as it is`,
      );
    }
    const { inputs } = checkSpec(serviceRegistrationSchema, {
      datacenter,
      name,
      port: service.Port,
      tags: service.Tags ?? [],
      meta: service.Meta ?? {},
      owner,
    });
    return { props: { ...inputs, runtime: runtime.kind, running: true }, inputs };
  });
}

async function adoptToken(
  [accessor]: readonly string[],
  owner: OwnerSpec,
  context: HandlerContext,
): Promise<ReadResult | undefined> {
  if (accessor !== accessorFor(owner.mesh, owner.project, owner.stack, "acl-token", owner.resource)) {
    throw new MeshError(
      "conflict",
      `token ${accessor} was not made by a resource called "${owner.resource}" in this project and stack; only a token that such a resource made can be imported`,
    );
  }
  for await (const runtime of context.findRuntimes()) {
    for (const { id } of await runtime.list(owner.mesh)) {
      if (id.role !== "control-plane") continue;
      using api = context.openApi(runtime, owner.mesh, id.datacenter);
      const token = await orUndefined(api.get<AclTokenRecord>(`/v1/acl/token/${accessor}`));
      if (!token) continue;
      const datacenter = token.Local ? id.datacenter : await primaryOf(owner, context);
      const inputs: Props = { datacenter, ...tokenInputs(token), owner };
      return { props: { ...inputs, accessorId: token.AccessorID, secretId: token.SecretID }, inputs };
    }
  }
  return undefined;
}

function tokenInputs(token: AclTokenRecord): Props {
  return {
    policies: (token.Policies ?? []).map((policy) => policy.Name),
    serviceIdentities: (token.ServiceIdentities ?? []).map(({ ServiceName, Datacenters }) => ({
      serviceName: ServiceName,
      ...(Datacenters && { datacenters: Datacenters }),
    })),
    nodeIdentities: (token.NodeIdentities ?? []).map(({ NodeName, Datacenter }) => ({
      nodeName: NodeName,
      datacenter: Datacenter,
    })),
    local: token.Local,
    description: token.Description,
  };
}

/** IDs by kind of resource. */
export const grammars: Readonly<Record<string, Grammar>> = {
  Datacenter: { form: "<mesh>/<name>", pattern: new RegExp(`^${label}/${label}$`), adopt: adoptDatacenter },
  MeshGateway: {
    form: "<datacenter>/mesh-gateway/<name>",
    pattern: new RegExp(`^${label}/mesh-gateway/${label}$`),
    adopt: adoptGateway,
  },
  ServiceRegistration: {
    form: "<datacenter>/service/<name>",
    pattern: new RegExp(`^${label}/service/${label}$`),
    adopt: adoptService,
  },
  ProxyDefaults: {
    form: "proxy-defaults/global",
    pattern: /^proxy-defaults\/global$/,
    adopt: shared(() => ({ name: "global" })),
  },
  ServiceDefaults: {
    form: "service-defaults/<service>",
    pattern: new RegExp(`^service-defaults/${label}$`),
    adopt: shared(([name]) => ({ name })),
  },
  Intention: {
    form: "<source>/<destination>, either of them a service or *",
    pattern: /^([a-z0-9-]+|\*)\/([a-z0-9-]+|\*)$/,
    adopt: shared(([source, destination]) => ({ source, destination })),
  },
  AclPolicy: {
    form: "acl-policy/<name>",
    pattern: /^acl-policy\/([A-Za-z0-9_-]+)$/,
    adopt: shared(([name]) => ({ name })),
  },
  AclToken: { form: "<accessor ID>", pattern: /^([0-9a-f-]{36})$/, adopt: adoptToken },
};

/**
 * What an ID stands for; undefined when there is no such thing.
 * @throws {MeshError} `invalid` for an ID that is none of this kind, `conflict` for what cannot be imported.
 */
export async function adopt(
  noun: Noun,
  id: string,
  owner: OwnerSpec,
  context: HandlerContext,
): Promise<ReadResult | undefined> {
  const { form, pattern, adopt: adoptNoun } = grammars[noun.name]!;
  const match = pattern.exec(id);
  if (!match) throw new MeshError("invalid", `"${id}" is no ID of a ${noun.name}; IDs have the form ${form}`);
  return await adoptNoun(match.slice(1), owner, context, noun.handler);
}

/**
 * Inputs of something that runs as they are in force now, where what runs shows them: what somebody changed by hand is
 * drift, property by property. Empty where nothing can be told within `diffMs`.
 */
export async function inputsInForce(noun: Noun, props: Props, context: HandlerContext): Promise<Props> {
  if (noun.name !== "MeshGateway") return {};
  const { datacenter, name, owner } = props as { datacenter: string; name: string; owner: OwnerSpec };
  const seen = await within(context.diffMs, async () => {
    const found = await inspectUnit({ mesh: owner.mesh, datacenter, role: "mesh-gateway", name }, props, context);
    if (!found) return undefined;
    using api = context.openApi(found.runtime, owner.mesh, datacenter);
    const gateway = await registered(api, name);
    return gateway && gatewayInputs(gateway, found.state.placement);
  });
  return seen ?? {};
}
