/** The AclToken resource: a secret that carries policies and identities. */
import * as pulumi from "@pulumi/pulumi";
import type { AclPolicy } from "./acl-policy.ts";
import { MeshResource } from "./mesh-resource.ts";
import { type DatacenterRef, datacenterNameOf, declaration, dependOn } from "./reference.ts";
import type { ServiceRef } from "./service-registration.ts";

/** Inputs of an {@link AclToken}. */
export interface AclTokenArgs<Known extends string = string> {
  /** Through which datacenter it is made. */
  readonly datacenter: DatacenterRef<Known>;
  /** Policies: resources or names. */
  readonly policies?: readonly (AclPolicy | string)[];
  /** Services whose sidecars it may register, in all datacenters or those named. */
  readonly serviceIdentities?: readonly {
    readonly serviceName: ServiceRef;
    readonly datacenters?: readonly DatacenterRef<Known>[];
  }[];
  readonly nodeIdentities?: readonly { readonly nodeName: string; readonly datacenter: DatacenterRef<Known> }[];
  /** Known in its datacenter only, and not in the others. @default false */
  readonly local?: pulumi.Input<boolean>;
  readonly description?: pulumi.Input<string>;
}

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").aclToken.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").aclToken.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").aclToken.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").aclToken.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").aclToken.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").aclToken.delete(id, props);
  },
};

/**
 * An ACL token. Its `secretId` is a secret of the stack.
 *
 * @example
 * ```ts
 * const token = new mesh.AclToken("web", { datacenter: dc2, serviceIdentities: [{ serviceName: "web" }] });
 * new mesh.ServiceRegistration("web", { datacenter: dc2, port: 8080, token: token.secretId });
 * ```
 */
export class AclToken<Known extends string = string> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:AclToken";

  /** True for a AclToken of any copy of this package. */
  static override isInstance(value: unknown): value is AclToken {
    return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === AclToken.__pulumiType;
  }

  declare readonly datacenter: pulumi.Output<string>;
  /** What names the token; not a secret. */
  declare readonly accessorId: pulumi.Output<string>;
  /** What a client sends; a secret. */
  declare readonly secretId: pulumi.Output<string>;

  constructor(logicalName: string, args: AclTokenArgs<Known>, opts?: pulumi.CustomResourceOptions) {
    const datacenter = datacenterNameOf(args.datacenter);
    const { owner, become } = declaration(logicalName, { kind: "acl-token", resource: logicalName, datacenter });
    const policies = args.policies ?? [];
    super(
      provider,
      logicalName,
      {
        ...args,
        datacenter,
        policies: policies.map((policy) => (typeof policy === "string" ? policy : policy.policyName)),
        serviceIdentities: args.serviceIdentities?.map(({ serviceName, datacenters }) => ({
          serviceName: typeof serviceName === "string" ? serviceName : serviceName.serviceName,
          datacenters: datacenters?.map((one) => datacenterNameOf<string>(one)),
        })),
        nodeIdentities: args.nodeIdentities?.map((one) => ({
          ...one,
          datacenter: datacenterNameOf<string>(one.datacenter),
        })),
        owner,
        accessorId: undefined,
        secretId: undefined,
      },
      pulumi.mergeOptions(dependOn(opts, args.datacenter, ...policies.filter((policy) => typeof policy !== "string")), {
        additionalSecretOutputs: ["secretId"],
      }),
      "isthmus",
      "AclToken",
    );
    become(this);
  }
}
