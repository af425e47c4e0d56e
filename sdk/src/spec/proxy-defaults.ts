/** What a user can say for all proxies of a federation. Pure. */
import { z } from "zod";
import { meshGatewaySchema, metaSchema, nameSchema, opaqueSchema, ownerSchema, show, strict } from "./shared.ts";

export const proxyDefaultsSchema = strict({
  datacenter: nameSchema("datacenter"),
  name: z
    .literal("global", { error: (issue) => `${show(issue.input)}: the only proxy-defaults entry is called "global"` })
    .default("global"),
  meshGateway: meshGatewaySchema.optional(),
  config: opaqueSchema.optional(),
  meta: metaSchema.optional(),
  owner: ownerSchema,
});

/** Proxy defaults with every default filled in. */
export type ProxyDefaultsSpec = z.infer<typeof proxyDefaultsSchema>;
