/** The bodies of ACL requests: Consul's fields, checked; what Isthmus does not have is refused by name, never ignored. */
import { z } from "zod";
import { MeshError } from "../model/errors.ts";

/** Where new ids and times come from. */
export interface AclEffects {
  /** A random uuid. */
  readonly uuid: () => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const reservedIds = "00000000-0000-0000-0000-0000000000";

/** An id that a client chose: lower-case uuid outside the range of the builtins. */
export const chosenId = z
  .string()
  .regex(uuidPattern, "must be a uuid in lower case")
  .refine((id) => !id.startsWith(reservedIds), `ids that begin with "${reservedIds}" are reserved`);

/** Go clients send "", 0 and null for what is not set. */
function optional<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (value === "" || value === null ? undefined : value), schema.optional());
}

const ignored = z.unknown().optional();
/** A field of Consul that has no meaning here: only its empty forms pass. */
const unsupported = z
  .unknown()
  .optional()
  .refine((value) => {
    const empty = [undefined, null, "", "0s", 0, "0001-01-01T00:00:00Z", "default"].some((form) => form === value);
    return empty || (Array.isArray(value) && value.length === 0);
  }, "Isthmus does not have this; leave it out");

const text = (maxLength: number) => optional(z.string().max(maxLength));
const datacenterName = z.string().regex(/^[a-z0-9_-]{1,64}$/, 'must be a datacenter: a-z, 0-9, "-", "_"');
const datacenters = optional(z.array(datacenterName));
const identityName = z
  .string()
  .max(256)
  .regex(/^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/, 'must be a-z, 0-9, "-", "_", with a letter or digit at both ends');

const policyInput = z.strictObject({
  ID: text(64),
  Name: z
    .string()
    .max(128)
    .regex(/^[A-Za-z0-9_-]+$/, 'must be letters, digits, "-" and "_"'),
  Description: text(1024),
  Rules: text(65_536),
  Datacenters: datacenters,
  Hash: ignored,
  CreateIndex: ignored,
  ModifyIndex: ignored,
  Namespace: unsupported,
  Partition: unsupported,
});

const tokenInput = z.strictObject({
  AccessorID: text(64),
  SecretID: text(64),
  Description: text(1024),
  Policies: optional(z.array(z.strictObject({ ID: text(64), Name: text(128) }))),
  ServiceIdentities: optional(z.array(z.strictObject({ ServiceName: identityName, Datacenters: datacenters }))),
  NodeIdentities: optional(z.array(z.strictObject({ NodeName: identityName, Datacenter: datacenterName }))),
  Local: optional(z.boolean()),
  CreateTime: ignored,
  Hash: ignored,
  CreateIndex: ignored,
  ModifyIndex: ignored,
  Roles: unsupported,
  TemplatedPolicies: unsupported,
  AuthMethod: unsupported,
  ExpirationTTL: unsupported,
  ExpirationTime: unsupported,
  Rules: unsupported,
  Namespace: unsupported,
  AuthMethodNamespace: unsupported,
  Partition: unsupported,
});

export type PolicyInput = z.infer<typeof policyInput>;
export type TokenInput = z.infer<typeof tokenInput>;

/** Reads a value that came from outside. @throws {MeshError} `invalid` with the path and the reason of every fault. */
export function readInput<T extends z.ZodType>(schema: T, input: unknown, what: string): z.infer<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message,
  );
  throw new MeshError("invalid", `${what}: ${faults.join("; ")}`);
}

export const readPolicyInput = (input: unknown): PolicyInput => readInput(policyInput, input, "ACL policy");
export const readTokenInput = (input: unknown): TokenInput => readInput(tokenInput, input, "ACL token");
