/** What a user can say of a mesh gateway. Pure. */
import { z } from "zod";
import { metaSchema, nameSchema, opaqueSchema, ownerSchema, portSchema, show, strict } from "./shared.ts";

export const meshGatewaySpecSchema = strict({
  datacenter: nameSchema("datacenter"),
  name: nameSchema("gateway"),
  port: portSchema.default(8443),
  wanAddress: z
    .union([z.ipv4(), z.ipv6()], {
      error: (issue) =>
        `${show(issue.input)} is no IP address; give the address at which other datacenters reach the gateway`,
    })
    .optional(),
  token: z.string().min(1).optional(),
  /** Envoy's gateway options (`envoy_*`, `connect_timeout_ms`), as Consul takes them. */
  config: opaqueSchema.default({}),
  meta: metaSchema.default({}),
  owner: ownerSchema,
});

/** A mesh gateway with every default filled in. */
export type MeshGatewaySpec = z.infer<typeof meshGatewaySpecSchema>;
