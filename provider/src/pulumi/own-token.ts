/** Tokens that the provider makes: each unit's own, with the rights of one service, and a secondary's for replication. */
import { createHash } from "node:crypto";
import { isMeshError } from "../model/errors.ts";
import type { AclPolicyRecord, AclTokenRecord } from "../model/records.ts";
import type { UnitId } from "../runtime/runtime.ts";
import { type ApiClient, orUndefined } from "./api-client.ts";
import type { Props } from "./context.ts";

/** A token as a unit uses it. */
export interface OwnToken {
  readonly accessor: string;
  readonly secret: string;
}

/** A uuid that is always the same for the same parts: what is made twice is found the second time. */
export function accessorFor(...parts: readonly string[]): string {
  const hex = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Finds or makes the token with that accessor. */
async function ensureToken(api: ApiClient, accessor: string, body: Props): Promise<OwnToken> {
  const token =
    (await orUndefined(api.get<AclTokenRecord>(`/v1/acl/token/${accessor}`))) ??
    (await api.put<AclTokenRecord>("/v1/acl/token", { AccessorID: accessor, ...body }));
  return { accessor: token.AccessorID, secret: token.SecretID };
}

function unitAccessor(unit: UnitId): string {
  return accessorFor(unit.mesh, unit.datacenter, unit.role, unit.name);
}

/**
 * Finds or makes the token of a service or gateway: a service identity, which is write on its own name and on its sidecar's,
 * and read on all services and nodes. It is local to its datacenter, so it needs no primary. Undefined where ACLs are off.
 */
export async function ensureUnitToken(api: ApiClient, unit: UnitId): Promise<OwnToken | undefined> {
  try {
    return await ensureToken(api, unitAccessor(unit), {
      Description: `isthmus: own token of ${unit.role} ${unit.name}`,
      ServiceIdentities: [{ ServiceName: unit.name }],
      Local: true,
    });
  } catch (error) {
    // The operator may do everything, so it is turned away only where there are no tokens at all.
    if (isMeshError(error) && error.code === "unauthenticated") return undefined;
    throw error;
  }
}

/** Deletes the token of a unit; absence is success. */
export async function deleteUnitToken(api: ApiClient, unit: UnitId): Promise<void> {
  await deleteToken(api, unitAccessor(unit));
}

async function deleteToken(api: ApiClient, accessor: string): Promise<void> {
  try {
    await orUndefined(api.delete(`/v1/acl/token/${accessor}`));
  } catch (error) {
    if (!isMeshError(error) || error.code !== "unauthenticated") throw error;
  }
}

const replicationRules = [
  'acl = "write"',
  'operator = "write"',
  'service_prefix "" {',
  '  policy = "read"',
  '  intentions = "read"',
  "}",
  'node_prefix "" {',
  '  policy = "read"',
  "}",
].join("\n");

/** Name of the policy and of the token with which a datacenter replicates. */
export function replicationName(datacenter: string): string {
  return `isthmus-replication-${datacenter}`;
}

/** Finds or makes a secondary's replication token; `api` is the primary's. Undefined where ACLs are off. */
export async function ensureReplicationToken(
  api: ApiClient,
  mesh: string,
  datacenter: string,
): Promise<OwnToken | undefined> {
  const name = replicationName(datacenter);
  try {
    if (!(await findPolicy(api, name))) {
      await api.put("/v1/acl/policy", {
        Name: name,
        Description: `Replication to ${datacenter}`,
        Rules: replicationRules,
      });
    }
    return await ensureToken(api, accessorFor(mesh, name), { Description: name, Policies: [{ Name: name }] });
  } catch (error) {
    if (isMeshError(error) && error.code === "unauthenticated") return undefined;
    throw error;
  }
}

/** Takes a secondary's replication token and policy away; `api` is the primary's. */
export async function deleteReplicationToken(api: ApiClient, mesh: string, datacenter: string): Promise<void> {
  const name = replicationName(datacenter);
  await deleteToken(api, accessorFor(mesh, name));
  const policy = await findPolicy(api, name);
  if (policy) await orUndefined(api.delete(`/v1/acl/policy/${policy.ID}`));
}

/** The policy of that name. */
export async function findPolicy(api: ApiClient, name: string): Promise<AclPolicyRecord | undefined> {
  const policies = await api.get<readonly AclPolicyRecord[]>("/v1/acl/policies");
  const found = policies.find((policy) => policy.Name === name);
  return found && (await orUndefined(api.get<AclPolicyRecord>(`/v1/acl/policy/${found.ID}`)));
}
