/** What a user can say of an ACL policy. Pure. */
import { z } from "zod";
import { nameSchema, ownerSchema, show, strict } from "./shared.ts";

/** A policy's name as Consul takes it. */
export const policyNameSchema = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, {
  error: (issue) => `${show(issue.input)} is no policy name; use 1 to 128 of A-Z, a-z, 0-9, "-" and "_"`,
});

export const aclPolicySchema = strict({
  datacenter: nameSchema("datacenter").describe("Through which datacenter it is written; it holds in all of them."),
  name: policyNameSchema.describe("Its name, by which tokens refer to it. By default the logical name."),
  rules: z
    .string()
    .min(1, { error: 'is empty; write for example service_prefix "" { policy = "read" }' })
    .describe('Rules, as HCL or JSON: `service_prefix "" { policy = "read" }`.'),
  description: z.string().default("").describe("Free text."),
  owner: ownerSchema,
});

/** An ACL policy with every default filled in. */
export type AclPolicySpec = z.infer<typeof aclPolicySchema>;
