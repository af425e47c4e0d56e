/** Runs the store contract over both stores, and checks what one listener may do to the others. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setNode, testStoreContract } from "./contract.ts";
import { createMemoryStore } from "./memory.ts";
import { openSqliteStore } from "./sqlite.ts";

const folder = mkdtempSync(join(tmpdir(), "isthmus-store-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

testStoreContract("memory", () => createMemoryStore({ tombstoneLimit: 3 }));
testStoreContract("sqlite", () => openSqliteStore(join(folder, `${files++}.db`), { tombstoneLimit: 3 }));

test("a listener that throws is reported and stops neither the commit nor the others", async () => {
  const errors: unknown[] = [];
  const store = createMemoryStore({ onListenerError: (error) => errors.push(error) });
  const heard: number[] = [];
  store.subscribe(() => {
    throw new Error("broken listener");
  });
  store.subscribe((commit) => heard.push(commit.index));
  assert.equal((await store.txn([setNode("a")])).index, 1);
  assert.deepEqual(heard, [1]);
  assert.match(String(errors[0]), /broken listener/);
});
