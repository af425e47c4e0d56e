/** The ProxyDefaults resource: what holds for every proxy of the federation. */
import type * as pulumi from "@pulumi/pulumi";
import type { MeshGatewayMode } from "../spec/words.ts";
import { MeshResource } from "./mesh-resource.ts";
import { type DatacenterRef, datacenterNameOf, declaration, dependOn } from "./reference.ts";

/** Inputs of {@link ProxyDefaults}. */
export interface ProxyDefaultsArgs<Known extends string = string> {
  /** Through which datacenter it is written; it holds in all of them. */
  readonly datacenter: DatacenterRef<Known>;
  /** Way to other datacenters where nothing closer says otherwise. */
  readonly meshGateway?: { readonly mode: MeshGatewayMode };
  /** Options for Envoy, as Consul takes them. */
  readonly config?: pulumi.Input<Readonly<Record<string, unknown>>>;
  readonly meta?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
}

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").proxyDefaults.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").proxyDefaults.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").proxyDefaults.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").proxyDefaults.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").proxyDefaults.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").proxyDefaults.delete(id, props);
  },
};

/**
 * The `proxy-defaults` entry, called `global`: there is one in a federation.
 *
 * @example
 * ```ts
 * new mesh.ProxyDefaults("global", { datacenter: dc1, meshGateway: { mode: "local" } });
 * ```
 */
export class ProxyDefaults<Known extends string = string> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:ProxyDefaults";

  /** True for a ProxyDefaults of any copy of this package. */
  static override isInstance(value: unknown): value is ProxyDefaults {
    return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === ProxyDefaults.__pulumiType;
  }

  declare readonly datacenter: pulumi.Output<string>;
  declare readonly meshGateway: pulumi.Output<{ readonly mode: MeshGatewayMode } | undefined>;

  constructor(logicalName: string, args: ProxyDefaultsArgs<Known>, opts?: pulumi.CustomResourceOptions) {
    const datacenter = datacenterNameOf(args.datacenter);
    const { owner, become } = declaration(logicalName, {
      kind: "proxy-defaults",
      resource: logicalName,
      datacenter,
      ...(args.meshGateway && { mode: args.meshGateway.mode }),
    });
    super(
      provider,
      logicalName,
      { ...args, datacenter, meshGateway: args.meshGateway, owner },
      dependOn(opts, args.datacenter),
      "isthmus",
      "ProxyDefaults",
    );
    become(this);
  }
}
