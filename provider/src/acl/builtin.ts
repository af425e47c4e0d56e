/** The policy and the token that every datacenter has without anyone making them. Ids as in Consul. */

import type { AclPolicyRecord, AclTokenRecord } from "../model/records.ts";
import type { Change, Store } from "../store/store.ts";
import { managementRules } from "./authorizer.ts";

export const managementPolicyId = "00000000-0000-0000-0000-000000000001";
export const anonymousAccessor = "00000000-0000-0000-0000-000000000002";

/** The secret that stands for having none. */
export const anonymousSecret = "anonymous";

/** How an authorizer names callers without a token. */
export const anonymousName = "anonymous";

export const managementPolicy: AclPolicyRecord = {
  ID: managementPolicyId,
  Name: "global-management",
  Description: "Builtin policy that grants everything",
  Rules: managementRules,
};

/** The token of callers without one; it has no rights of its own. */
export function anonymousToken(nowMs: number): AclTokenRecord {
  return {
    AccessorID: anonymousAccessor,
    SecretID: anonymousSecret,
    Description: "Anonymous Token",
    Policies: [],
    ServiceIdentities: [],
    NodeIdentities: [],
    Local: false,
    CreateTime: new Date(nowMs).toISOString(),
  };
}

/** Changes that put the builtins where they are missing; empty when both are there. For the primary, at each start. */
export function builtinChanges(store: Store, nowMs: number): readonly Change[] {
  const changes: Change[] = [];
  const { ID } = managementPolicy;
  if (!store.get("acl-policy", ID)) {
    changes.push({ op: "set", kind: "acl-policy", key: ID, value: managementPolicy });
  }
  if (!store.get("acl-token", anonymousAccessor)) {
    changes.push({ op: "set", kind: "acl-token", key: anonymousAccessor, value: anonymousToken(nowMs) });
  }
  return changes;
}
