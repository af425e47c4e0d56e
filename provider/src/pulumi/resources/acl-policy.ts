/** Handlers of AclPolicy. */
import { type AclPolicySpec, aclPolicySchema } from "@isthmus/sdk/spec";
import type { AclPolicyRecord } from "../../model/records.ts";
import { orUndefined } from "../api-client.ts";
import type { Handler } from "../context.ts";
import { findPolicy } from "../own-token.ts";
import { sharedHandler } from "../shared-record.ts";

/** Handlers of the AclPolicy resource. Tokens refer to a policy by its id, so another name is another policy. */
export const aclPolicy: Handler = sharedHandler<AclPolicySpec>({
  schema: aclPolicySchema,
  identity: ["name"],
  idOf: (spec) => `acl-policy/${spec.name}`,
  async find(api, spec) {
    const found = await findPolicy(api, spec.name);
    return found && { rules: found.Rules, description: found.Description, policyId: found.ID };
  },
  async write(api, spec) {
    const existing = await findPolicy(api, spec.name);
    const body = { Name: spec.name, Description: spec.description, Rules: spec.rules };
    const written = existing
      ? await api.put<AclPolicyRecord>(`/v1/acl/policy/${existing.ID}`, { ID: existing.ID, ...body })
      : await api.put<AclPolicyRecord>("/v1/acl/policy", body);
    return { policyId: written.ID };
  },
  async remove(api, spec) {
    const existing = await findPolicy(api, spec.name);
    if (existing) await orUndefined(api.delete(`/v1/acl/policy/${existing.ID}`));
  },
});
