/** The tool cache: outside every source tree, shared by all clones of a user, each tool in a folder of its own version. */
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";

/** `ISTHMUS_CACHE_DIR`, else `$XDG_CACHE_HOME/isthmus`, else `~/.cache/isthmus`. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const base = env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache");
  return env["ISTHMUS_CACHE_DIR"] || join(base, "isthmus");
}

/**
 * The folder `name` of the cache, made by `make` when it is not there. `make` fills a temporary folder, which is then
 * renamed: a folder of the cache is whole or absent, also when two runs make it at once (the first one stays).
 */
export async function cached(name: string, make: (directory: string) => Promise<void>): Promise<string> {
  const target = join(cacheDirectory(), name);
  if (await exists(target)) return target;
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const temporary = await mkdtemp(join(dirname(target), `.${basename(target)}-`));
  try {
    await make(temporary);
    await rename(temporary, target).catch(async (error: unknown) => {
      if (!(await exists(target))) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return target;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
