/** What a user can say for all instances of one service. Pure. */
import { z } from "zod";
import { meshGatewaySchema, metaSchema, nameSchema, ownerSchema, problemAt, show, strict } from "./shared.ts";

const protocolSchema = z.enum(["tcp"], {
  error: (issue) => `${show(issue.input)} is not supported; the mesh carries "tcp" (which http and grpc are too)`,
});
const millisecondsSchema = z
  .int({ error: (issue) => `${show(issue.input)} is no whole number of milliseconds` })
  .min(1, { error: (issue) => `${show(issue.input)} is too small; give milliseconds, at least 1` });

const upstreamDefaultsShape = {
  meshGateway: meshGatewaySchema.optional(),
  connectTimeoutMs: millisecondsSchema.optional(),
  protocol: protocolSchema.optional(),
};

export const serviceDefaultsSchema = strict({
  datacenter: nameSchema("datacenter"),
  name: nameSchema("service"),
  protocol: protocolSchema.optional(),
  meshGateway: meshGatewaySchema.optional(),
  upstreamConfig: strict({
    defaults: strict(upstreamDefaultsShape).optional(),
    overrides: z.array(strict({ name: nameSchema("service"), ...upstreamDefaultsShape })).optional(),
  }).optional(),
  maxInboundConnections: z.int().min(0).optional(),
  localConnectTimeoutMs: millisecondsSchema.optional(),
  meta: metaSchema.optional(),
  owner: ownerSchema,
}).check((context) => {
  const overrides = context.value.upstreamConfig?.overrides ?? [];
  overrides.forEach((override, index) => {
    if (overrides.findIndex((other) => other.name === override.name) !== index) {
      const path = ["upstreamConfig", "overrides", index, "name"];
      context.issues.push({
        ...problemAt(path, `${show(override.name)} is there twice; keep one`),
        input: context.value,
      });
    }
  });
});

/** Service defaults as checked. */
export type ServiceDefaultsSpec = z.infer<typeof serviceDefaultsSchema>;
