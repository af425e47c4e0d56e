/** What a user can say of a datacenter: the names are those of Consul's server configuration. Pure. */
import { z } from "zod";
import {
  durationSchema,
  durationSeconds,
  nameSchema,
  ownerSchema,
  portSchema,
  problemAt,
  show,
  strict,
} from "./shared.ts";

const ports = strict({
  https: portSchema.default(8501).describe("HTTP API over TLS."),
  grpcTls: z
    .union([portSchema, z.literal(-1)], {
      error: (issue) => `${show(issue.input)} is not in 1..65535; choose a free port`,
    })
    .default(8503)
    .describe("Configuration of proxies (xDS) over TLS; -1 turns it off, which needs connect to be off too."),
  server: portSchema.default(8300).describe("Link to other datacenters."),
});

const acl = strict({
  enabled: z.boolean().default(true).describe("Access control on or off."),
  defaultPolicy: z
    .enum(["allow", "deny"], { error: (issue) => `${show(issue.input)} is no policy; use "allow" or "deny"` })
    .default("deny")
    .describe("What holds where no rule speaks; it also decides calls that no intention speaks of."),
});

const ca = strict({
  leafTtl: durationSchema.default("72h").describe("Of the certificates of services and gateways, as a Go duration."),
  intermediateTtl: durationSchema
    .default("8760h")
    .describe("Of a datacenter's intermediate, as a Go duration: at least three leaves."),
  rootTtl: durationSchema.default("87600h").describe("Of the root, as a Go duration: at least an intermediate."),
});

export const datacenterSchema = strict({
  name: nameSchema("datacenter").describe("Its name, a lower-case DNS label. By default the logical name."),
  primaryDatacenter: nameSchema("datacenter").describe(
    "Name of the primary, which holds the root of the Connect CA and writes intentions, config entries and policies; its own name in the primary.",
  ),
  connect: strict({ enabled: z.boolean().default(true).describe("On or off.") }, "{ enabled: true }")
    .prefault({})
    .describe("Service mesh on or off. With it off there can be no sidecars and no gateways."),
  enableCentralServiceConfig: z
    .boolean()
    .default(true)
    .describe("Whether proxies read proxy-defaults and service-defaults."),
  ports: ports.prefault({}).describe("Ports of the control plane. Nothing is published on the host."),
  acl: acl.prefault({}).describe("Access control."),
  ca: ca.prefault({}).describe("Lifetimes of certificates."),
  runtime: z
    .enum(["docker", "local", "auto"], {
      error: (issue) => `${show(issue.input)} is no runtime; use "docker", "local" or "auto"`,
    })
    .default("auto")
    .describe(
      'How its parts run: containers, or processes on loopback addresses (for development: it does not isolate). "auto" takes Docker where an engine answers; it is decided once and kept.',
    ),
  network: z
    .enum(["isolated", "routed"], {
      error: (issue) => `${show(issue.input)} is no network; use "isolated" or "routed"`,
    })
    .default("isolated")
    .describe(
      '"isolated": services reach other datacenters through mesh gateways only. "routed": they can dial each other directly, which mesh gateway mode "none" needs.',
    ),
  owner: ownerSchema,
}).check((context) => {
  const spec = context.value;
  const say = (path: readonly string[], message: string): void => {
    context.issues.push({ ...problemAt(path, message), input: spec });
  };
  if (spec.ports.grpcTls === -1 && spec.connect.enabled) {
    say(
      ["ports", "grpcTls"],
      "is off, but proxies get their configuration there; give it a port or set connect.enabled to false",
    );
  }
  const given = Object.values(spec.ports).filter((port) => port > 0);
  if (new Set(given).size !== given.length) {
    say(
      ["ports"],
      `${given.join(", ")}: two of them are equal; every port of a control plane needs a number of its own`,
    );
  }
  const leaf = durationSeconds(spec.ca.leafTtl);
  const intermediate = durationSeconds(spec.ca.intermediateTtl);
  if (leaf < 60)
    say(["ca", "leafTtl"], `${spec.ca.leafTtl} is too short; leaves need at least 1m to be renewed in time`);
  if (intermediate < 3 * leaf) {
    say(
      ["ca", "intermediateTtl"],
      `${spec.ca.intermediateTtl} is less than three times leafTtl (${spec.ca.leafTtl}); make it longer`,
    );
  }
  if (durationSeconds(spec.ca.rootTtl) < intermediate) {
    say(
      ["ca", "rootTtl"],
      `${spec.ca.rootTtl} is less than intermediateTtl (${spec.ca.intermediateTtl}); make it longer`,
    );
  }
  if (!spec.acl.enabled && spec.acl.defaultPolicy === "deny") {
    say(
      ["acl", "enabled"],
      'is false, so nobody could be allowed anything; set acl.defaultPolicy to "allow" or leave ACLs on',
    );
  }
});

/** A datacenter with every default filled in. */
export type DatacenterSpec = z.infer<typeof datacenterSchema>;
