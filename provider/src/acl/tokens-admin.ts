/**
 * Tokens as the HTTP API serves them: Consul's fields in and out. The caller has asked for acl:read or acl:write already;
 * see policies.ts on what acl:write can do.
 */
import { MeshError } from "../model/errors.ts";
import type { AclTokenRecord } from "../model/records.ts";
import type { Change, Store, Stored } from "../store/store.ts";
import { retryOnConflict } from "../store/watch.ts";
import { anonymousAccessor, anonymousName, builtinChanges, managementPolicy } from "./builtin.ts";
import { type AclEffects, chosenId, readInput, readTokenInput, type TokenInput } from "./input.ts";
import { contentHash } from "./policies.ts";
import { withUniqueNames } from "./unique.ts";

export interface TokenResponse extends AclTokenRecord {
  /** Of the content without the secret, base64. */
  readonly Hash: string;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

export interface SecretVisibility {
  /** True for a caller with acl:write, and for the token's own holder; otherwise SecretID reads `<hidden>`. */
  readonly withSecret: boolean;
}

/** What stands for a secret that the caller may not see. */
export const hiddenSecret = "<hidden>";

type PolicyLinks = AclTokenRecord["Policies"];

/** Links with the names that the policies have now; those of policies that are gone are left out. */
function currentLinks(store: Store, links: PolicyLinks): PolicyLinks {
  return links.flatMap(({ ID }) => {
    const policy = store.get("acl-policy", ID);
    return policy ? [{ ID, Name: policy.value.Name }] : [];
  });
}

function responseOf(store: Store, stored: Stored<"acl-token">, { withSecret }: SecretVisibility): TokenResponse {
  const { value, createIndex: CreateIndex, modifyIndex: ModifyIndex } = stored;
  const SecretID = withSecret ? value.SecretID : hiddenSecret;
  const shown = { ...value, SecretID, Policies: currentLinks(store, value.Policies) };
  return { ...shown, Hash: contentHash({ ...shown, SecretID: "" }), CreateIndex, ModifyIndex };
}

/** Policies of the input, which names each by ID or by Name. @throws {MeshError} `invalid` for one that does not exist. */
function linksFrom(store: Store, links: NonNullable<TokenInput["Policies"]>): PolicyLinks {
  const policies = store.list("acl-policy").map(({ value }) => value);
  const found = links.map(({ ID, Name }) => {
    const policy = policies.find((one) => (ID === undefined ? one.Name === Name : one.ID === ID));
    if (!policy) {
      const which = ID === undefined ? `name "${Name ?? ""}"` : `ID "${ID}"`;
      throw new MeshError("invalid", `ACL token: no policy has the ${which}: create it first`);
    }
    return { ID: policy.ID, Name: policy.Name };
  });
  return [...new Map(found.map((link) => [link.ID, link])).values()];
}

type Content = Pick<AclTokenRecord, "Description" | "Policies" | "ServiceIdentities" | "NodeIdentities">;

function contentFrom(store: Store, input: TokenInput, local: boolean): Content {
  const { Description = "", Policies = [], ServiceIdentities = [], NodeIdentities = [] } = input;
  return {
    Description,
    Policies: linksFrom(store, Policies),
    ServiceIdentities: ServiceIdentities.map(({ ServiceName, Datacenters = [] }) => {
      if (Datacenters.length === 0) return { ServiceName };
      if (!local) return { ServiceName, Datacenters };
      const message = `ACL token: service identity "${ServiceName}" cannot have Datacenters on a local token`;
      throw new MeshError("invalid", message);
    }),
    NodeIdentities,
  };
}

function assertUnused(store: Store, { AccessorID, SecretID }: AclTokenRecord): void {
  if (store.get("acl-token", AccessorID)) {
    throw new MeshError("already_exists", `ACL token: AccessorID "${AccessorID}" is in use`);
  }
  if (store.list("acl-token").some(({ value }) => value.SecretID === SecretID)) {
    throw new MeshError("already_exists", "ACL token: SecretID is in use");
  }
}

/**
 * `PUT /v1/acl/token`. @returns the token with its secret.
 * @throws {MeshError} `invalid`; `already_exists` for an AccessorID or SecretID in use.
 */
export async function createToken(store: Store, input: unknown, effects: AclEffects): Promise<TokenResponse> {
  const read = readTokenInput(input);
  for (const id of [read.AccessorID, read.SecretID]) {
    if (id !== undefined) readInput(chosenId, id, "ACL token: AccessorID or SecretID");
  }
  const ids = { AccessorID: read.AccessorID ?? effects.uuid(), SecretID: read.SecretID ?? effects.uuid() };
  const { Local = false } = read;
  const CreateTime = new Date(effects.now()).toISOString();
  const write = async (guards: readonly Change[]) => {
    const record: AclTokenRecord = { ...ids, ...contentFrom(store, read, Local), Local, CreateTime };
    if (guards.length > 0) assertUnused(store, record);
    await store.txn([setToken(record, 0), ...guards]);
    return readToken(store, ids.AccessorID, { withSecret: true })!;
  };
  // Random ids need no look for a clash, so tokens are made side by side.
  if (read.AccessorID === undefined && read.SecretID === undefined) return write([]);
  return withUniqueNames(store, "acl-token-ids", (guard) => write([guard]));
}

function setToken(record: AclTokenRecord, ifIndex: number): Change {
  return { op: "set", kind: "acl-token", key: record.AccessorID, value: record, ifIndex };
}

/**
 * `PUT /v1/acl/token/<accessor>`: replaces description, policies and identities; the secret and Local cannot change.
 * @throws {MeshError} `not_found`, `invalid`.
 */
export function updateToken(store: Store, accessor: string, input: unknown): Promise<TokenResponse> {
  const key = accessorKey(accessor);
  return retryOnConflict(async () => {
    const read = readTokenInput(input);
    const before = store.get("acl-token", key);
    if (!before) throw new MeshError("not_found", `ACL token "${accessor}" does not exist`);
    const fixed = { AccessorID: key, SecretID: before.value.SecretID, Local: before.value.Local } as const;
    for (const name of ["AccessorID", "SecretID", "Local"] as const) {
      if (read[name] === undefined || read[name] === fixed[name]) continue;
      if (name === "SecretID" && read[name] === hiddenSecret) continue;
      throw new MeshError("invalid", `ACL token "${accessor}": ${name} cannot be changed: make a new token`);
    }
    const { CreateTime } = before.value;
    await store.txn([setToken({ ...fixed, ...contentFrom(store, read, fixed.Local), CreateTime }, before.modifyIndex)]);
    return readToken(store, key, { withSecret: true })!;
  });
}

/**
 * `DELETE /v1/acl/token/<accessor>`. @param by accessor of the caller, who cannot delete their own token
 * @returns false when there was none. @throws {MeshError} `permission_denied` for the anonymous token and the caller's own.
 */
export async function deleteToken(store: Store, accessor: string, by: string): Promise<boolean> {
  const key = accessorKey(accessor);
  if (key === anonymousAccessor) {
    throw new MeshError("permission_denied", "Delete operation not permitted on the anonymous token");
  }
  if (key === by) {
    throw new MeshError("permission_denied", "Deletion of the request's authorization token is not permitted");
  }
  const commit = await store.txn([{ op: "delete", kind: "acl-token", key }]);
  return commit.deleted.length > 0;
}

function accessorKey(accessor: string): string {
  return accessor === anonymousName ? anonymousAccessor : accessor;
}

/** `GET /v1/acl/token/<accessor>`; `/v1/acl/token/self` with the accessor of the caller's authorizer. */
export function readToken(store: Store, accessor: string, visibility: SecretVisibility): TokenResponse | undefined {
  const stored = store.get("acl-token", accessorKey(accessor));
  return stored && responseOf(store, stored, visibility);
}

export interface TokenFilter {
  /** Only tokens linked to the policy of this ID. */
  readonly policyId?: string;
  /** Only tokens with an identity for this service. */
  readonly serviceName?: string;
}

/** `GET /v1/acl/tokens`, sorted by accessor. */
export function listTokens(
  store: Store,
  visibility: SecretVisibility,
  { policyId, serviceName }: TokenFilter = {},
): readonly TokenResponse[] {
  const tokens = store.list("acl-token").filter(({ value }) => {
    const linked = policyId === undefined || value.Policies.some(({ ID }) => ID === policyId);
    const identified =
      serviceName === undefined || value.ServiceIdentities.some((identity) => identity.ServiceName === serviceName);
    return linked && identified;
  });
  return tokens.map((stored) => responseOf(store, stored, visibility));
}

/**
 * `PUT /v1/acl/bootstrap`: makes the first management token, once in a store's life, and the builtins where missing.
 * @param input `{ BootstrapSecret }` or nothing: then the secret is random
 * @throws {MeshError} `permission_denied` ever after, also when the token is gone.
 */
export async function bootstrapAcl(store: Store, input: unknown, effects: AclEffects): Promise<TokenResponse> {
  const SecretID = bootstrapSecret(input) ?? effects.uuid();
  const nowMs = effects.now();
  const { ID, Name } = managementPolicy;
  const token: AclTokenRecord = {
    AccessorID: effects.uuid(),
    SecretID,
    Description: "Bootstrap Token (Global Management)",
    Policies: [{ ID, Name }],
    ServiceIdentities: [],
    NodeIdentities: [],
    Local: false,
    CreateTime: new Date(nowMs).toISOString(),
  };
  return withUniqueNames(store, "acl-token-ids", async (guard) => {
    const done = store.get("fact", "acl-bootstrap");
    if (done) {
      const message = `Permission denied: ACL bootstrap no longer allowed (reset index: ${done.modifyIndex})`;
      throw new MeshError("permission_denied", message);
    }
    assertUnused(store, token);
    await store.txn([
      { op: "set", kind: "fact", key: "acl-bootstrap", value: { Value: token.CreateTime }, ifIndex: 0 },
      ...builtinChanges(store, nowMs),
      setToken(token, 0),
      guard,
    ]);
    return readToken(store, token.AccessorID, { withSecret: true })!;
  });
}

function bootstrapSecret(input: unknown): string | undefined {
  if (input === undefined || input === null || input === "") return undefined;
  if (typeof input !== "object" || Object.keys(input).some((name) => name !== "BootstrapSecret")) {
    throw new MeshError("invalid", "ACL bootstrap takes { BootstrapSecret } or nothing");
  }
  const secret: unknown = "BootstrapSecret" in input ? input.BootstrapSecret : undefined;
  if (secret === undefined || secret === "") return undefined;
  return readInput(chosenId, secret, "BootstrapSecret");
}
