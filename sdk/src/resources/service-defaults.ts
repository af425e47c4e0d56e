/** The ServiceDefaults resource: what holds for every instance of one service. */
import type * as pulumi from "@pulumi/pulumi";
import type { MeshGatewayMode } from "../spec/words.ts";
import { MeshResource } from "./mesh-resource.ts";
import { type DatacenterRef, datacenterNameOf, declaration, dependOn } from "./reference.ts";
import type { ServiceRef } from "./service-registration.ts";

/** What can be said of upstreams. */
export interface UpstreamDefaultsArgs {
  readonly meshGateway?: { readonly mode: MeshGatewayMode };
  /** @default 5000 */
  readonly connectTimeoutMs?: pulumi.Input<number>;
  readonly protocol?: "tcp";
}

/** Inputs of {@link ServiceDefaults}. */
export interface ServiceDefaultsArgs<Known extends string = string> {
  /** Through which datacenter it is written; it holds in all of them. */
  readonly datacenter: DatacenterRef<Known>;
  /** The service. @default the logical name */
  readonly name?: ServiceRef;
  readonly protocol?: "tcp";
  /** Way of its upstreams to other datacenters. */
  readonly meshGateway?: { readonly mode: MeshGatewayMode };
  /** For all of its upstreams, and for those named. */
  readonly upstreamConfig?: {
    readonly defaults?: UpstreamDefaultsArgs;
    readonly overrides?: readonly (UpstreamDefaultsArgs & { readonly name: ServiceRef })[];
  };
  /** Most connections that its sidecar takes at once. @default no limit */
  readonly maxInboundConnections?: pulumi.Input<number>;
  /** How long its sidecar tries to reach the program. @default 5000 */
  readonly localConnectTimeoutMs?: pulumi.Input<number>;
  readonly meta?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
}

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").serviceDefaults.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").serviceDefaults.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").serviceDefaults.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").serviceDefaults.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").serviceDefaults.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").serviceDefaults.delete(id, props);
  },
};

const nameOf = (service: ServiceRef): string => (typeof service === "string" ? service : service.serviceName);

/**
 * The `service-defaults` entry of one service.
 *
 * @example
 * ```ts
 * new mesh.ServiceDefaults("web", { datacenter: dc1, meshGateway: { mode: "remote" } });
 * ```
 */
export class ServiceDefaults<Known extends string = string> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:ServiceDefaults";

  /** True for a ServiceDefaults of any copy of this package. */
  static override isInstance(value: unknown): value is ServiceDefaults {
    return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === ServiceDefaults.__pulumiType;
  }

  declare readonly name: pulumi.Output<string>;
  declare readonly datacenter: pulumi.Output<string>;
  declare readonly meshGateway: pulumi.Output<{ readonly mode: MeshGatewayMode } | undefined>;

  constructor(logicalName: string, args: ServiceDefaultsArgs<Known>, opts?: pulumi.CustomResourceOptions) {
    const name = nameOf(args.name ?? logicalName);
    const datacenter = datacenterNameOf(args.datacenter);
    const overrides = args.upstreamConfig?.overrides?.map((one) => ({ ...one, name: nameOf(one.name) }));
    const { owner, become } = declaration(logicalName, {
      kind: "service-defaults",
      resource: logicalName,
      name,
      datacenter,
      ...(args.meshGateway && { mode: args.meshGateway.mode }),
      ...(args.upstreamConfig?.defaults?.meshGateway && {
        upstreamMode: args.upstreamConfig.defaults.meshGateway.mode,
      }),
      overrides: (overrides ?? []).map((one) => ({
        service: one.name,
        ...(one.meshGateway && { mode: one.meshGateway.mode }),
      })),
    });
    super(
      provider,
      logicalName,
      {
        ...args,
        name,
        datacenter,
        meshGateway: args.meshGateway,
        upstreamConfig: args.upstreamConfig && { ...args.upstreamConfig, overrides },
        owner,
      },
      dependOn(opts, args.datacenter),
      "isthmus",
      "ServiceDefaults",
    );
    become(this);
  }
}
