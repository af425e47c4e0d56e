/** What every resource class extends: a dynamic resource, or with another type one that the provider plugin serves. */
import * as pulumi from "@pulumi/pulumi";

/** Types of dynamic resources begin with it. */
const dynamicPrefix = "pulumi-nodejs:dynamic/isthmus:";

interface MeshResourceClass {
  readonly prototype: pulumi.CustomResource;
  readonly __pulumiType: string;
  /** True for a resource of this type, of any copy of this package. */
  isInstance(value: unknown): boolean;
  new (
    provider: pulumi.dynamic.ResourceProvider,
    logicalName: string,
    props: Record<string, unknown>,
    opts: pulumi.CustomResourceOptions,
    module: "isthmus",
    noun: string,
  ): pulumi.CustomResource;
}

/**
 * The class that is made says by its `__pulumiType` which front end it is for. A function, because a class cannot choose
 * what it extends when it is made.
 */
function make(
  this: unknown,
  provider: pulumi.dynamic.ResourceProvider,
  logicalName: string,
  props: Record<string, unknown>,
  opts: pulumi.CustomResourceOptions,
  module: "isthmus",
  noun: string,
): unknown {
  const made = new.target as unknown as MeshResourceClass;
  if (made.__pulumiType.startsWith(dynamicPrefix)) {
    return Reflect.construct(pulumi.dynamic.Resource, [provider, logicalName, props, opts, module, noun], made);
  }
  const former = pulumi.mergeOptions(opts, { aliases: [{ type: `${dynamicPrefix}${noun}` }] });
  return Reflect.construct(pulumi.CustomResource, [made.__pulumiType, logicalName, props, former], made);
}
make.prototype = pulumi.dynamic.Resource.prototype;
Object.setPrototypeOf(make, pulumi.dynamic.Resource);

/** Base of the resource classes. */
export const MeshResource = make as unknown as MeshResourceClass;
