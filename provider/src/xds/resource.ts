/** A planned resource: the plain data it is made of and the pure recipe that makes it, so that equal input is made once. */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { ResourceType } from "./resource-types.ts";

/** Plain data that JSON shows in full: two inputs with the same JSON are the same input. */
export type PlainData =
  | string
  | number
  | boolean
  | readonly PlainData[]
  | { readonly [key: string]: PlainData | undefined };

/** A resource that has not been built yet. */
export interface PlannedResource {
  readonly type: ResourceType;
  readonly name: string;
  /** Identity of the recipe and all that it reads besides the name. */
  readonly recipe: unknown;
  readonly input: PlainData;
  readonly build: () => MessageShape<DescMessage>;
}

/**
 * Plans a resource. The recipe must be pure: it sees the resource's name and the input, and nothing else decides what it
 * returns.
 */
export function planned<T extends DescMessage, I extends PlainData>(
  type: ResourceType<T>,
  name: string,
  recipe: (name: string, input: I) => MessageInitShape<T>,
  input: I,
): PlannedResource {
  return { type, name, recipe, input, build: () => create(type.schema, recipe(name, input)) };
}
