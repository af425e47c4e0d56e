/** Leaves for snapshots: one is asked for at a time, again after a failure, and again when it went away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "../model/errors.ts";
import type { LeafRecord } from "../model/records.ts";
import { createMemoryStore } from "../store/memory.ts";
import { createLeafSource } from "./leaf-source.ts";

const leafOf = (service: string): LeafRecord => ({
  Service: service,
  SerialNumber: "1",
  Chain: [],
  PrivateKey: "",
  RootID: "",
  NotBefore: "",
  NotAfter: "",
});
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

function world() {
  const store = createMemoryStore();
  const asked: string[] = [];
  const errors: unknown[] = [];
  const timers: (() => void)[] = [];
  const ca = { failure: undefined as MeshError | undefined, wanted: true };
  const source = createLeafSource({
    store,
    issue: async (service) => {
      asked.push(service);
      if (ca.failure) throw ca.failure;
      await store.txn([{ op: "set", kind: "leaf", key: service, value: leafOf(service) }]);
      return leafOf(service);
    },
    isWanted: () => ca.wanted,
    clock: {
      after: (_delayMs, run) => {
        timers.push(run);
        return () => {};
      },
    },
    onError: (error) => errors.push(error),
  });
  return { store, source, asked, errors, timers, ca };
}

test("a missing leaf is asked for once, and again when it is gone", async () => {
  const { source, store, asked } = world();
  assert.equal(source.leaf("web"), undefined);
  assert.equal(source.leaf("web"), undefined);
  await settled();
  assert.equal(source.leaf("web")?.Service, "web");
  assert.deepEqual(asked, ["web"]);
  await store.txn([{ op: "delete", kind: "leaf", key: "web" }]);
  source.leaf("web");
  await settled();
  assert.equal(source.leaf("web")?.Service, "web");
  assert.deepEqual(asked, ["web", "web"]);
});

test("a failure is tried again while the service is wanted, and logged once", async () => {
  const { source, asked, errors, timers, ca } = world();
  ca.failure = new MeshError("unavailable", "no signing certificate yet");
  source.leaf("web");
  for (let round = 0; round < 3; round += 1) {
    await settled();
    timers.pop()?.();
  }
  await settled();
  assert.deepEqual([asked.length, errors.length], [4, 1]);
  ca.failure = undefined;
  timers.pop()?.();
  await settled();
  assert.equal(source.leaf("web")?.Service, "web");

  ca.failure = new MeshError("unavailable", "again");
  source.leaf("db");
  await settled();
  ca.wanted = false;
  timers.pop()?.();
  await settled();
  assert.equal(timers.length, 0, "nobody wants it any more");
});
