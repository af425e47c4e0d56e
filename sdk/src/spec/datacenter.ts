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
  https: portSchema.default(8501),
  grpcTls: z
    .union([portSchema, z.literal(-1)], {
      error: (issue) => `${show(issue.input)} is not in 1..65535; choose a free port`,
    })
    .default(8503),
  server: portSchema.default(8300),
});

const acl = strict({
  enabled: z.boolean().default(true),
  defaultPolicy: z
    .enum(["allow", "deny"], { error: (issue) => `${show(issue.input)} is no policy; use "allow" or "deny"` })
    .default("deny"),
});

const ca = strict({
  leafTtl: durationSchema.default("72h"),
  intermediateTtl: durationSchema.default("8760h"),
  rootTtl: durationSchema.default("87600h"),
});

export const datacenterSchema = strict({
  name: nameSchema("datacenter"),
  primaryDatacenter: nameSchema("datacenter"),
  connect: strict({ enabled: z.boolean().default(true) }, "{ enabled: true }").prefault({}),
  enableCentralServiceConfig: z.boolean().default(true),
  ports: ports.prefault({}),
  acl: acl.prefault({}),
  ca: ca.prefault({}),
  runtime: z
    .enum(["docker", "local", "auto"], {
      error: (issue) => `${show(issue.input)} is no runtime; use "docker", "local" or "auto"`,
    })
    .default("auto"),
  network: z
    .enum(["isolated", "routed"], {
      error: (issue) => `${show(issue.input)} is no network; use "isolated" or "routed"`,
    })
    .default("isolated"),
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
