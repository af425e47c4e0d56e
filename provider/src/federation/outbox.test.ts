/** A slow peer: it is sent the newest state once it can take more, and nothing piles up meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryStore } from "../store/memory.ts";
import type { Change } from "../store/store.ts";
import { createOutbox } from "./outbox.ts";
import type { RecordsMessage } from "./protocol.ts";
import { replicatedKinds } from "./protocol.ts";
import { createPublication } from "./publication.ts";

const entry = (Name: string, version: string): Change => ({
  op: "set",
  kind: "config-entry",
  key: `service-defaults/${Name}`,
  value: { Kind: "service-defaults", Name, Meta: { version } },
});

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test("a peer that takes nothing gets one message with the newest of each record later", async () => {
  const store = createMemoryStore();
  await store.txn([entry("a", "0"), entry("gone", "0")]);
  const publication = createPublication(store, "dc1", replicatedKinds);
  const sent: RecordsMessage[] = [];
  let takes = true;
  const outbox = createOutbox(
    publication,
    () => true,
    (message) => {
      sent.push(message);
      return takes;
    },
  );
  outbox.start(new Map([["config-entry:service-defaults/stale", "x"]]));
  assert.deepEqual(
    sent.map(({ set, deleted, complete }) => [set.length, deleted.length, complete]),
    [[2, 1, true]],
  );
  takes = false;
  await store.txn([entry("a", "1")]);
  await settled();
  for (let version = 2; version <= 500; version += 1) {
    await store.txn([entry("a", String(version)), entry("brief", String(version))]);
    await settled();
  }
  await store.txn([
    { op: "delete", kind: "config-entry", key: "service-defaults/gone" },
    { op: "delete", kind: "config-entry", key: "service-defaults/brief" },
  ]);
  await settled();
  assert.equal(sent.length, 2);
  takes = true;
  outbox.drained();
  const last = sent[2]!;
  assert.equal(sent.length, 3);
  assert.deepEqual(
    last.set.map(({ key, value }) => [key, value["Meta"]]),
    [["service-defaults/a", { version: "500" }]],
  );
  assert.deepEqual(
    last.deleted.map(({ key }) => key),
    ["service-defaults/gone"],
  );
  assert.deepEqual([last.complete, last.index], [true, store.index]);
  outbox.close();
  publication.close();
});

test("a peer that holds everything is sent only the index", async () => {
  const store = createMemoryStore();
  await store.txn([entry("a", "0")]);
  const publication = createPublication(store, "dc1", replicatedKinds);
  const sent: RecordsMessage[] = [];
  const outbox = createOutbox(
    publication,
    () => true,
    (message) => sent.push(message) > 0,
  );
  outbox.start(new Map([...publication.records].map(([id, { digest }]) => [id, digest])));
  assert.deepEqual(sent, [{ type: "records", set: [], deleted: [], complete: true, index: store.index }]);
  publication.close();
});
