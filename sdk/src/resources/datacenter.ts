/** The Datacenter resource: a control plane and the network of one datacenter. */
import * as pulumi from "@pulumi/pulumi";
import { MeshResource } from "./mesh-resource.ts";
import { datacenterNameOf, declaration, dependOn, plain } from "./reference.ts";

/** Ports of a control plane. Nothing is published on the host. */
export interface DatacenterPorts {
  /** HTTP API over TLS. @default 8501 */
  readonly https?: pulumi.Input<number>;
  /** Configuration of proxies (xDS) over TLS; -1 turns it off, which needs connect to be off too. @default 8503 */
  readonly grpcTls?: pulumi.Input<number>;
  /** Link to other datacenters. @default 8300 */
  readonly server?: pulumi.Input<number>;
}

/** What a datacenter is made of. The names are those of Consul's server configuration. */
interface DatacenterSettings {
  /** Service mesh on or off. With it off there can be no sidecars and no gateways. @default { enabled: true } */
  readonly connect?: { readonly enabled?: pulumi.Input<boolean> };
  /** Whether proxies read proxy-defaults and service-defaults. @default true */
  readonly enableCentralServiceConfig?: pulumi.Input<boolean>;
  /** Ports of the control plane. */
  readonly ports?: DatacenterPorts;
  /** Access control: `defaultPolicy` also decides calls that no intention speaks of. */
  readonly acl?: {
    /** @default true */
    readonly enabled?: pulumi.Input<boolean>;
    /** @default "deny" */
    readonly defaultPolicy?: pulumi.Input<"allow" | "deny">;
  };
  /** Lifetimes of certificates, as Go durations. Each must hold the one before it, the intermediate's three leaves. */
  readonly ca?: {
    /** @default "72h" */
    readonly leafTtl?: pulumi.Input<string>;
    /** @default "8760h" */
    readonly intermediateTtl?: pulumi.Input<string>;
    /** @default "87600h" */
    readonly rootTtl?: pulumi.Input<string>;
  };
  /**
   * How its parts run: containers, or processes on loopback addresses (for development: it does not isolate). "auto"
   * takes Docker where an engine answers; it is decided once and kept.
   * @default "auto"
   */
  readonly runtime?: "docker" | "local" | "auto";
  /**
   * "isolated": services reach other datacenters through mesh gateways only. "routed": they can dial each other
   * directly, which mesh gateway mode "none" needs.
   * @default "isolated"
   */
  readonly network?: "isolated" | "routed";
}

/**
 * Which datacenter is the primary: it holds the root of the Connect CA and writes intentions, config entries and
 * policies. Both properties say the same and must agree when both are given.
 */
type PrimaryChoice<Name extends string, Primary extends string> =
  | { readonly primary: true; readonly primaryDatacenter?: Name }
  | { readonly primary: Datacenter<Primary> | Primary; readonly primaryDatacenter?: NoInfer<Primary> }
  | { readonly primary?: undefined; readonly primaryDatacenter: string };

/** Inputs of a {@link Datacenter}. */
export type DatacenterArgs<Name extends string = string, Primary extends string = string> = DatacenterSettings &
  PrimaryChoice<Name, Primary>;

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").datacenter.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").datacenter.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").datacenter.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").datacenter.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").datacenter.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").datacenter.delete(id, props);
  },
};

/**
 * A datacenter: its control plane (catalog, ACLs, intentions, certificate authority, configuration of proxies) in a
 * network of its own. The first is the primary; others join it. Creation waits until the control plane is ready.
 *
 * @example
 * ```ts
 * const dc1 = new mesh.Datacenter("dc1", { primary: true });
 * const dc2 = new mesh.Datacenter("dc2", { primary: dc1 });
 * ```
 */
export class Datacenter<
  const Name extends string = string,
  const Primary extends string = string,
> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:Datacenter";

  /** True for a Datacenter of any copy of this package. */
  static override isInstance(value: unknown): value is Datacenter {
    return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === Datacenter.__pulumiType;
  }

  /** Tells datacenters from other resources in types. */
  readonly isDatacenter = true as const;
  /** Its name, known when the program runs. */
  readonly datacenterName: Name;
  declare readonly name: pulumi.Output<string>;
  declare readonly primaryDatacenter: pulumi.Output<string>;
  /** How its parts run. */
  declare readonly runtime: pulumi.Output<"docker" | "local">;
  /** `<cluster id>.consul`: the same in every datacenter of the federation. */
  declare readonly trustDomain: pulumi.Output<string>;
  /** Address of the control plane in its datacenter. */
  declare readonly lanAddress: pulumi.Output<string>;
  /** Address of the control plane for other datacenters. */
  declare readonly wanAddress: pulumi.Output<string>;
  /** Root certificate (PEM) of the control plane's own CA, by which its API, proxies and other datacenters know it. */
  declare readonly controlRoot: pulumi.Output<string>;

  /**
   * @param logicalName Name in the stack, and of the datacenter unless `args.name` says otherwise: a lower-case DNS label.
   */
  constructor(
    logicalName: Name,
    args: DatacenterArgs<Name, Primary> & { readonly name?: undefined },
    opts?: pulumi.CustomResourceOptions,
  );
  constructor(
    logicalName: string,
    args: DatacenterArgs<Name, Primary> & { readonly name: Name },
    opts?: pulumi.CustomResourceOptions,
  );
  constructor(
    logicalName: string,
    args: DatacenterArgs<Name, Primary> & { readonly name?: Name | undefined },
    opts?: pulumi.CustomResourceOptions,
  ) {
    const { primary, primaryDatacenter, ...settings } = args;
    const name = (args.name ?? logicalName) as Name;
    const named =
      primary === true ? name : primary === undefined ? primaryDatacenter : datacenterNameOf<string>(primary);
    if (named === undefined || (primaryDatacenter !== undefined && primaryDatacenter !== named)) {
      throw new pulumi.RunError(
        named === undefined
          ? `${logicalName}: primary is missing; give true, or the primary datacenter`
          : `${logicalName}: primary is "${named}", but primaryDatacenter is "${primaryDatacenter}"; give one of them`,
      );
    }
    const { owner, become } = declaration(logicalName, {
      kind: "datacenter",
      resource: logicalName,
      name,
      primaryDatacenter: named,
      connect: plain(args.connect?.enabled) ?? true,
      centralConfig: plain(args.enableCentralServiceConfig) ?? true,
      network: args.network ?? "isolated",
    });
    super(
      provider,
      logicalName,
      {
        ...settings,
        name,
        primaryDatacenter: named,
        owner,
        runtime: args.runtime,
        trustDomain: undefined,
        lanAddress: undefined,
        wanAddress: undefined,
        controlRoot: undefined,
      },
      dependOn(opts, named === name || primary === true ? undefined : (primary ?? named)),
      "isthmus",
      "Datacenter",
    );
    this.datacenterName = name;
    become(this);
  }
}
