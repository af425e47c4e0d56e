/** A folder of the cache is whole or absent, whoever makes it. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { cacheDirectory, cached } from "./cache.ts";

async function withCache(t: { after(fn: () => Promise<void>): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "isthmus-cache-"));
  process.env["ISTHMUS_CACHE_DIR"] = directory;
  t.after(async () => {
    delete process.env["ISTHMUS_CACHE_DIR"];
    await rm(directory, { recursive: true });
  });
  return directory;
}

test("the cache lies where the user says, else where XDG says", () => {
  const rows: readonly [NodeJS.ProcessEnv, string][] = [
    [{ ISTHMUS_CACHE_DIR: "/a", XDG_CACHE_HOME: "/b", HOME: "/h" }, "/a"],
    [{ XDG_CACHE_HOME: "/b", HOME: "/h" }, "/b/isthmus"],
    [{ HOME: "/h" }, "/h/.cache/isthmus"],
  ];
  for (const [env, expected] of rows) assert.equal(cacheDirectory(env), expected);
});

test("two makers at once: one folder, whole, and no temporary one", async (t) => {
  const root = await withCache(t);
  let made = 0;
  const make = async (directory: string) => {
    made++;
    await writeFile(join(directory, "tool"), "content");
  };
  const paths = await Promise.all([cached("tool-1", make), cached("tool-1", make)]);
  assert.deepEqual(new Set(paths), new Set([join(root, "tool-1")]));
  assert.equal(await readFile(join(root, "tool-1", "tool"), "utf8"), "content");
  assert.deepEqual(await readdir(root), ["tool-1"]);
  const before = made;
  await cached("tool-1", make);
  assert.equal(made, before, "what is there is not made again");
});

test("a maker that fails leaves nothing", async (t) => {
  const root = await withCache(t);
  await assert.rejects(
    cached("tool-2", async (directory) => {
      await writeFile(join(directory, "half"), "");
      throw new Error("no network");
    }),
    /no network/,
  );
  assert.deepEqual(await readdir(root), []);
});
