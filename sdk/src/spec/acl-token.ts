/** What a user can say of an ACL token. Pure. */
import { z } from "zod";
import { policyNameSchema } from "./acl-policy.ts";
import { nameSchema, ownerSchema, strict } from "./shared.ts";

export const aclTokenSchema = strict({
  datacenter: nameSchema("datacenter").describe("Through which datacenter it is made."),
  policies: z.array(policyNameSchema).default([]).describe("Names of policies."),
  serviceIdentities: z
    .array(
      strict({
        serviceName: nameSchema("service").describe("The service."),
        datacenters: z.array(nameSchema("datacenter")).optional().describe("Where; by default everywhere."),
      }),
    )
    .default([])
    .describe("Services whose sidecars it may register, in all datacenters or those named."),
  nodeIdentities: z
    .array(
      strict({
        nodeName: z.string().min(1).describe("The node."),
        datacenter: nameSchema("datacenter").describe("Its datacenter."),
      }),
    )
    .default([])
    .describe("Nodes that it may register."),
  local: z.boolean().default(false).describe("Known in its datacenter only, and not in the others."),
  description: z.string().default("").describe("Free text."),
  owner: ownerSchema,
});

/** An ACL token with every default filled in. */
export type AclTokenSpec = z.infer<typeof aclTokenSchema>;
