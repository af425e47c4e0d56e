/**
 * Policies as the HTTP API serves them: Consul's fields in and out. The caller has asked for acl:read or acl:write already.
 *
 * Escalation: as in Consul acl:write is all-powerful by definition, since who may write policies and tokens can give
 * themselves any right. So no function here compares what is granted with what the caller holds; the guard is that
 * acl:write comes from an explicit rule only (never from the default policy, an identity or a prefix), and that the
 * builtin policy cannot be narrowed or removed.
 */
import { hash } from "node:crypto";
import { MeshError } from "../model/errors.ts";
import type { AclPolicyRecord } from "../model/records.ts";
import type { Change, Store, Stored } from "../store/store.ts";
import { managementPolicyId } from "./builtin.ts";
import { type AclEffects, type PolicyInput, readPolicyInput } from "./input.ts";
import { parseRules } from "./rules.ts";
import { withUniqueNames } from "./unique.ts";

export interface PolicyResponse extends AclPolicyRecord {
  /** Of the content, base64. */
  readonly Hash: string;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** An entry of the list: no rules. */
export type PolicyListEntry = Omit<PolicyResponse, "Rules">;

/** Hash of a record's content, base64. */
export function contentHash(value: unknown): string {
  return hash("sha256", JSON.stringify(value), "base64");
}

function responseOf({ value, createIndex, modifyIndex }: Stored<"acl-policy">): PolicyResponse {
  return { ...value, Hash: contentHash(value), CreateIndex: createIndex, ModifyIndex: modifyIndex };
}

function named(store: Store, name: string): Stored<"acl-policy"> | undefined {
  return store.list("acl-policy").find(({ value }) => value.Name === name);
}

function recordFrom(input: PolicyInput, id: string): AclPolicyRecord {
  const { Name, Description = "", Rules = "", Datacenters } = input;
  parseRules(Rules);
  const record = { ID: id, Name, Description, Rules };
  return Datacenters && Datacenters.length > 0 ? { ...record, Datacenters } : record;
}

async function put(store: Store, record: AclPolicyRecord, ifIndex: number, guard: Change): Promise<PolicyResponse> {
  const other = named(store, record.Name);
  if (other && other.key !== record.ID) {
    throw new MeshError("already_exists", `Invalid Policy: A Policy with Name "${record.Name}" already exists`);
  }
  await store.txn([{ op: "set", kind: "acl-policy", key: record.ID, value: record, ifIndex }, guard]);
  return readPolicy(store, record.ID)!;
}

/**
 * `PUT /v1/acl/policy`. @throws {MeshError} `invalid` for a bad name, rules that cannot be read or an ID of the client's
 * choice; `already_exists` for a name in use.
 */
export async function createPolicy(
  store: Store,
  input: unknown,
  effects: Pick<AclEffects, "uuid">,
): Promise<PolicyResponse> {
  const read = readPolicyInput(input);
  if (read.ID !== undefined) throw new MeshError("invalid", "ACL policy: ID: is chosen by the server; leave it out");
  const record = recordFrom(read, effects.uuid());
  return withUniqueNames(store, "acl-policy-names", (guard) => put(store, record, 0, guard));
}

/** `PUT /v1/acl/policy/<id>`: replaces all fields. @throws {MeshError} `not_found`; otherwise as {@link createPolicy}. */
export async function updatePolicy(store: Store, id: string, input: unknown): Promise<PolicyResponse> {
  const read = readPolicyInput(input);
  if (read.ID !== undefined && read.ID !== id) {
    throw new MeshError("invalid", `ACL policy: ID: is "${read.ID}", and the path says "${id}"`);
  }
  return withUniqueNames(store, "acl-policy-names", (guard) => {
    const before = store.get("acl-policy", id);
    if (!before) throw new MeshError("not_found", `ACL policy "${id}" does not exist`);
    const record = recordFrom(read, id);
    if (id === managementPolicyId && (record.Rules !== before.value.Rules || record.Datacenters)) {
      throw new MeshError(
        "permission_denied",
        "Changing the rules of the builtin global-management policy is not permitted",
      );
    }
    return put(store, record, before.modifyIndex, guard);
  });
}

/**
 * `DELETE /v1/acl/policy/<id>`. Tokens keep their link, which grants nothing from then on and is no longer shown.
 * @returns false when there was none. @throws {MeshError} `permission_denied` for the builtin policy.
 */
export async function deletePolicy(store: Store, id: string): Promise<boolean> {
  if (id === managementPolicyId) {
    throw new MeshError("permission_denied", "Delete operation not permitted on the builtin global-management policy");
  }
  const commit = await store.txn([{ op: "delete", kind: "acl-policy", key: id }]);
  return commit.deleted.length > 0;
}

/** `GET /v1/acl/policy/<id>` */
export function readPolicy(store: Store, id: string): PolicyResponse | undefined {
  const stored = store.get("acl-policy", id);
  return stored && responseOf(stored);
}

/** `GET /v1/acl/policy/name/<name>` */
export function readPolicyByName(store: Store, name: string): PolicyResponse | undefined {
  const stored = named(store, name);
  return stored && responseOf(stored);
}

/** `GET /v1/acl/policies`, sorted by name. */
export function listPolicies(store: Store): readonly PolicyListEntry[] {
  const entries = store.list("acl-policy").map((stored) => {
    const { Rules: _, ...entry } = responseOf(stored);
    return entry;
  });
  return entries.sort((a, b) => (a.Name < b.Name ? -1 : 1));
}
