/** Finds the files that a dynamically linked program needs besides itself, as this machine's loader sees them. */
import { execFile } from "node:child_process";
import { access, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { MeshError } from "../../model/errors.ts";

/** Before glibc 2.34 these are loaded for name look-ups, which ldd does not show. */
const lookedUpAtRunTime = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/** A file to be put at a path: its libraries' names are links, so the two differ. */
export interface LibraryFile {
  readonly path: string;
  readonly source: string;
}

/**
 * The shared libraries and the loader, sorted by path; none for a static program.
 * @throws {MeshError} `not_found` when one is missing on this machine.
 */
export async function sharedLibraries(program: string): Promise<readonly LibraryFile[]> {
  const text = await listDependencies(program);
  const missing = /^\s*(\S+) => not found/m.exec(text);
  if (missing) throw new MeshError("not_found", `${program} needs ${missing[1]}, which is not installed here`);
  const paths = new Set([...text.matchAll(/(?:=>\s*|^\s*)(\/\S+) \(0x/gm)].map((match) => match[1]!));
  const libc = [...paths].find((path) => /\/libc\.so\.\d+$/.test(path));
  for (const name of libc ? lookedUpAtRunTime : []) {
    const path = join(dirname(libc!), name);
    if (await exists(path)) paths.add(path);
  }
  return await Promise.all([...paths].sort().map(async (path) => ({ path, source: await realpath(path) })));
}

async function listDependencies(program: string): Promise<string> {
  try {
    return (await promisify(execFile)("ldd", [program], { env: { ...process.env, LC_ALL: "C" } })).stdout;
  } catch (cause) {
    if (cause instanceof Error && "stderr" in cause && /not a dynamic executable/.test(String(cause.stderr))) return "";
    throw new MeshError("not_found", `cannot read the libraries of ${program} with ldd: is it installed?`, { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
