/** kill -9 while transactions are under way: the reopened store has every acknowledged write, and each transaction whole. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openSqliteStore } from "../../provider/src/store/sqlite.ts";

const child = fileURLToPath(new URL("../../provider/src/store/store.test.child.ts", import.meta.url));
const rounds = 15;
const writers = 3;

/** Runs the writing child on the database and kills it after so many acknowledgements and then so many milliseconds. */
async function writeUntilKilled(path: string, acks: number, delayMs: number): Promise<Map<string, number>> {
  const writer = spawn(process.execPath, [child, path, String(writers)], { stdio: ["ignore", "pipe", "inherit"] });
  const acknowledged = new Map<string, number>();
  let seen = 0;
  for await (const line of createInterface({ input: writer.stdout })) {
    const [word, id = "", count] = line.split(" ");
    // The last line may be cut short only if it lacks its newline, and then its number is too small, never too large.
    if (word === "ack") acknowledged.set(id, Number(count));
    if (word === "ack" && ++seen === acks) setTimeout(() => writer.kill("SIGKILL"), delayMs);
  }
  return acknowledged;
}

test(`no acknowledged write is lost and none is halved over ${rounds} kills`, { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-store-kill-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "store.db");
  const before = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    const acks = Math.floor(Math.random() * 60) + 1;
    const delayMs = Math.random() * 12;
    const acknowledged = await writeUntilKilled(path, acks, delayMs);
    const store = openSqliteStore(path);
    const where = `round ${round}, killed after ${acks} acknowledgements and ${delayMs} ms`;
    assert.equal(acknowledged.size > 0, true, where);
    for (const [id, count] of [...before, ...acknowledged]) {
      const a = store.get("fact", `pair/${id}/a`);
      const b = store.get("fact", `pair/${id}/b`);
      const sometimes = store.get("fact", `pair/${id}/sometimes`);
      const found = Number(a?.value.Value.split(" ")[0]);
      assert.ok(found >= count, `${where}: writer ${id} was told ${count} and ${found} is there`);
      assert.deepEqual([b?.value, b?.modifyIndex], [a?.value, a?.modifyIndex], where);
      if (found % 3 === 0) assert.equal(sometimes, undefined, where);
      else assert.equal(sometimes?.modifyIndex, a?.modifyIndex, where);
      assert.ok(a!.modifyIndex <= store.index, where);
      assert.ok(store.lastIndex("fact", `pair/${id}/`) >= a!.modifyIndex, where);
      before.set(id, found);
    }
    store.close();
  }
});
