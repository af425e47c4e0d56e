/** The ACL's writes in the form that the HTTP API asks for. */
import type { AclEffects } from "../acl/input.ts";
import { createPolicy, deletePolicy, updatePolicy } from "../acl/policies.ts";
import { bootstrapAcl, createToken, deleteToken, updateToken } from "../acl/tokens-admin.ts";
import { MeshError } from "../model/errors.ts";
import type { AclOperations } from "../server/http/dependencies.ts";
import type { Store, Stored } from "../store/store.ts";

export function createAclOperations(store: Store, effects: AclEffects): AclOperations {
  const token = (accessor: string): Stored<"acl-token"> => present(store.get("acl-token", accessor), "token", accessor);
  const policy = (id: string): Stored<"acl-policy"> => present(store.get("acl-policy", id), "policy", id);
  return {
    bootstrap: async (body) => token((await bootstrapAcl(store, body, effects)).AccessorID),
    createPolicy: async (input) => policy((await createPolicy(store, input, effects)).ID),
    updatePolicy: async (id, input) => policy((await updatePolicy(store, id, input)).ID),
    deletePolicy: async (id) => void (await deletePolicy(store, id)),
    createToken: async (input) => token((await createToken(store, input, effects)).AccessorID),
    updateToken: async (accessor, input) => token((await updateToken(store, accessor, input)).AccessorID),
    deleteToken: async (accessor, by) => void (await deleteToken(store, accessor, by)),
  };
}

function present<T>(stored: T | undefined, what: string, id: string): T {
  if (stored) return stored;
  throw new MeshError("conflict", `ACL ${what} "${id}" was deleted while it was being written`);
}
