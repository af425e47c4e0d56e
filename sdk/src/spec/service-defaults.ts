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
  meshGateway: meshGatewaySchema.optional().describe("Way to another datacenter."),
  connectTimeoutMs: millisecondsSchema
    .optional()
    .describe("How long a connection may take to be made, in milliseconds; 5000 where nothing says otherwise."),
  protocol: protocolSchema.optional().describe('Only "tcp".'),
};

export const serviceDefaultsSchema = strict({
  datacenter: nameSchema("datacenter").describe("Through which datacenter it is written; it holds in all of them."),
  name: nameSchema("service").describe("The service. By default the logical name."),
  protocol: protocolSchema.optional().describe('Only "tcp", which http and grpc are too.'),
  meshGateway: meshGatewaySchema.optional().describe("Way of its upstreams to other datacenters."),
  upstreamConfig: strict({
    defaults: strict(upstreamDefaultsShape).optional().describe("For all of its upstreams."),
    overrides: z
      .array(strict({ name: nameSchema("service").describe("The upstream's service."), ...upstreamDefaultsShape }))
      .optional()
      .describe("For those named."),
  })
    .optional()
    .describe("What holds for its upstreams."),
  maxInboundConnections: z
    .int()
    .min(0)
    .optional()
    .describe("Most connections that its sidecar takes at once. By default no limit."),
  localConnectTimeoutMs: millisecondsSchema
    .optional()
    .describe("How long its sidecar tries to reach the program, in milliseconds; 5000 where nothing says otherwise."),
  meta: metaSchema.optional().describe("Free text by name; at most 64 pairs."),
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
