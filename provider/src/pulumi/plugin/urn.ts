/** What a resource's URN says of it, and whose it is. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OwnerSpec } from "@isthmus/sdk/spec";
import { MeshError } from "../../model/errors.ts";

/** Parts of `urn:pulumi:<stack>::<project>::<types>::<name>`. */
export interface UrnParts {
  readonly stack: string;
  readonly project: string;
  /** The resource's own type, without its parents'. */
  readonly type: string;
  readonly name: string;
}

/** @throws {MeshError} `invalid` for a text that is no URN. */
export function parseUrn(urn: string): UrnParts {
  const match = /^urn:pulumi:(.+?)::(.+?)::(.+?)::(.+)$/s.exec(urn);
  if (!match) throw new MeshError("invalid", `"${urn}" is no URN of a Pulumi resource`);
  const [, stack, project, types, name] = match as unknown as [string, string, string, string, string];
  return { stack, project, type: types.slice(types.lastIndexOf("$") + 1), name };
}

/** The mesh id that the project's programs have made in `.isthmus/mesh` beside Pulumi.yaml; undefined where there is none. */
export function projectMesh(directory: string): string | undefined {
  for (let folder = directory; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "Pulumi.yaml")) || existsSync(join(folder, "Pulumi.yml"))) {
      const path = join(folder, ".isthmus", "mesh");
      return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
    }
    if (folder === dirname(folder)) return undefined;
  }
}

/**
 * The owner of a resource whose program did not say one: the program's own.
 * @throws {MeshError} `invalid` when there is no mesh id.
 */
export function ownerOf({ project, stack, name }: UrnParts, mesh: string | undefined): OwnerSpec {
  if (mesh === undefined) {
    throw new MeshError(
      "invalid",
      `"${name}": which mesh it belongs to is not known; set it with \`pulumi config set isthmus:mesh <8 of 0-9 and a-f>\``,
    );
  }
  return { project, stack, resource: name, mesh };
}
