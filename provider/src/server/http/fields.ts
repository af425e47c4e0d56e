/** Building blocks of body schemas: objects with Consul's lenient spelling and strict content, names, ports, durations. */
import { isIP } from "node:net";
import { z } from "zod";
import { parseDurationMs } from "../../model/duration.ts";

/** Properties that are not in a schema's shape. */
export interface ObjectOptions {
  /** Read-only properties that clients send back: taken and dropped. */
  readonly ignored?: readonly string[];
  /** Properties that Consul has and this mesh has not: an empty value passes, anything else is refused. */
  readonly unsupported?: readonly string[];
}

const notHere = ["Namespace", "Partition"];

/**
 * An object whose properties may be spelt `LocalBindPort`, `localBindPort` or `local_bind_port`, as Consul's. A null
 * counts as absent. Unknown properties are refused by name.
 */
export function apiObject<S extends z.core.$ZodShape>(shape: S, options: ObjectOptions = {}) {
  const known = new Map(Object.keys(shape).map((key) => [spelling(key), key]));
  const ignored = new Set((options.ignored ?? []).map(spelling));
  const unsupported = new Map((options.unsupported ?? []).map((key) => [spelling(key), key]));
  const single = new Map(notHere.filter((key) => !known.has(spelling(key))).map((key) => [spelling(key), key]));
  return z.preprocess((value, context) => {
    if (!isObject(value)) return value;
    const named: [string, unknown][] = [];
    const from = new Map<string, string>();
    const refuse = (message: string): void => {
      context.addIssue({ code: "custom", message, input: value });
    };
    for (const [key, part] of Object.entries(value)) {
      const spelt = spelling(key);
      const name = known.get(spelt);
      if (name !== undefined) {
        const earlier = from.get(name);
        if (earlier !== undefined) refuse(`"${earlier}" and "${key}" are the same property; keep one`);
        from.set(name, key);
        if (part !== null) named.push([name, part]);
      } else if (ignored.has(spelt)) {
      } else if (single.has(spelt)) {
        if (!isEmpty(part) && part !== "default")
          refuse(`${single.get(spelt)} must be "default" or absent: there is only one`);
      } else if (unsupported.has(spelt)) {
        if (!isEmpty(part)) refuse(`${unsupported.get(spelt)} is not supported here; remove it`);
      } else {
        refuse(`unknown property ${JSON.stringify(key.slice(0, 80))}; known are ${[...known.values()].join(", ")}`);
      }
    }
    return Object.fromEntries(named);
  }, z.object(shape));
}

/** A service's name: a DNS label in lower case (`_` allowed), because SNI and SPIFFE IDs are made of it. */
export const serviceName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/,
    "must be 1 to 63 of a-z, 0-9, - and _, with a letter or digit at both ends",
  );

/** A service's name or `*`. */
export const serviceNameOrAny = z
  .string()
  .regex(
    /^(\*|[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)$/,
    "must be * or a service name: 1 to 63 of a-z, 0-9, - and _, with a letter or digit at both ends",
  );

/** Id of an instance or a check; empty for none. */
export const identifierOrNone = z
  .string()
  .regex(
    /^([A-Za-z0-9_][A-Za-z0-9._:-]{0,190})?$/,
    "must be 1 to 191 of A-Z, a-z, 0-9, . _ : and -, beginning with a letter, a digit or _",
  );

/** Name of a datacenter. */
export const datacenterName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/, "must be a datacenter's name in lower case");

/** A port, or 0 for none. */
export const portOrNone = z
  .int("must be a whole number")
  .min(0, "must be in 0..65535")
  .max(65535, "must be in 0..65535");

/** A port. */
export const port = z.int("must be a whole number").min(1, "must be in 1..65535").max(65535, "must be in 1..65535");

/** An IP address or a host name that can be dialled; `0.0.0.0` and `::` cannot. */
export const dialAddress = z
  .string()
  .max(253, "is longer than 253 characters")
  .refine(
    (text) => text === "" || isIP(text) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text),
    "must be an IP address or a host name",
  )
  .refine(
    (text) => text !== "0.0.0.0" && text !== "::" && text !== "[::]",
    "must be an address that others can dial, not a wildcard",
  );

/** A Go duration; empty or `0s` for none. */
export const durationOrNone = z
  .string()
  .refine((text) => text === "" || parseDurationMs(text) !== undefined, 'must be a duration such as "10s" or "1m30s"')
  .transform((text) => (text === "" || parseDurationMs(text) === 0 ? "" : text));

/** Free text of a sane length, without control characters. */
export const text = z
  .string()
  .max(4096, "is longer than 4096 characters")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  .regex(/^[^\u0000-\u0008\u000b\u000c\u000e-\u001f]*$/, "must not contain control characters");

/** Metadata: at most 64 pairs, keys of letters, digits, - and _, values of at most 512 characters. */
export const meta = z
  .record(
    z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, "keys are 1 to 128 of A-Z, a-z, 0-9, - and _"),
    z.string().max(512, "is longer than 512 characters"),
  )
  .refine((pairs) => Object.keys(pairs).length <= 64, "has more than 64 pairs");

/** Opaque configuration for the proxy. */
export const opaque = z.record(z.string().max(128), z.unknown());

/** `MeshGateway`: `{ "Mode": "local" }`. */
export const meshGateway = z.preprocess(
  (value, context) => {
    if (typeof value === "string" || Array.isArray(value)) {
      const mode = typeof value === "string" ? value : "local";
      context.addIssue({
        code: "custom",
        message: `must be an object that holds the mode: "MeshGateway": {"Mode": ${JSON.stringify(mode.slice(0, 40))}}`,
        input: value,
      });
    }
    return value;
  },
  apiObject({
    Mode: z.enum(["", "none", "local", "remote"], { error: 'must be "none", "local" or "remote"' }).exactOptional(),
  }),
);

function spelling(key: string): string {
  return key.replaceAll("_", "").toLowerCase();
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Go's zero values, and objects that hold nothing but such. */
function isEmpty(value: unknown): boolean {
  if (value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.values(value).every(isEmpty);
}
