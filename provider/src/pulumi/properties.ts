/** Comparing and checking properties. Pure. */
import { isDeepStrictEqual } from "node:util";
import { checkSpec } from "@isthmus/sdk/spec";
import type { DiffResult, Handler, Props } from "./context.ts";

type Schema = Parameters<typeof checkSpec>[0];

/** A handler's `check` when its schema says it all. */
export function checkBy(schema: Schema): Handler["check"] {
  return async (_olds, news) => {
    const { inputs, failures } = checkSpec(schema, news);
    return { inputs, failures };
  };
}

/** Names of the inputs whose values differ; properties that start with `__` belong to the engine. */
export function changedInputs(olds: Props, news: Props, schema: Schema): readonly string[] {
  return Object.keys(schema.shape).filter((key) => !isDeepStrictEqual(olds[key], news[key]));
}

/** What a noun's diff needs to know of itself. */
export interface DiffRules {
  readonly schema: Schema;
  /** Inputs that make it another thing. */
  readonly identity: readonly string[];
  /** True when the new one cannot be there beside the old one. */
  readonly exclusive: boolean;
}

/**
 * The diff of inputs; `drifted` is asked only when they are equal.
 */
export async function diffInputs(
  olds: Props,
  news: Props,
  rules: DiffRules,
  drifted: () => Promise<boolean | undefined>,
): Promise<DiffResult> {
  const changed = changedInputs(olds, news, rules.schema);
  const replaces = changed.filter((key) => rules.identity.includes(key));
  if (replaces.length > 0) {
    // The same thing under another owner cannot be there twice, whatever it is.
    return { replaces, deleteBeforeReplace: rules.exclusive || replaces.every((key) => key === "owner") };
  }
  if (changed.length > 0) return {};
  return (await drifted()) ? { changes: true } : {};
}
