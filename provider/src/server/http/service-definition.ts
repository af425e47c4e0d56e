/** Schemas of services, sidecars, gateways and their proxies in a body. */
import { isIP } from "node:net";
import { z } from "zod";
import type { ProxyConfig, Upstream } from "../../model/records.ts";
import { checkDefinition } from "./check-definition.ts";
import {
  apiObject,
  datacenterName,
  dialAddress,
  identifierOrNone,
  meshGateway,
  meta,
  opaque,
  port,
  portOrNone,
  serviceName,
  text,
} from "./fields.ts";

const ipOrNone = z.string().refine((value) => value === "" || isIP(value) !== 0, "must be an IP address");

const upstream = apiObject(
  {
    DestinationType: z.enum(["", "service"], { error: 'must be "service"' }).exactOptional(),
    DestinationName: serviceName,
    DestinationNamespace: z.enum(["", "default"], { error: 'must be "default" or absent' }).exactOptional(),
    Datacenter: z
      .union([z.literal(""), datacenterName], { error: "must be a datacenter's name in lower case" })
      .exactOptional(),
    LocalBindAddress: ipOrNone.exactOptional(),
    LocalBindPort: port,
    Config: opaque.exactOptional(),
    MeshGateway: meshGateway.exactOptional(),
  },
  {
    ignored: ["CentrallyConfigured"],
    unsupported: [
      "LocalBindSocketPath",
      "LocalBindSocketMode",
      "DestinationPeer",
      "DestinationPartition",
      "IngressHosts",
    ],
  },
).transform(({ DestinationType: _type, ...rest }): Upstream => ({ DestinationType: "service", ...rest }));

const proxy = apiObject(
  {
    DestinationServiceName: z.union([z.literal(""), serviceName]).exactOptional(),
    DestinationServiceID: identifierOrNone.exactOptional(),
    LocalServiceAddress: ipOrNone.exactOptional(),
    LocalServicePort: portOrNone.exactOptional(),
    Config: opaque.exactOptional(),
    Upstreams: z.array(upstream).max(1024, "has more than 1024 entries").exactOptional(),
    MeshGateway: meshGateway.exactOptional(),
  },
  {
    unsupported: [
      "Mode",
      "MutualTLSMode",
      "TransparentProxy",
      "Expose",
      "EnvoyExtensions",
      "AccessLogs",
      "LocalServiceSocketPath",
    ],
  },
).check((context) => {
  const seen = new Map<string, number>();
  for (const [at, one] of ((context.value as ProxyConfig).Upstreams ?? []).entries()) {
    const key = `${one.LocalBindAddress || "127.0.0.1"}:${one.LocalBindPort}`;
    const earlier = seen.get(key);
    if (earlier !== undefined) {
      context.issues.push({
        code: "custom",
        path: ["Upstreams", at, "LocalBindPort"],
        message: `${key} is already upstream ${earlier}'s; give each upstream its own local port`,
        input: one,
      });
    }
    seen.set(key, at);
  }
});

const taggedAddresses = z.record(
  z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "keys are 1 to 64 of A-Z, a-z, 0-9, - and _"),
  apiObject({ Address: dialAddress, Port: portOrNone.default(0) }),
);

/** Go clients send zeros for none: the defaults are 1 and 1. */
const weights = apiObject({
  Passing: z.int().min(0, "must not be negative").max(65535, "is more than 65535").default(0),
  Warning: z.int().min(0, "must not be negative").max(65535, "is more than 65535").default(0),
}).transform(({ Passing, Warning }) => (Passing === 0 ? { Passing: 1, Warning: Warning || 1 } : { Passing, Warning }));

const instance = {
  Tags: z.array(text).max(64, "has more than 64 entries").exactOptional(),
  Meta: meta.exactOptional(),
  Address: dialAddress.exactOptional(),
  Port: portOrNone.exactOptional(),
  TaggedAddresses: taggedAddresses.exactOptional(),
  Weights: weights.exactOptional(),
  EnableTagOverride: z.boolean().exactOptional(),
  Proxy: proxy.exactOptional(),
  Check: checkDefinition.exactOptional(),
  Checks: z.array(checkDefinition).max(64, "has more than 64 entries").exactOptional(),
} as const;

const unsupported = ["SocketPath", "Locality", "Ports"];

const kind = z.enum(["", "connect-proxy", "mesh-gateway"], {
  error: 'must be absent, "connect-proxy" or "mesh-gateway"',
});

/** `Connect.SidecarService`. */
const sidecarService = apiObject(
  { ...instance, Name: serviceName.exactOptional(), Kind: z.enum(["", "connect-proxy"]).exactOptional() },
  { unsupported: [...unsupported, "ID", "Connect", "Token"] },
).transform(({ Kind: _kind, ...rest }) => rest);

const proxyName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9_-]{0,78}[a-z0-9])?$/,
    "must be 1 to 80 of a-z, 0-9, - and _, with a letter or digit at both ends",
  );

/** A registration through the agent; `token` is the secret that the service is registered with instead of the caller's. */
export const serviceDefinition = apiObject(
  {
    ...instance,
    ID: identifierOrNone.exactOptional(),
    Name: proxyName,
    Kind: kind.exactOptional(),
    Token: z.string().max(256).exactOptional(),
    Connect: apiObject(
      { SidecarService: sidecarService.exactOptional() },
      { unsupported: ["Native", "PeerMeta"] },
    ).exactOptional(),
  },
  { unsupported, ignored: ["CreateIndex", "ModifyIndex", "ContentHash", "Datacenter"] },
)
  .check((context) => {
    if (!context.value.Kind && context.value.Name.length > 63) {
      context.issues.push({
        code: "custom",
        path: ["Name"],
        message: "is longer than 63 characters",
        input: context.value.Name,
      });
    }
  })
  .transform(({ Token, ...service }) => ({ service, token: Token || undefined }));

/** A service of `/v1/catalog/register`. */
export const catalogServiceDefinition = apiObject(
  {
    ...instance,
    ID: identifierOrNone.exactOptional(),
    Service: proxyName,
    Kind: kind.exactOptional(),
  },
  { unsupported: [...unsupported, "Connect"], ignored: ["CreateIndex", "ModifyIndex", "RaftIndex", "Datacenter"] },
).transform(({ Service, Check: _check, Checks: _checks, ...rest }) => ({ ...rest, Name: Service }));
