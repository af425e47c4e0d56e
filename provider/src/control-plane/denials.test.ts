/** Denials of a pair: counted when what was allowed is denied, over restarts too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryStore } from "../store/memory.ts";
import { createDenials } from "./denials.ts";

const pair = { source: "web", destination: "socat", datacenter: "dc1" };
const fail = (error: unknown): void => assert.fail(String(error));

test("only a denial of what was allowed counts, and each pair for itself", () => {
  const denials = createDenials(createMemoryStore(), fail);
  const states = [false, true, true, false, false, true, false].map((allowed) => denials(pair, allowed));
  assert.deepEqual(states, [0, 0, 0, 1, 1, 1, 2]);
  assert.equal(denials({ ...pair, destination: "db" }, false), 0);
  assert.equal(denials({ ...pair, datacenter: "dc2" }, true), 0);
});

test("a restart changes nothing, and a denial that came meanwhile counts", async () => {
  const store = createMemoryStore();
  const before = createDenials(store, fail);
  before(pair, true);
  before(pair, false);
  before(pair, true);
  await store.txn([]);
  assert.equal(createDenials(store, fail)(pair, true), 1);
  assert.equal(createDenials(store, fail)(pair, false), 2);
});
