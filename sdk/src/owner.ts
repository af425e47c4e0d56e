/** Whose a resource is: project, stack, logical name and the mesh id, which lies in a file beside Pulumi.yaml. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { meshIdPattern, type OwnerSpec } from "./spec/words.ts";

function hasProjectFile(folder: string): boolean {
  return existsSync(join(folder, "Pulumi.yaml")) || existsSync(join(folder, "Pulumi.yml"));
}

/** The folder of Pulumi.yaml: what the engine says, else the nearest one above, else the working folder. */
function projectRoot(): string {
  try {
    const told = pulumi.getRootDirectory();
    if (told) return resolve(told);
  } catch {
    // Not told outside an engine (unit tests): look for the file.
  }
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (hasProjectFile(folder)) return folder;
    if (folder === dirname(folder)) return process.cwd();
  }
}

/** Reads the mesh id of a project, or makes one. Two programs that start at once agree: the first to write wins. */
export function readMeshId(root: string): string {
  const path = join(root, ".isthmus", "mesh");
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      writeFileSync(path, `${randomBytes(4).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  const id = readFileSync(path, "utf8").trim();
  if (!meshIdPattern.test(id)) {
    throw new pulumi.RunError(`${path}: "${id}" is no mesh id (8 of 0-9 and a-f); correct it or remove the file`);
  }
  return id;
}

/** The owner that a resource of this program has. Configuration `isthmus:mesh` goes before the file. */
export function ownerOf(logicalName: string): OwnerSpec {
  const configured = new pulumi.Config("isthmus").get("mesh");
  return {
    project: pulumi.getProject(),
    stack: pulumi.getStack(),
    resource: logicalName,
    mesh: configured ?? readMeshId(projectRoot()),
  };
}
