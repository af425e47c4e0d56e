/** What a user can say of a service: its registration, its sidecar and how it is run. Pure. */
import { z } from "zod";
import {
  durationSchema,
  filesSchema,
  meshGatewaySchema,
  metaSchema,
  nameSchema,
  opaqueSchema,
  ownerSchema,
  portSchema,
  problemAt,
  show,
  strict,
  textMapSchema,
} from "./shared.ts";

const ipSchema = z.union([z.ipv4(), z.ipv6()], { error: (issue) => `${show(issue.input)} is no IP address` });

/** An upstream: a local port behind which another service answers. */
export const upstreamSchema = strict({
  destinationName: nameSchema("service").describe("The service to reach."),
  destinationType: z
    .literal("service", {
      error: (issue) =>
        issue.input === "prepared_query"
          ? "prepared queries are not supported; name a service and, if it is elsewhere, its datacenter"
          : `${show(issue.input)} is no destination type; only "service" is supported`,
    })
    .default("service")
    .describe('Only "service".'),
  destinationNamespace: z
    .literal("default", {
      error: (issue) => `${show(issue.input)} is no namespace here; there is only "default", so leave it out`,
    })
    .default("default")
    .describe('Only "default".'),
  datacenter: nameSchema("datacenter").optional().describe("Where the service is. By default the own datacenter."),
  localBindPort: portSchema.describe("Port at which the service's program dials it."),
  localBindAddress: ipSchema
    .optional()
    .describe(
      "Address at which it is dialled. By default the one that only this service can dial (127.0.0.1 in a container).",
    ),
  meshGateway: meshGatewaySchema
    .optional()
    .describe("Way to another datacenter. It goes before every other place where a mode can be set."),
  config: opaqueSchema.default({}).describe("Options for the upstream's Envoy configuration, as Consul takes them."),
});
export type UpstreamSpec = z.infer<typeof upstreamSchema>;

const checkSchema = strict({
  name: z.string().min(1).optional().describe("What it is called in the catalog."),
  tcp: z.string().optional().describe("`host:port`; `localhost` is the service's own address."),
  http: z.string().optional().describe("`http://host:port/path`; `localhost` is the service's own address."),
  method: z.string().optional().describe("Method of an HTTP check; GET where nothing says otherwise."),
  ttl: durationSchema
    .optional()
    .describe("The service reports itself; after this long without a report it is critical."),
  interval: durationSchema.optional().describe("How often, as a Go duration (`10s`)."),
  timeout: durationSchema.optional().describe("How long one try may take, as a Go duration."),
}).check((context) => {
  const { tcp, http, ttl, interval } = context.value;
  const kinds = [tcp, http, ttl].filter((kind) => kind !== undefined).length;
  const say = (path: string[], message: string): void => {
    context.issues.push({ ...problemAt(path, message), input: context.value });
  };
  if (kinds !== 1) say([], "give exactly one of tcp, http and ttl");
  if (ttl === undefined && interval === undefined)
    say(["interval"], 'is missing; say how often to check, for example "10s"');
  if (tcp !== undefined && !/^.+:\d+$/.test(tcp)) say(["tcp"], `${show(tcp)} is no host:port`);
  if (http !== undefined && !/^http:\/\/[^/]+(\/.*)?$/.test(http)) say(["http"], `${show(http)} is no http:// address`);
});
export type CheckSpec = z.infer<typeof checkSchema>;

const runShape = {
  args: z
    .array(z.string())
    .default([])
    .describe("Arguments. One that equals the path of a file is replaced by where the file is."),
  env: textMapSchema
    .default({})
    .describe(
      "Environment; it is public, so put secrets into secretFiles. Added to it: `ISTHMUS_SERVICE_ADDRESS` and `ISTHMUS_SERVICE_PORT`, where to listen, `ISTHMUS_DIRECTORY`, where the files are, and `ISTHMUS_UPSTREAM_<NAME>`, `host:port` of each upstream.",
    ),
  files: filesSchema.default({}).describe("Text files by relative path."),
  secretFiles: filesSchema.default({}).describe("Like files, and secret in the stack's state."),
};

const runSchema = strict(
  {
    command: z.string().min(1).optional().describe("A command; `node` is always there."),
    image: z.string().min(1).optional().describe("An image instead of a command (Docker only)."),
    ...runShape,
  },
  '{ command: "node", args: ["app.js"] } or { image: "name:tag" }',
).check((context) => {
  const { command, image, files, secretFiles } = context.value;
  const say = (path: string[], message: string): void => {
    context.issues.push({ ...problemAt(path, message), input: context.value });
  };
  if ((command === undefined) === (image === undefined)) say([], "give either command or image");
  for (const path of Object.keys(files)) {
    if (path in secretFiles) say(["secretFiles", path], "is in files too; name each file once");
  }
});
export type RunSpec = z.infer<typeof runSchema>;

const proxySchema = strict({
  upstreams: z.array(upstreamSchema).default([]).describe("Local ports behind which other services answer."),
  meshGateway: meshGatewaySchema
    .optional()
    .describe("Way to other datacenters for all upstreams that do not say otherwise."),
  config: opaqueSchema.default({}).describe("Options for Envoy, as Consul takes them."),
}).check((context) => {
  const seen = new Map<string, number>();
  context.value.upstreams.forEach((upstream, index) => {
    const place = `${upstream.localBindAddress ?? ""}:${upstream.localBindPort}`;
    const earlier = seen.get(place);
    if (earlier === undefined) seen.set(place, index);
    else {
      const message = `${upstream.localBindPort} is taken by upstreams[${earlier}] already; choose a free port`;
      context.issues.push({ ...problemAt(["upstreams", index, "localBindPort"], message), input: context.value });
    }
  });
});

const sidecarSchema = strict({
  port: portSchema.default(20000).describe("Port at which other proxies reach it."),
  proxy: proxySchema.prefault({}).describe("What it does for the service."),
});
export type SidecarSpec = z.infer<typeof sidecarSchema>;

export const serviceRegistrationSchema = strict({
  datacenter: nameSchema("datacenter").describe("Where it runs: the name of a datacenter."),
  name: nameSchema("service").describe("Name in the catalog. By default the logical name."),
  port: portSchema.describe("Port on which the service's program listens."),
  tags: z.array(z.string()).default([]).describe("Tags in the catalog."),
  meta: metaSchema.default({}).describe("Free text by name, in the catalog; at most 64 pairs."),
  checks: z
    .array(checkSchema)
    .default([])
    .describe("How its health is found out: each with exactly one of tcp, http and ttl."),
  run: runSchema.optional().describe("The program to run; absent for a service that something else runs."),
  connect: strict(
    {
      sidecarService: sidecarSchema
        .optional()
        .describe("The proxy through which the service is reached and reaches others."),
    },
    "{ sidecarService: {} }",
  )
    .optional()
    .describe("The sidecar; absent for a service outside the mesh."),
  token: z
    .string()
    .min(1)
    .optional()
    .describe("Token it registers with. By default one of its own with just the rights it needs."),
  allowDirect: z
    .boolean()
    .default(false)
    .describe(
      "Accept that the program listens on more than its own loopback address, so that it can be dialled past its sidecar and its intentions.",
    ),
  owner: ownerSchema,
}).check((context) => {
  const { port, connect } = context.value;
  const sidecar = connect?.sidecarService;
  const say = (path: (string | number)[], message: string): void => {
    context.issues.push({ ...problemAt(path, message), input: context.value });
  };
  if (sidecar?.port === port)
    say(["connect", "sidecarService", "port"], `${port} is the service's own port; choose a free port`);
  sidecar?.proxy.upstreams.forEach((upstream, index) => {
    const path = ["connect", "sidecarService", "proxy", "upstreams", index, "localBindPort"];
    if (upstream.localBindPort === port) {
      say(path, `${port} is the service's own port, and both listen in one network namespace; choose a free port`);
    }
    if (upstream.localBindPort === sidecar.port)
      say(path, `${sidecar.port} is the sidecar's own port; choose a free port`);
  });
});

/** A service with every default filled in. */
export type ServiceRegistrationSpec = z.infer<typeof serviceRegistrationSchema>;
