/** What a user can say for all proxies of a federation. Pure. */
import { z } from "zod";
import { meshGatewaySchema, metaSchema, nameSchema, opaqueSchema, ownerSchema, show, strict } from "./shared.ts";

export const proxyDefaultsSchema = strict({
  datacenter: nameSchema("datacenter").describe("Through which datacenter it is written; it holds in all of them."),
  name: z
    .literal("global", { error: (issue) => `${show(issue.input)}: the only proxy-defaults entry is called "global"` })
    .default("global")
    .describe('Always "global".'),
  meshGateway: meshGatewaySchema.optional().describe("Way to other datacenters where nothing closer says otherwise."),
  config: opaqueSchema.optional().describe("Options for Envoy, as Consul takes them."),
  meta: metaSchema.optional().describe("Free text by name; at most 64 pairs."),
  owner: ownerSchema,
});

/** Proxy defaults with every default filled in. */
export type ProxyDefaultsSpec = z.infer<typeof proxyDefaultsSchema>;
