/** Waiting for change and read-modify-write, over a store in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RecordKind } from "../model/records.ts";
import { setNode } from "./contract.ts";
import { createMemoryStore } from "./memory.ts";
import { retryOnConflict, update, waitForChange } from "./watch.ts";

const minuteMs = 60_000;

async function storeWithTwo() {
  const store = createMemoryStore();
  await store.txn([setNode("a")]);
  await store.txn([{ op: "set", kind: "fact", key: "x/1", value: { Value: "1" } }]);
  return store;
}

const atOnce: readonly [string, { kind: RecordKind; prefix?: string }[], number, number][] = [
  ["the caller saw nothing yet", [{ kind: "node" }], 0, 1],
  ["the caller saw nothing yet and there is nothing", [{ kind: "leaf" }], 0, 0],
  ["a newer change is there", [{ kind: "node" }, { kind: "fact" }], 1, 2],
  ["the caller's revision was never reached here", [{ kind: "node" }], 99, 1],
];
for (const [what, kinds, afterIndex, expected] of atOnce) {
  test(`waitForChange answers at once when ${what}`, async () => {
    const store = await storeWithTwo();
    assert.equal(await waitForChange(store, { kinds, afterIndex, timeoutMs: minuteMs }), expected);
  });
}

test("waitForChange sleeps through other changes and wakes at its own, deletions too", async () => {
  const store = await storeWithTwo();
  const kinds = [{ kind: "fact", prefix: "x/" }] as const;
  let woken: number | undefined;
  const waiting = waitForChange(store, { kinds, afterIndex: 2, timeoutMs: minuteMs }).then((index) => {
    woken = index;
  });
  await store.txn([setNode("b")]);
  await store.txn([{ op: "set", kind: "fact", key: "y/1", value: { Value: "1" } }]);
  assert.equal(woken, undefined);
  await store.txn([{ op: "delete", kind: "fact", key: "x/1" }]);
  await waiting;
  assert.equal(woken, 5);
});

test("waitForChange gives the revision it has when the time is up", async () => {
  const store = await storeWithTwo();
  assert.equal(await waitForChange(store, { kinds: [{ kind: "node" }], afterIndex: 1, timeoutMs: 5 }), 1);
});

test("waitForChange rejects with the reason of its signal, before or during the wait", async () => {
  const store = await storeWithTwo();
  const reason = new Error("client left");
  const options = { kinds: [{ kind: "node" }], afterIndex: 1, timeoutMs: minuteMs } as const;
  await assert.rejects(waitForChange(store, { ...options, signal: AbortSignal.abort(reason) }), reason);
  const controller = new AbortController();
  const waiting = waitForChange(store, { ...options, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(waiting, reason);
});

test("update loses nothing when many write one record", async () => {
  const store = createMemoryStore();
  const add = () => update(store, "fact", "n", (value) => ({ Value: String(Number(value?.Value ?? 0) + 1) }));
  const results = await Promise.all(Array.from({ length: 100 }, add));
  assert.equal(store.get("fact", "n")?.value.Value, "100");
  assert.deepEqual(
    results.map((record) => Number(record?.value.Value)).sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, at) => at + 1),
  );
});

test("update deletes on undefined and gives the record when nothing changed", async () => {
  const store = await storeWithTwo();
  assert.equal((await update(store, "fact", "x/1", (value) => value))?.modifyIndex, 2);
  assert.equal(await update(store, "fact", "x/1", () => undefined), undefined);
  assert.equal(store.get("fact", "x/1"), undefined);
  assert.equal(await update(store, "fact", "x/1", () => undefined), undefined);
});

test("retryOnConflict passes other errors on and gives up in the end", async () => {
  const store = await storeWithTwo();
  let tries = 0;
  const never = () => {
    tries++;
    return store.txn([setNode("a", "127.0.0.9", 77)]);
  };
  await assert.rejects(retryOnConflict(never), { code: "conflict" });
  assert.equal(tries, 1000);
  await assert.rejects(
    retryOnConflict(() => Promise.reject(new Error("other"))),
    /other/,
  );
});
