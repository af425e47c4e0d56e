/**
 * Who a secret is and what it may do, answered from memory. The index holds hashes of secrets, never secrets, so that
 * how long a look-up takes says nothing about the secrets there are.
 */
import { hash } from "node:crypto";
import type { Authorizer } from "../model/authorizer.ts";
import { isMeshError, MeshError } from "../model/errors.ts";
import type { AclPolicyRecord, AclTokenRecord } from "../model/records.ts";
import type { Commit, Store, Stored } from "../store/store.ts";
import { createAuthorizer, type DefaultPolicy, managementAuthorizer } from "./authorizer.ts";
import { anonymousAccessor, anonymousName, anonymousSecret, anonymousToken, managementPolicyId } from "./builtin.ts";
import { type PolicyRules, parseRules } from "./rules.ts";

export interface ResolverOptions {
  readonly datacenter: string;
  /** False: every caller may do everything. */
  readonly enabled: boolean;
  readonly defaultPolicy: DefaultPolicy;
}

export interface Resolver {
  /**
   * The authorizer of a secret; of the anonymous token without one.
   * @throws {MeshError} `permission_denied` "ACL not found" for an unknown secret, and when a policy of the token cannot be read.
   */
  readonly resolve: (secret: string | undefined) => Authorizer;
  /** The authorizer of a token by accessor; undefined once the token is gone, or when a policy of it cannot be read. */
  readonly byAccessor: (accessor: string) => Authorizer | undefined;
  /**
   * Calls the listener with the accessors whose answers may have changed, or that are gone, once the new answers hold.
   * @returns the way to stop.
   */
  readonly onInvalidated: (listener: (accessors: ReadonlySet<string>) => void) => () => void;
  /** Stops following the store. */
  readonly close: () => void;
}

function keyOf(secret: string): string {
  return hash("sha256", secret, "base64");
}

function isToken(record: Stored): record is Stored<"acl-token"> {
  return record.kind === "acl-token";
}

/** Follows the store from now on; make it before the listeners that ask it. */
export function createResolver(store: Store, options: ResolverOptions): Resolver {
  const { datacenter, enabled, defaultPolicy } = options;
  const accessorBySecret = new Map<string, string>();
  const authorizers = new Map<string, Authorizer>();
  const rulesByPolicy = new Map<string, { readonly modifyIndex: number; readonly rules: PolicyRules }>();
  const listeners = new Set<(accessors: ReadonlySet<string>) => void>();
  const everything = managementAuthorizer(anonymousName);

  const secretKeys = new Map<string, string>();
  function indexSecret({ value }: Stored<"acl-token">): void {
    forgetSecret(value.AccessorID);
    const key = keyOf(value.SecretID);
    secretKeys.set(value.AccessorID, key);
    accessorBySecret.set(key, value.AccessorID);
  }

  function forgetSecret(accessor: string): void {
    const key = secretKeys.get(accessor);
    if (key !== undefined && accessorBySecret.get(key) === accessor) accessorBySecret.delete(key);
    secretKeys.delete(accessor);
  }

  for (const token of store.list("acl-token")) indexSecret(token);

  function rulesOf(policy: Stored<"acl-policy">): PolicyRules {
    const cached = rulesByPolicy.get(policy.key);
    if (cached?.modifyIndex === policy.modifyIndex) return cached.rules;
    const rules = readRules(policy.value);
    rulesByPolicy.set(policy.key, { modifyIndex: policy.modifyIndex, rules });
    return rules;
  }

  /** A link to a policy that is gone, or that does not hold in this datacenter, grants nothing. */
  function authorizerOf(token: AclTokenRecord, accessor: string): Authorizer {
    if (token.Policies.some(({ ID }) => ID === managementPolicyId)) return managementAuthorizer(accessor);
    const policies = token.Policies.flatMap(({ ID }) => {
      const policy = store.get("acl-policy", ID);
      const scope = policy?.value.Datacenters ?? [];
      return policy && (scope.length === 0 || scope.includes(datacenter)) ? [rulesOf(policy)] : [];
    });
    const { ServiceIdentities: serviceIdentities, NodeIdentities: nodeIdentities } = token;
    return createAuthorizer({ accessor, policies, serviceIdentities, nodeIdentities, defaultPolicy, datacenter });
  }

  function authorizerFor(accessorId: string): Authorizer | undefined {
    const cached = authorizers.get(accessorId);
    if (cached) return cached;
    const accessor = accessorId === anonymousAccessor ? anonymousName : accessorId;
    const token = store.get("acl-token", accessorId)?.value;
    // Without a record of its own the anonymous token still has the default policy.
    const effective = token ?? (accessorId === anonymousAccessor ? anonymousToken(0) : undefined);
    if (!effective) return undefined;
    const authorizer = authorizerOf(effective, accessor);
    authorizers.set(accessorId, authorizer);
    return authorizer;
  }

  function tokensWith(policies: ReadonlySet<string>): readonly string[] {
    const tokens = store.list("acl-token").map(({ value }) => value);
    return tokens.filter((token) => token.Policies.some(({ ID }) => policies.has(ID))).map((token) => token.AccessorID);
  }

  const unsubscribe = store.subscribe((commit: Commit) => {
    const changed = new Set<string>();
    for (const record of commit.deleted.filter(isToken)) {
      forgetSecret(record.key);
      changed.add(record.key);
    }
    for (const record of commit.set.filter(isToken)) {
      indexSecret(record);
      changed.add(record.key);
    }
    const records = [...commit.set, ...commit.deleted];
    const policies = new Set(records.filter(({ kind }) => kind === "acl-policy").map(({ key }) => key));
    if (policies.size > 0) for (const accessor of tokensWith(policies)) changed.add(accessor);
    for (const { key } of commit.deleted.filter(({ kind }) => kind === "acl-policy")) rulesByPolicy.delete(key);
    if (changed.size === 0) return;
    for (const accessor of changed) authorizers.delete(accessor);
    if (changed.has(anonymousAccessor)) changed.add(anonymousName);
    for (const listener of [...listeners]) listener(changed);
  });

  return {
    resolve: (secret) => {
      if (!enabled) return everything;
      const anonymous = secret === undefined || secret === "" || secret === anonymousSecret;
      const accessor = anonymous ? anonymousAccessor : accessorBySecret.get(keyOf(secret));
      const authorizer = accessor === undefined ? undefined : authorizerFor(accessor);
      if (!authorizer) throw new MeshError("permission_denied", "ACL not found");
      return authorizer;
    },
    byAccessor: (accessor) => {
      if (!enabled) return everything;
      try {
        return authorizerFor(accessor === anonymousName ? anonymousAccessor : accessor);
      } catch (error) {
        if (isMeshError(error) && error.code === "permission_denied") return undefined;
        throw error;
      }
    },
    onInvalidated: (listener) => {
      const entry = (accessors: ReadonlySet<string>) => listener(accessors);
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    close: unsubscribe,
  };
}

/** Rules are checked when they are written; ones that still cannot be read may hold a deny, so the token gets nothing. */
function readRules(policy: AclPolicyRecord): PolicyRules {
  try {
    return parseRules(policy.Rules);
  } catch (cause) {
    const reason = isMeshError(cause) ? cause.message : String(cause);
    const message = `policy "${policy.Name}" of this token cannot be read (${reason}): write its rules anew`;
    throw new MeshError("permission_denied", message, { cause });
  }
}
