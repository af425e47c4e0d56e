/** Handlers of ServiceDefaults: the `service-defaults` entry of one service. */
import { type ServiceDefaultsSpec, serviceDefaultsSchema } from "@isthmus/sdk/spec";
import type { ServiceDefaultsEntry, UpstreamDefaults } from "../../model/records.ts";
import { orUndefined } from "../api-client.ts";
import type { Handler, Props } from "../context.ts";
import { connectServices } from "../service-network.ts";
import { sharedHandler } from "../shared-record.ts";

const pathOf = (spec: ServiceDefaultsSpec): string => `/v1/config/service-defaults/${spec.name}`;

type UpstreamSettings = NonNullable<NonNullable<ServiceDefaultsSpec["upstreamConfig"]>["defaults"]>;

function upstreamJson(settings: UpstreamSettings & { readonly name?: string }): UpstreamDefaults {
  return {
    ...(settings.name !== undefined && { Name: settings.name }),
    ...(settings.meshGateway && { MeshGateway: { Mode: settings.meshGateway.mode } }),
    ...(settings.connectTimeoutMs !== undefined && { ConnectTimeoutMs: settings.connectTimeoutMs }),
    ...(settings.protocol && { Protocol: settings.protocol }),
  };
}

/** The entry in Consul's JSON. */
export function serviceDefaultsJson(spec: ServiceDefaultsSpec): ServiceDefaultsEntry {
  const { defaults, overrides } = spec.upstreamConfig ?? {};
  return {
    Kind: "service-defaults",
    Name: spec.name,
    ...(spec.protocol && { Protocol: spec.protocol }),
    ...(spec.meshGateway && { MeshGateway: { Mode: spec.meshGateway.mode } }),
    ...(spec.upstreamConfig && {
      UpstreamConfig: {
        ...(defaults && { Defaults: upstreamJson(defaults) }),
        ...(overrides && { Overrides: overrides.map(upstreamJson) }),
      },
    }),
    ...(spec.maxInboundConnections !== undefined && { MaxInboundConnections: spec.maxInboundConnections }),
    ...(spec.localConnectTimeoutMs !== undefined && { LocalConnectTimeoutMs: spec.localConnectTimeoutMs }),
    ...(spec.meta && { Meta: spec.meta }),
  };
}

function upstreamInputs(json: UpstreamDefaults): Props {
  return {
    ...(json.Name && { name: json.Name }),
    ...(json.MeshGateway?.Mode && { meshGateway: { mode: json.MeshGateway.Mode } }),
    ...(json.ConnectTimeoutMs && { connectTimeoutMs: json.ConnectTimeoutMs }),
    ...(json.Protocol && { protocol: json.Protocol }),
  };
}

function inputsOf(entry: ServiceDefaultsEntry): Props {
  const { Defaults, Overrides } = entry.UpstreamConfig ?? {};
  return {
    protocol: entry.Protocol || undefined,
    meshGateway: entry.MeshGateway?.Mode ? { mode: entry.MeshGateway.Mode } : undefined,
    upstreamConfig: entry.UpstreamConfig && {
      ...(Defaults && { defaults: upstreamInputs(Defaults) }),
      ...(Overrides && { overrides: Overrides.map(upstreamInputs) }),
    },
    maxInboundConnections: entry.MaxInboundConnections,
    localConnectTimeoutMs: entry.LocalConnectTimeoutMs,
    meta: entry.Meta && Object.keys(entry.Meta).length > 0 ? entry.Meta : undefined,
  };
}

/** Handlers of the ServiceDefaults resource. */
export const serviceDefaults: Handler = sharedHandler<ServiceDefaultsSpec>({
  schema: serviceDefaultsSchema,
  identity: ["name"],
  idOf: (spec) => `service-defaults/${spec.name}`,
  async find(api, spec) {
    const entry = await orUndefined(api.get<ServiceDefaultsEntry>(pathOf(spec)));
    return entry && inputsOf(entry);
  },
  async write(api, spec) {
    await api.put("/v1/config", serviceDefaultsJson(spec));
    return {};
  },
  async remove(api, spec) {
    await orUndefined(api.delete(pathOf(spec)));
  },
  afterwards: (spec, context) => connectServices(spec.owner.mesh, spec.datacenter, context),
});
