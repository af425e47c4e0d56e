/** Schemas of config entries in a body, by kind, with Consul's rules. */
import { z } from "zod";
import { normalIntentions } from "../../catalog/intentions.ts";
import { MeshError } from "../../model/errors.ts";
import type { ConfigEntry, IntentionSource, ServiceIntentionsEntry, UpstreamDefaults } from "../../model/records.ts";
import { apiObject, meshGateway, meta, opaque, serviceName, serviceNameOrAny, text } from "./fields.ts";
import { parseAs } from "./json-body.ts";

/** Kinds of config entry that this mesh has. */
export const configKinds = ["proxy-defaults", "service-defaults", "service-intentions"] as const;
export type ConfigKind = (typeof configKinds)[number];

const readOnly = ["CreateIndex", "ModifyIndex", "Hash", "Status"];
const milliseconds = z
  .int("must be a whole number of milliseconds")
  .min(0, "must not be negative")
  .max(86_400_000, "is more than a day");

const proxyDefaults = apiObject(
  {
    Kind: z.literal("proxy-defaults"),
    Name: z.string().exactOptional(),
    Meta: meta.exactOptional(),
    Config: opaque.exactOptional(),
    MeshGateway: meshGateway.exactOptional(),
  },
  {
    ignored: readOnly,
    unsupported: [
      "Mode",
      "MutualTLSMode",
      "TransparentProxy",
      "Expose",
      "AccessLogs",
      "EnvoyExtensions",
      "FailoverPolicy",
      "PrioritizeByLocality",
    ],
  },
).check((context) => {
  if ((context.value.Name || "global") !== "global") {
    context.issues.push({
      code: "custom",
      path: ["Name"],
      message: 'must be "global": there is one proxy-defaults',
      input: context.value.Name,
    });
  }
});

const protocol = z
  .string()
  .transform((value) => value.toLowerCase())
  .refine((value) => value === "" || value === "tcp", 'must be "tcp": other protocols are not supported here');

const upstreamDefaults = apiObject(
  {
    Name: z.union([z.literal(""), serviceName]).exactOptional(),
    MeshGateway: meshGateway.exactOptional(),
    ConnectTimeoutMs: milliseconds.exactOptional(),
    Protocol: protocol.exactOptional(),
  },
  {
    unsupported: [
      "EnvoyListenerJSON",
      "EnvoyClusterJSON",
      "Limits",
      "PassiveHealthCheck",
      "BalanceOutboundConnections",
      "Peer",
    ],
  },
);

const serviceDefaults = apiObject(
  {
    Kind: z.literal("service-defaults"),
    Name: serviceName,
    Meta: meta.exactOptional(),
    Protocol: protocol.exactOptional(),
    MeshGateway: meshGateway.exactOptional(),
    UpstreamConfig: apiObject({
      Defaults: upstreamDefaults.exactOptional(),
      Overrides: z.array(upstreamDefaults).max(1024).exactOptional(),
    }).exactOptional(),
    MaxInboundConnections: z.int().min(0, "must not be negative").max(2_147_483_647).exactOptional(),
    LocalConnectTimeoutMs: milliseconds.exactOptional(),
  },
  {
    ignored: readOnly,
    unsupported: [
      "Mode",
      "MutualTLSMode",
      "TransparentProxy",
      "Expose",
      "ExternalSNI",
      "Destination",
      "LocalRequestTimeoutMs",
      "BalanceInboundConnections",
      "RateLimits",
      "EnvoyExtensions",
    ],
  },
).check((context) => {
  const refuse = (path: PropertyKey[], message: string): void => {
    context.issues.push({
      code: "custom",
      path: ["UpstreamConfig", ...path],
      message,
      input: context.value.UpstreamConfig,
    });
  };
  const config = context.value.UpstreamConfig;
  if (config?.Defaults?.Name) refuse(["Defaults", "Name"], "must be absent: the defaults are for every upstream");
  const seen = new Set<string>();
  for (const [at, one] of (config?.Overrides ?? []).entries()) {
    if (!one.Name) refuse(["Overrides", at, "Name"], "is missing: an override is for one upstream");
    else if (seen.has(one.Name)) refuse(["Overrides", at, "Name"], `"${one.Name}" has an override already; keep one`);
    else seen.add(one.Name);
  }
});

const action = z.enum(["allow", "deny"], { error: 'must be "allow" or "deny"' });

const source = apiObject(
  {
    Name: serviceNameOrAny,
    Action: action,
    Description: text.max(512, "is longer than 512 characters").exactOptional(),
    Type: z.enum(["", "consul"], { error: 'must be "consul"' }).exactOptional(),
    LegacyID: z.union([z.literal(""), z.uuid()], { error: "must be a uuid" }).exactOptional(),
  },
  {
    ignored: ["Precedence", "LegacyMeta", "LegacyCreateTime", "LegacyUpdateTime"],
    unsupported: ["Permissions", "Peer", "SamenessGroup"],
  },
);

const serviceIntentions = apiObject(
  {
    Kind: z.literal("service-intentions"),
    Name: serviceNameOrAny,
    Meta: meta.exactOptional(),
    Sources: z.array(source).min(1, "is empty: name at least one source").max(4096, "has more than 4096 entries"),
  },
  { ignored: readOnly, unsupported: ["JWT"] },
).check((context) => {
  const seen = new Set<string>();
  for (const [at, one] of context.value.Sources.entries()) {
    if (seen.has(one.Name)) {
      context.issues.push({
        code: "custom",
        path: ["Sources", at, "Name"],
        message: `"${one.Name}" is there twice; keep one`,
        input: one.Name,
      });
    }
    seen.add(one.Name);
  }
});

/** @throws {MeshError} `invalid` for a kind that this mesh has not. */
export function configKind(kind: unknown): ConfigKind {
  const found = configKinds.find((one) => one === kind);
  if (found) return found;
  const shown = typeof kind === "string" ? JSON.stringify(kind.slice(0, 80)) : "missing";
  throw new MeshError("invalid", `Kind: ${shown} is no kind of config entry here; known are ${configKinds.join(", ")}`);
}

/** A config entry from a body. Intentions come out with their precedence. @throws {MeshError} `invalid` */
export function parseConfigEntry(value: unknown): ConfigEntry {
  const kind = configKind(kindOf(value));
  switch (kind) {
    case "proxy-defaults":
      return { ...parseAs(proxyDefaults, value), Name: "global" };
    case "service-defaults":
      return parseAs(serviceDefaults, value) satisfies {
        readonly UpstreamConfig?: { readonly Defaults?: UpstreamDefaults };
      };
    case "service-intentions":
      return normalIntentions(withoutEmptyIds(parseAs(serviceIntentions, value)));
    default:
      return kind satisfies never;
  }
}

type ParsedIntentions = z.infer<typeof serviceIntentions>;

function withoutEmptyIds(entry: ParsedIntentions): ServiceIntentionsEntry {
  const Sources = entry.Sources.map(
    ({ Type: _type, LegacyID, ...rest }): IntentionSource => (LegacyID ? { ...rest, LegacyID } : rest),
  );
  return { ...entry, Sources };
}

function kindOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key.toLowerCase() === "kind")?.[1];
}
