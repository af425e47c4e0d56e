/** The MeshGateway resource: an Envoy that carries traffic between datacenters. */
import type * as pulumi from "@pulumi/pulumi";
import { MeshResource } from "./mesh-resource.ts";
import { type DatacenterRef, datacenterNameOf, declaration, dependOn, secret } from "./reference.ts";

/** Inputs of a {@link MeshGateway}. `Known` are the datacenters that a program may name. */
export interface MeshGatewayArgs<Known extends string = string> {
  /** Where it runs. */
  readonly datacenter: DatacenterRef<Known>;
  /** Name in the catalog; gateways of one datacenter need different names. @default the logical name */
  readonly name?: string;
  /** Port it listens on. @default 8443 */
  readonly port?: pulumi.Input<number>;
  /** IP address at which other datacenters reach it. @default its address in the WAN network */
  readonly wanAddress?: pulumi.Input<string>;
  /** Token it registers with. @default one of its own with just the rights it needs */
  readonly token?: pulumi.Input<string>;
  /** Gateway options for Envoy (`connect_timeout_ms`, `envoy_gateway_*`), as Consul takes them. */
  readonly config?: pulumi.Input<Readonly<Record<string, unknown>>>;
  /** Free text by name, in the catalog. */
  readonly meta?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
}

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").meshGateway.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").meshGateway.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").meshGateway.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").meshGateway.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").meshGateway.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").meshGateway.delete(id, props);
  },
};

/**
 * A mesh gateway: it routes connections between datacenters by their server name and never decrypts them. Give a
 * datacenter several and traffic is spread over them. Creation waits until it listens.
 *
 * @example
 * ```ts
 * const gateway = new mesh.MeshGateway("gateway-primary", { datacenter: dc1 });
 * ```
 */
export class MeshGateway<Known extends string = string> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:MeshGateway";

  /** True for a MeshGateway of any copy of this package. */
  static override isInstance(value: unknown): value is MeshGateway {
    return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === MeshGateway.__pulumiType;
  }

  /** Its name in the catalog, known when the program runs. */
  readonly gatewayName: string;
  /** Its datacenter's name, known when the program runs. */
  readonly datacenterName: Known;
  declare readonly name: pulumi.Output<string>;
  declare readonly datacenter: pulumi.Output<string>;
  declare readonly port: pulumi.Output<number>;
  /** Address in its datacenter. */
  declare readonly lanAddress: pulumi.Output<string>;
  /** The address given for other datacenters. */
  declare readonly wanAddress: pulumi.Output<string | undefined>;
  /** Address at which other datacenters reach it. */
  declare readonly remoteAddress: pulumi.Output<string>;

  constructor(logicalName: string, args: MeshGatewayArgs<Known>, opts?: pulumi.CustomResourceOptions) {
    const name = args.name ?? logicalName;
    const datacenter = datacenterNameOf(args.datacenter);
    const { owner, become } = declaration(logicalName, {
      kind: "mesh-gateway",
      resource: logicalName,
      name,
      datacenter,
    });
    super(
      provider,
      logicalName,
      {
        ...args,
        name,
        datacenter,
        token: secret(args.token),
        owner,
        port: args.port,
        wanAddress: args.wanAddress,
        lanAddress: undefined,
        remoteAddress: undefined,
      },
      dependOn(opts, args.datacenter),
      "isthmus",
      "MeshGateway",
    );
    this.gatewayName = name;
    this.datacenterName = datacenter;
    become(this);
  }
}
