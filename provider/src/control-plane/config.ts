/** Reads and checks the configuration file that the provider wrote beside the database. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { MeshError } from "../model/errors.ts";
import type { ControlPlaneConfig } from "../model/isthmus-api.ts";

const port = z.int().min(1).max(65_535);
const seconds = z.number().positive();

const schema = z.strictObject({
  mesh: z.string().min(1),
  datacenter: z.string().min(1),
  primaryDatacenter: z.string().min(1),
  join: z.strictObject({ address: z.string(), controlRoot: z.string(), token: z.string() }).optional(),
  bind: z.array(z.string()).min(1),
  lanAddress: z.string().min(1),
  wanAddress: z.string().min(1),
  ports: z.strictObject({ https: port, grpcTls: z.union([port, z.literal(-1)]), server: port }),
  connect: z.strictObject({ enabled: z.boolean() }),
  enableCentralServiceConfig: z.boolean(),
  network: z.enum(["isolated", "routed"]).optional(),
  acl: z.strictObject({ enabled: z.boolean(), defaultPolicy: z.enum(["allow", "deny"]) }),
  ca: z.strictObject({ leafTtlSeconds: seconds, intermediateTtlSeconds: seconds, rootTtlSeconds: seconds }),
});

/** @throws {MeshError} `invalid` naming the file and the property. */
export async function readConfig(path: string): Promise<ControlPlaneConfig> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new MeshError("invalid", `configuration ${path} cannot be read as JSON`, { cause });
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) throw new MeshError("invalid", `configuration ${path}: ${z.prettifyError(parsed.error)}`);
  const { join, network, ...rest } = parsed.data;
  if (!join && rest.datacenter !== rest.primaryDatacenter) {
    throw new MeshError("invalid", `configuration ${path}: "${rest.datacenter}" is not the primary and has no join`);
  }
  return { ...rest, ...(join ? { join } : {}), ...(network ? { network } : {}) };
}
