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
  destinationName: nameSchema("service"),
  destinationType: z
    .literal("service", {
      error: (issue) =>
        issue.input === "prepared_query"
          ? "prepared queries are not supported; name a service and, if it is elsewhere, its datacenter"
          : `${show(issue.input)} is no destination type; only "service" is supported`,
    })
    .default("service"),
  destinationNamespace: z
    .literal("default", {
      error: (issue) => `${show(issue.input)} is no namespace here; there is only "default", so leave it out`,
    })
    .default("default"),
  datacenter: nameSchema("datacenter").optional(),
  localBindPort: portSchema,
  localBindAddress: ipSchema.optional(),
  meshGateway: meshGatewaySchema.optional(),
  config: opaqueSchema.default({}),
});
export type UpstreamSpec = z.infer<typeof upstreamSchema>;

const checkSchema = strict({
  name: z.string().min(1).optional(),
  tcp: z.string().optional(),
  http: z.string().optional(),
  method: z.string().optional(),
  ttl: durationSchema.optional(),
  interval: durationSchema.optional(),
  timeout: durationSchema.optional(),
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
  args: z.array(z.string()).default([]),
  env: textMapSchema.default({}),
  files: filesSchema.default({}),
  secretFiles: filesSchema.default({}),
};

const runSchema = strict(
  { command: z.string().min(1).optional(), image: z.string().min(1).optional(), ...runShape },
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
  upstreams: z.array(upstreamSchema).default([]),
  meshGateway: meshGatewaySchema.optional(),
  config: opaqueSchema.default({}),
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

const sidecarSchema = strict({ port: portSchema.default(20000), proxy: proxySchema.prefault({}) });
export type SidecarSpec = z.infer<typeof sidecarSchema>;

export const serviceRegistrationSchema = strict({
  datacenter: nameSchema("datacenter"),
  name: nameSchema("service"),
  port: portSchema,
  tags: z.array(z.string()).default([]),
  meta: metaSchema.default({}),
  checks: z.array(checkSchema).default([]),
  run: runSchema.optional(),
  connect: strict({ sidecarService: sidecarSchema.optional() }, "{ sidecarService: {} }").optional(),
  token: z.string().min(1).optional(),
  allowDirect: z.boolean().default(false),
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
