/** Where the programs that the runtimes start come from; passed in, so that a runtime does not know how they are fetched. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import { MeshError } from "../model/errors.ts";

/** Absolute paths on this machine. Each may take long on first use (a download) and throws a MeshError that says what to do. */
export interface Programs {
  readonly envoy: () => Promise<string>;
  readonly node: () => Promise<string>;
  /** The control plane's bundle, one self-contained ES module. */
  readonly controlPlane: () => Promise<string>;
}

/**
 * Node's flags for a control plane: a small young generation saves 10 MB of resident memory, and what a control plane
 * keeps is old anyway.
 */
export const controlPlaneFlags: readonly string[] = ["--max-semi-space-size=1"];

/**
 * The control plane's bundle in this package, the same whether this file runs as TypeScript or compiled.
 * @throws {MeshError} `not_found` when it was not built.
 */
export async function bundledControlPlane(): Promise<string> {
  const path = fileURLToPath(new URL("../../dist/control-plane.mjs", import.meta.url));
  await readBundle(path);
  return path;
}

/** SHA-256 of the bundle, in hex: part of a control plane's digest, so that a new one is started anew. */
export async function bundleHash(programs: Programs): Promise<string> {
  return createHash("sha256")
    .update(await readBundle(await programs.controlPlane()))
    .digest("hex");
}

/** The relay as JavaScript, whether this package runs as TypeScript or compiled. */
export async function relaySource(): Promise<string> {
  if (!import.meta.url.endsWith(".ts")) return await readFile(new URL("./relay.js", import.meta.url), "utf8");
  return stripTypeScriptTypes(await readFile(new URL("./relay.ts", import.meta.url), "utf8"));
}

async function readBundle(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new MeshError("not_found", `the control plane's bundle ${path} is not there: build the package first`, {
      cause,
    });
  }
}
