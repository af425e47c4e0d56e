/** What a user can say of a mesh gateway. Pure. */
import { z } from "zod";
import { metaSchema, nameSchema, opaqueSchema, ownerSchema, portSchema, show, strict } from "./shared.ts";

export const meshGatewaySpecSchema = strict({
  datacenter: nameSchema("datacenter").describe("Where it runs: the name of a datacenter."),
  name: nameSchema("gateway").describe(
    "Name in the catalog; gateways of one datacenter need different names. By default the logical name.",
  ),
  port: portSchema.default(8443).describe("Port it listens on."),
  wanAddress: z
    .union([z.ipv4(), z.ipv6()], {
      error: (issue) =>
        `${show(issue.input)} is no IP address; give the address at which other datacenters reach the gateway`,
    })
    .optional()
    .describe("IP address at which other datacenters reach it. By default its address in the WAN network."),
  token: z
    .string()
    .min(1)
    .optional()
    .describe("Token it registers with. By default one of its own with just the rights it needs."),
  config: opaqueSchema
    .default({})
    .describe("Gateway options for Envoy (`connect_timeout_ms`, `envoy_gateway_*`), as Consul takes them."),
  meta: metaSchema.default({}).describe("Free text by name, in the catalog; at most 64 pairs."),
  owner: ownerSchema,
});

/** A mesh gateway with every default filled in. */
export type MeshGatewaySpec = z.infer<typeof meshGatewaySpecSchema>;
