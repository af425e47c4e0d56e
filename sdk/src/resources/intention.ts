/** The Intention resource: whether one service may call another. */
import type * as pulumi from "@pulumi/pulumi";
import { MeshResource } from "./mesh-resource.ts";
import { type DatacenterRef, datacenterNameOf, declaration, dependOn } from "./reference.ts";
import type { ServiceRef } from "./service-registration.ts";

/** Inputs of an {@link Intention}. */
export interface IntentionArgs<Known extends string = string> {
  /** Through which datacenter it is written; it holds in all of them. */
  readonly datacenter: DatacenterRef<Known>;
  /** Who calls: a service, or "*" for every one. */
  readonly source: ServiceRef;
  /** Who is called: a service, or "*" for every one. */
  readonly destination: ServiceRef;
  readonly action: "allow" | "deny";
  readonly description?: pulumi.Input<string>;
}

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").intention.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").intention.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").intention.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").intention.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").intention.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").intention.delete(id, props);
  },
};

const nameOf = (service: ServiceRef): string => (typeof service === "string" ? service : service.serviceName);

/**
 * An intention allows or denies connections from one service to another. The most exact one decides; without any, the
 * datacenter's `acl.defaultPolicy` does.
 *
 * @example
 * ```ts
 * new mesh.Intention("web-to-socat", { datacenter: dc1, source: web, destination: socat, action: "allow" });
 * ```
 */
export class Intention<Known extends string = string> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:Intention";

  /** True for a Intention of any copy of this package. */
  static override isInstance(value: unknown): value is Intention {
    return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === Intention.__pulumiType;
  }

  declare readonly datacenter: pulumi.Output<string>;
  declare readonly source: pulumi.Output<string>;
  declare readonly destination: pulumi.Output<string>;
  declare readonly action: pulumi.Output<"allow" | "deny">;
  declare readonly description: pulumi.Output<string>;

  constructor(logicalName: string, args: IntentionArgs<Known>, opts?: pulumi.CustomResourceOptions) {
    const source = nameOf(args.source);
    const destination = nameOf(args.destination);
    const datacenter = datacenterNameOf(args.datacenter);
    const { owner, become } = declaration(logicalName, {
      kind: "intention",
      resource: logicalName,
      datacenter,
      source,
      destination,
    });
    super(
      provider,
      logicalName,
      { ...args, datacenter, source, destination, description: args.description, owner },
      dependOn(opts, args.datacenter),
      "isthmus",
      "Intention",
    );
    become(this);
  }
}
