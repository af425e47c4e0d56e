/** What a user can say of an ACL token. Pure. */
import { z } from "zod";
import { policyNameSchema } from "./acl-policy.ts";
import { nameSchema, ownerSchema, strict } from "./shared.ts";

export const aclTokenSchema = strict({
  datacenter: nameSchema("datacenter"),
  /** Names of policies. */
  policies: z.array(policyNameSchema).default([]),
  serviceIdentities: z
    .array(strict({ serviceName: nameSchema("service"), datacenters: z.array(nameSchema("datacenter")).optional() }))
    .default([]),
  nodeIdentities: z.array(strict({ nodeName: z.string().min(1), datacenter: nameSchema("datacenter") })).default([]),
  local: z.boolean().default(false),
  description: z.string().default(""),
  owner: ownerSchema,
});

/** An ACL token with every default filled in. */
export type AclTokenSpec = z.infer<typeof aclTokenSchema>;
