/** The AclPolicy resource: named rules that tokens can carry. */
import type * as pulumi from "@pulumi/pulumi";
import { MeshResource } from "./mesh-resource.ts";
import { type DatacenterRef, datacenterNameOf, declaration, dependOn } from "./reference.ts";

/** Inputs of an {@link AclPolicy}. */
export interface AclPolicyArgs<Known extends string = string> {
  /** Through which datacenter it is written; it holds in all of them. */
  readonly datacenter: DatacenterRef<Known>;
  /** @default the logical name */
  readonly name?: string;
  /** Rules, as HCL or JSON. */
  readonly rules: pulumi.Input<string>;
  readonly description?: pulumi.Input<string>;
}

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").aclPolicy.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").aclPolicy.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").aclPolicy.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").aclPolicy.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").aclPolicy.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").aclPolicy.delete(id, props);
  },
};

/**
 * An ACL policy.
 *
 * @example
 * ```ts
 * const readers = new mesh.AclPolicy("readers", { datacenter: dc1, rules: `service_prefix "" { policy = "read" }` });
 * ```
 */
export class AclPolicy<Known extends string = string> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:AclPolicy";

  /** True for a AclPolicy of any copy of this package. */
  static override isInstance(value: unknown): value is AclPolicy {
    return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === AclPolicy.__pulumiType;
  }

  /** Its name, known when the program runs. */
  readonly policyName: string;
  declare readonly name: pulumi.Output<string>;
  declare readonly datacenter: pulumi.Output<string>;
  declare readonly rules: pulumi.Output<string>;
  /** Id that the control plane gave it. */
  declare readonly policyId: pulumi.Output<string>;

  constructor(logicalName: string, args: AclPolicyArgs<Known>, opts?: pulumi.CustomResourceOptions) {
    const name = args.name ?? logicalName;
    const datacenter = datacenterNameOf(args.datacenter);
    const { owner, become } = declaration(logicalName, { kind: "acl-policy", resource: logicalName, name, datacenter });
    super(
      provider,
      logicalName,
      { ...args, name, datacenter, owner, policyId: undefined },
      dependOn(opts, args.datacenter),
      "isthmus",
      "AclPolicy",
    );
    this.policyName = name;
    become(this);
  }
}
