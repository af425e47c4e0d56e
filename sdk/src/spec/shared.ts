/** Schemas that several nouns share: names, ports, durations, modes, ownership. Pure. */
import { z } from "zod";
import { meshGatewayModes, meshIdPattern, type OwnerSpec } from "./words.ts";

/** A value as an error message shows it, short. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? `"${value}"` : JSON.stringify(value);
  return text === undefined ? "undefined" : text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * An object that refuses properties it does not know, and names those it does. `hint` is said when something else than
 * an object was given.
 */
export function strict<Shape extends z.core.$ZodLooseShape>(shape: Shape, hint?: string) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === "unrecognized_keys") return `unknown property; known are ${Object.keys(shape).join(", ")}`;
      if (issue.code === "invalid_type" && issue.input !== undefined) {
        return `${show(issue.input)} is not an object${hint ? `; write ${hint}` : ""}`;
      }
      return undefined;
    },
  });
}

/** Longest name that fits a DNS label. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** A lower-case DNS label: names of datacenters, services and gateways are parts of SNI names. */
export function nameSchema(what: string) {
  return z.string().regex(label, {
    error: (issue) =>
      `${show(issue.input)} is no ${what} name; use 1 to 63 of a-z, 0-9 and "-", with "-" neither first nor last`,
  });
}

/** A service's name or `*` for every service. */
export const serviceOrWildcardSchema = z.union([z.literal("*"), nameSchema("service")], {
  error: (issue) => `${show(issue.input)} is neither a service name (a-z, 0-9, "-") nor "*"`,
});

const portMessage = (issue: { readonly input?: unknown }): string =>
  `${show(issue.input)} is not in 1..65535; choose a free port`;

/** A TCP port. */
export const portSchema = z
  .int({ error: (issue) => (issue.input === undefined ? undefined : portMessage(issue)) })
  .min(1, { error: portMessage })
  .max(65535, { error: portMessage });

/** A duration as Go writes it: `10s`, `1m30s`, `72h`. */
export const durationSchema = z.string().regex(/^(\d+(\.\d+)?(ms|s|m|h))+$/, {
  error: (issue) => `${show(issue.input)} is no duration; write for example "10s", "1m30s" or "72h"`,
});

const unitSeconds: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** Seconds of a duration that {@link durationSchema} accepts. */
export function durationSeconds(text: string): number {
  let total = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) total += Number(part[1]) * unitSeconds[part[2]!]!;
  return total;
}

/** `{ mode: "none" | "local" | "remote" }` */
export const meshGatewaySchema = strict(
  {
    mode: z
      .enum(meshGatewayModes, {
        error: (issue) => `${show(issue.input)} is no mesh gateway mode; use "none", "local" or "remote"`,
      })
      .describe(
        '"none": directly. "local": through a gateway of the own datacenter. "remote": through one of the other.',
      ),
  },
  '{ mode: "local" }',
);

/** Text by name. */
export const textMapSchema = z.record(z.string(), z.string());

/** Consul's `Meta`: at most 64 pairs. */
export const metaSchema = textMapSchema.refine((meta) => Object.keys(meta).length <= 64, {
  error: (issue) => `${Object.keys(issue.input as object).length} pairs are too many; at most 64 are allowed`,
});

/** Options that go to Envoy or to its configuration as they are. */
export const opaqueSchema = z.record(z.string(), z.unknown());

/** A relative path inside a unit's folder, without `..`. */
const pathSchema = z
  .string()
  .refine((path) => path !== "" && !path.startsWith("/") && !path.split("/").includes(".."), {
    error: (issue) => `${show(issue.input)} is no relative path without ".."`,
  });

/** Files by path. */
export const filesSchema = z.record(pathSchema, z.string());

/** Whose a resource is; written by the constructors, never by users. Only a unit with the same four is adopted. */
export const ownerSchema: z.ZodType<OwnerSpec> = strict({
  project: z.string().describe("Pulumi project."),
  stack: z.string().describe("Pulumi stack."),
  resource: z.string().describe("Logical name of the resource."),
  mesh: z
    .string()
    .regex(meshIdPattern, {
      error: (issue) => `${show(issue.input)} is no mesh id; set the configuration isthmus:mesh to 8 of 0-9 and a-f`,
    })
    .describe("The mesh's id: 8 of 0-9 and a-f."),
}).describe(
  "Whose it is; only what has the same owner is found again. Filled in by constructors and by the provider, never by hand.",
);

/** A problem that refers to one property. */
export function problemAt(path: readonly (string | number)[], message: string) {
  return { code: "custom" as const, path: [...path], message };
}
