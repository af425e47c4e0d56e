/** What the resource classes share: references become known names, and every resource gets its owner. */
import * as pulumi from "@pulumi/pulumi";
import type { Declared } from "../check-program.ts";
import { ownerOf } from "../owner.ts";
import { declare, declaredDatacenter } from "../program.ts";
import type { OwnerSpec } from "../spec/words.ts";

/** A resource that knows its datacenter's name when the program runs. */
export interface InDatacenter<Name extends string = string> {
  readonly datacenterName: Name;
}

/** A datacenter: the resource itself or its name. */
export type DatacenterRef<Name extends string = string> = Name | (InDatacenter<Name> & { readonly isDatacenter: true });

/** The name behind a reference. */
export function datacenterNameOf<Name extends string>(ref: DatacenterRef<Name>): Name {
  return typeof ref === "string" ? ref : ref.datacenterName;
}

/** What goes to the engine for the datacenter: options that make the resource wait for it. */
export function dependOn(
  opts: pulumi.CustomResourceOptions | undefined,
  ...refs: readonly (DatacenterRef | pulumi.Resource | undefined)[]
): pulumi.CustomResourceOptions {
  const resources = refs.flatMap((ref) => {
    const resource = typeof ref === "string" ? declaredDatacenter(ref) : ref;
    return pulumi.Resource.isInstance(resource) ? [resource] : [];
  });
  return pulumi.mergeOptions(opts ?? {}, { dependsOn: resources });
}

/** The value if it is known when the program runs, that is, not an output or a promise. */
export function plain<T extends string | number | boolean>(value: pulumi.Input<T> | undefined): T | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? (value as T)
    : undefined;
}

/** The value as a secret of the stack; nothing stays nothing. */
export function secret<T>(value: pulumi.Input<T> | undefined): pulumi.Output<T> | undefined {
  return value === undefined ? undefined : (pulumi.secret(value) as pulumi.Output<T>);
}

/**
 * Declares a resource to the program's check. The result is its `owner` input; it resolves when the program as a whole
 * is right, and so it is what holds the registration back until then.
 *
 * The resource does not exist yet when its inputs are made, so it is handed over afterwards by `become`.
 */
export function declaration(
  logicalName: string,
  declared: Declared,
): {
  readonly owner: Promise<OwnerSpec>;
  readonly become: (resource: pulumi.Resource) => void;
} {
  const owner = ownerOf(logicalName);
  let become: (resource: pulumi.Resource) => void = () => {};
  const promise = new Promise<OwnerSpec>((resolve, reject) => {
    become = (resource) => {
      declare(resource, declared).then(() => resolve(owner), reject);
    };
  });
  return { owner: promise, become };
}
