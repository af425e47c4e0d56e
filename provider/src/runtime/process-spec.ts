/** What a process is started with: its spec with the unit's addresses filled in, and the digest that tells whether it changed. Pure. */
import { createHash } from "node:crypto";
import { MeshError } from "../model/errors.ts";
import { bundleHash, type Programs } from "./programs.ts";
import type { Placement, ProcessSpec } from "./runtime.ts";

/** What an argument or a variable says where the unit's address or folder is to stand: `${lan}` for `lan`. */
export function placeholder(name: keyof Placement): string {
  return `\${${name}}`;
}

/**
 * The spec with `${directory}`, `${lan}`, `${wan}` and `${local}` in its arguments and environment replaced; any other text
 * stays as it is.
 * @throws {MeshError} `invalid` when it asks for `${wan}` and the unit has not joined the WAN network.
 */
export function resolveSpec(spec: ProcessSpec, placement: Placement): ProcessSpec {
  const resolve = (text: string) =>
    text.replace(/\$\{(directory|lan|wan|local)\}/g, (_, key: keyof Placement) => {
      const value = placement[key];
      if (value !== undefined) return value;
      throw new MeshError(
        "invalid",
        `process "${spec.name}" uses \${${key}}, but its unit has no such address: join the WAN network`,
      );
    });
  return {
    ...spec,
    args: spec.args.map(resolve),
    env: Object.fromEntries(Object.entries(spec.env).map(([key, value]) => [key, resolve(value)])),
  };
}

/** {@link specDigest} with the bundle that a control plane would be started from. */
export async function digestOf(resolved: ProcessSpec, programs: Programs): Promise<string> {
  return specDigest(resolved, resolved.program.type === "control-plane" ? await bundleHash(programs) : "");
}

/** SHA-256 in hex over a resolved spec and the control plane's bundle (empty for other programs), whatever the order of its keys. */
export function specDigest(spec: ProcessSpec, bundle: string): string {
  const env = Object.entries(spec.env).sort(([a], [b]) => (a < b ? -1 : 1));
  const program = Object.entries(spec.program).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([spec.name, program, spec.args, env, spec.revision, bundle]))
    .digest("hex");
}
