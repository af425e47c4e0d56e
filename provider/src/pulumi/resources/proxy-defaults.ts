/** Handlers of ProxyDefaults: the one `proxy-defaults` entry of a federation. */
import { type ProxyDefaultsSpec, proxyDefaultsSchema } from "@isthmus/sdk/spec";
import type { ProxyDefaultsEntry } from "../../model/records.ts";
import { orUndefined } from "../api-client.ts";
import type { Handler } from "../context.ts";
import { connectServices } from "../service-network.ts";
import { sharedHandler } from "../shared-record.ts";

const path = "/v1/config/proxy-defaults/global";

/** The entry in Consul's JSON. */
export function proxyDefaultsJson(spec: ProxyDefaultsSpec): ProxyDefaultsEntry {
  return {
    Kind: "proxy-defaults",
    Name: "global",
    ...(spec.meshGateway && { MeshGateway: { Mode: spec.meshGateway.mode } }),
    ...(spec.config && { Config: spec.config }),
    ...(spec.meta && { Meta: spec.meta }),
  };
}

/** Handlers of the ProxyDefaults resource. */
export const proxyDefaults: Handler = sharedHandler<ProxyDefaultsSpec>({
  schema: proxyDefaultsSchema,
  identity: [],
  idOf: () => "proxy-defaults/global",
  async find(api) {
    const entry = await orUndefined(api.get<ProxyDefaultsEntry>(path));
    return (
      entry && {
        meshGateway: entry.MeshGateway?.Mode ? { mode: entry.MeshGateway.Mode } : undefined,
        config: entry.Config && Object.keys(entry.Config).length > 0 ? entry.Config : undefined,
        meta: entry.Meta && Object.keys(entry.Meta).length > 0 ? entry.Meta : undefined,
      }
    );
  },
  async write(api, spec) {
    await api.put("/v1/config", proxyDefaultsJson(spec));
    return {};
  },
  async remove(api) {
    await orUndefined(api.delete(path));
  },
  afterwards: (spec, context) => connectServices(spec.owner.mesh, spec.datacenter, context),
});
