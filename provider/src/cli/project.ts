/** The Pulumi project that a command works on and its private folder `.isthmus` (git-ignored). */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { MeshError } from "../model/errors.ts";

export interface Project {
  /** Where Pulumi.yaml lies. */
  readonly root: string;
  readonly name: string;
  /** Where the program lies. */
  readonly programDirectory: string;
  /** `<root>/.isthmus`; may not exist yet. */
  readonly directory: string;
}

/**
 * The project of the nearest Pulumi.yaml, from `from` upward.
 * @throws {MeshError} `not_found` when there is none.
 */
export async function findProject(from: string): Promise<Project> {
  for (let root = resolve(from); ; root = dirname(root)) {
    const file = ["Pulumi.yaml", "Pulumi.yml"].map((name) => join(root, name)).find((path) => existsSync(path));
    if (file !== undefined) {
      const text = await readFile(file, "utf8");
      return {
        root,
        name: topLevelValue(text, "name") ?? "project",
        programDirectory: join(root, topLevelValue(text, "main") ?? "."),
        directory: join(root, ".isthmus"),
      };
    }
    if (root === dirname(root))
      throw new MeshError("not_found", `${from}: no Pulumi.yaml here or above; run this in a Pulumi project`);
  }
}

/** A plain scalar at the top level of a YAML file; enough for the two names that are read here. */
function topLevelValue(yaml: string, key: string): string | undefined {
  const value = new RegExp(`^${key}:[ \\t]*(.+?)[ \\t]*(?:#.*)?$`, "m").exec(yaml)?.[1];
  return value?.replace(/^(["'])(.*)\1$/, "$2");
}

/** The mesh's id (8 hex characters) in `.isthmus/mesh`, or undefined when the project has never been up. */
export async function readMeshId(project: Project): Promise<string | undefined> {
  const text = await readFile(join(project.directory, "mesh"), "utf8").catch(() => undefined);
  return text?.trim();
}

/** The mesh's id; a random one is written when there is none. */
export function ensureMeshId(project: Project): Promise<string> {
  return ensureSecretFile(project, "mesh", () => randomBytes(4).toString("hex"));
}

/** Path of a file in `.isthmus` with mode 0600 that holds a random passphrase. */
export async function ensurePassphraseFile(project: Project): Promise<string> {
  await ensureSecretFile(project, "passphrase", () => randomBytes(24).toString("base64url"));
  return join(project.directory, "passphrase");
}

/** Linked into place whole, so that whoever comes second reads what the first one wrote. */
async function ensureSecretFile(project: Project, name: string, content: () => string): Promise<string> {
  const path = join(project.directory, name);
  if (!existsSync(path)) {
    await mkdir(project.directory, { recursive: true, mode: 0o700 });
    const temporary = `${path}.${randomBytes(4).toString("hex")}`;
    await writeFile(temporary, `${content()}\n`, { mode: 0o600, flag: "wx" });
    try {
      await link(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      await rm(temporary);
    }
  }
  return (await readFile(path, "utf8")).trim();
}
