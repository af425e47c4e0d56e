/** What the plugin knows of each kind of resource beside its handlers: types, secrets, what a preview can tell. */
import { unknownValue } from "@isthmus/sdk/spec";
import { z } from "zod";
import type { Handler, Props } from "../context.ts";
import type { DiffRules } from "../properties.ts";
import type { Path } from "./wire.ts";

/** One kind of resource. */
export interface Noun {
  readonly name: string;
  readonly description: string;
  readonly handler: Handler;
  /** Its inputs. */
  readonly schema: DiffRules["schema"];
  /** What it has beside its inputs. */
  readonly outputs: z.ZodObject;
  /** Always secret, wherever they come from. */
  readonly secrets: readonly Path[];
  /** Outputs and inputs that no update changes. */
  readonly stables: readonly string[];
  /** Outputs that follow from inputs, as far as they do; the others are unknown until it is made, and kept afterwards. */
  readonly foretell: (inputs: Props, olds?: Props) => Props;
}

/** Output of everything that runs. */
export const runningOutput = z
  .boolean()
  .describe("Whether everything that belongs to it ran when it was last looked at.");

/** Output of everything that runs where its datacenter does. */
export const runtimeOutput = z
  .enum(["docker", "local"])
  .describe("How it runs: as containers, or as processes on loopback addresses.");

/** A proxy's certificate for its control plane. */
export const certificateOutput = z
  .strictObject({
    issuedAt: z.number().describe("When it was made, in milliseconds since the epoch."),
    notAfter: z.number().describe("When it ends, in milliseconds since the epoch."),
  })
  .describe("Lifetime of the proxy's certificate for its control plane.");

/** Outputs of a creation that was not done: inputs, what follows from them, and unknowns. */
export function foreseenCreation(noun: Noun, inputs: Props): Props {
  const unknowns = Object.fromEntries(Object.keys(noun.outputs.shape).map((key) => [key, unknownValue]));
  return { ...unknowns, ...inputs, ...noun.foretell(inputs) };
}

/** Outputs of an update that was not done. What runs keeps what it has; what has to be made again may get something else. */
export function foreseenUpdate(noun: Noun, olds: Props, inputs: Props): Props {
  const computed = Object.keys(noun.outputs.shape).filter((key) => !(key in noun.schema.shape));
  const intact = olds["running"] !== false;
  const kept = Object.fromEntries(
    computed.map((key) => [key, intact && olds[key] !== undefined ? olds[key] : unknownValue]),
  );
  return { ...kept, ...inputs, ...noun.foretell(inputs, olds) };
}
