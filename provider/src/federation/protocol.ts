/**
 * What goes over the link between a secondary and its primary: messages, their checks, and the gRPC service with JSON
 * codecs.
 *
 *   secondary                                   primary
 *     hello (name, instance, state) ────────────►
 *     have  (digests of what it holds) ─────────►
 *     ◄──────────────── welcome (cluster, epoch, index)
 *     ◄──── have (digests of this secondary's exports)
 *     records (own exports) ────────────────────►
 *     ◄──── records (all that is replicated), first the differences, then every commit
 */
import { z } from "zod";
import type { CaRootRecord, ImportedServiceRecord, RecordKind, Records } from "../model/records.ts";

/** Kinds that follow from the primary, in the order in which they are sent. */
export const replicatedKinds = [
  "datacenter",
  "ca-root",
  "acl-policy",
  "acl-token",
  "config-entry",
  "imported-service",
] as const;
export type ReplicatedKind = (typeof replicatedKinds)[number];

/** Largest message either side takes, in bytes. */
export const maxMessageBytes = 4 * 1024 * 1024;

/** Metadata key of the replication token. */
export const tokenKey = "x-consul-token";

const name = z.string().regex(/^[a-z0-9_-]{1,64}$/);
const reference = { kind: z.enum(replicatedKinds), key: z.string().min(1).max(1_024) };
const have = z.object({
  type: z.literal("have"),
  /** Pairs of record id and digest. */
  items: z.array(z.tuple([z.string().max(1_100), z.string().max(64)])).max(2_000),
  last: z.boolean(),
});
const records = z.object({
  type: z.literal("records"),
  set: z.array(z.object({ ...reference, value: z.record(z.string(), z.unknown()) })),
  deleted: z.array(z.object(reference)),
  /** The receiver now holds all that the sender had at `index`. */
  complete: z.boolean(),
  /** Revision of the sender's store. */
  index: z.number().int().nonnegative(),
});
const hello = z.object({
  type: z.literal("hello"),
  datacenter: name,
  primaryDatacenter: name,
  /** Random and kept in the secondary's store: tells a reconnect from a second datacenter of the same name. */
  instance: z.uuid(),
  /** host:port of its own federation link; empty when it has none. */
  address: z.string().max(256),
  /** Empty before the first join. */
  clusterId: z.string().max(64),
});
const welcome = z.object({
  type: z.literal("welcome"),
  datacenter: name,
  clusterId: z.string().min(1).max(64),
  epoch: z.number().int().nonnegative(),
  index: z.number().int().nonnegative(),
});

const fromSecondary = z.discriminatedUnion("type", [hello, have, records]);
const fromPrimary = z.discriminatedUnion("type", [welcome, have, records]);
export type FromSecondary = z.infer<typeof fromSecondary>;
export type FromPrimary = z.infer<typeof fromPrimary>;
export type RecordsMessage = z.infer<typeof records>;
export type HaveMessage = z.infer<typeof have>;
export type WelcomeMessage = z.infer<typeof welcome>;
export type HelloMessage = z.infer<typeof hello>;

const forwardRequest = z.object({
  method: z.enum(["GET", "PUT", "POST", "DELETE"]),
  /** Absolute, without the query. */
  path: z.string().startsWith("/").max(4_096),
  /** Without the question mark. */
  query: z.string().max(4_096),
  /** The user's own token; empty for the anonymous one. */
  token: z.string().max(256),
  body: z.string(),
});
const forwardResponse = z.object({
  status: z.number().int(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  /** Revision of the primary's store after the request. */
  index: z.number().int().nonnegative(),
});
/** An HTTP request as a secondary passes it on. */
export type ForwardRequest = z.infer<typeof forwardRequest>;
/** The primary's answer, word for word. */
export type ForwardResponse = z.infer<typeof forwardResponse>;

const signRequest = z.object({ datacenter: name, instance: z.uuid(), csr: z.string().max(8_192) });
const signResponse = z.object({
  chain: z.array(z.string()).min(1),
  roots: z.array(z.custom<CaRootRecord>((value) => typeof value === "object" && value !== null)),
});
export type SignRequest = z.infer<typeof signRequest>;
export type SignResponse = z.infer<typeof signResponse>;

const importedService = z.object({
  Datacenter: name,
  Service: z.string().min(1).max(512),
  Kind: z.enum(["", "connect-proxy", "mesh-gateway"]),
  Instances: z
    .array(
      z.object({
        Status: z.enum(["passing", "warning", "critical"]),
        Service: z.looseObject({
          Node: z.string(),
          ID: z.string(),
          Service: z.string(),
          Kind: z.enum(["", "connect-proxy", "mesh-gateway"]),
          Address: z.string().max(256),
          Port: z.number().int().min(0).max(65_535),
          TaggedAddresses: z.record(
            z.string(),
            z.object({ Address: z.string().max(256), Port: z.number().int().min(0).max(65_535) }),
          ),
        }),
      }),
    )
    .max(10_000),
});

/** A secondary's export as it may be stored. @throws {z.ZodError} when it is none. */
export function parseImportedService(value: unknown): ImportedServiceRecord {
  return importedService.parse(value) as unknown as ImportedServiceRecord;
}

/** `<kind>:<key>`: one name for a record on the link. */
export function recordId(kind: RecordKind, key: string): string {
  return `${kind}:${key}`;
}

/** The inverse of {@link recordId}. */
export function parseRecordId(id: string): { readonly kind: ReplicatedKind; readonly key: string } {
  const colon = id.indexOf(":");
  return { kind: id.slice(0, colon) as ReplicatedKind, key: id.slice(colon + 1) };
}

/** True for a record that stays in its datacenter although its kind is replicated. */
export function isLocal(kind: RecordKind, value: Records[RecordKind]): boolean {
  return kind === "acl-token" && (value as Records["acl-token"]).Local;
}

const write = (message: unknown): Buffer => Buffer.from(JSON.stringify(message));
const read =
  <T>(schema: z.ZodType<T>) =>
  (bytes: Buffer): T =>
    schema.parse(JSON.parse(bytes.toString("utf8")));

const method = <Request, Response>(
  path: string,
  stream: boolean,
  request: z.ZodType<Request>,
  response: z.ZodType<Response>,
) => ({
  path: `/isthmus.federation.v1.Federation/${path}`,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: write as (message: Request) => Buffer,
  requestDeserialize: read(request),
  responseSerialize: write as (message: Response) => Buffer,
  responseDeserialize: read(response),
});

/** The gRPC service. */
export const federationService = {
  join: method("Join", true, fromSecondary, fromPrimary),
  forward: method("Forward", false, forwardRequest, forwardResponse),
  signIntermediate: method("SignIntermediate", false, signRequest, signResponse),
} as const;
