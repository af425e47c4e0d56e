/** Random transactions: a plain model, the store in memory, the store on disk and the same reopened agree on everything. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { isMeshError } from "../../provider/src/model/errors.ts";
import { createMemoryStore } from "../../provider/src/store/memory.ts";
import { openSqliteStore } from "../../provider/src/store/sqlite.ts";
import type { Change, Commit, Store } from "../../provider/src/store/store.ts";

const folder = mkdtempSync(join(tmpdir(), "isthmus-store-property-"));
after(() => rmSync(folder, { recursive: true }));

const tombstoneLimit = 3;
const kinds = ["fact", "datacenter"] as const;
const keys = ["a", "a/1", "a/2", "b", "b/1", "__proto__", "é"];
const prefixes = ["", "a", "a/", "b", "z"];

/** A change whose condition is said relative to the record, so that it holds often enough. */
interface Intent {
  readonly op: "set" | "delete";
  readonly kind: (typeof kinds)[number];
  readonly key: string;
  readonly value: string;
  readonly condition: "none" | "current" | "absent" | "stale";
}

const intent: fc.Arbitrary<Intent> = fc.record({
  op: fc.constantFrom("set", "set", "delete"),
  kind: fc.constantFrom(...kinds),
  key: fc.constantFrom(...keys),
  value: fc.constantFrom("1", "2", "\u{1F600}"),
  condition: fc.constantFrom("none", "none", "none", "current", "absent", "stale"),
});

/** A history: turns of the event loop, each of several transactions. */
const history = fc.array(fc.array(fc.array(intent, { maxLength: 4 }), { minLength: 1, maxLength: 5 }), {
  maxLength: 12,
});

type Entry = { value: unknown; createIndex: number; modifyIndex: number };

/** The meaning of a transaction in the fewest words, without order, durability or limits. */
function createModel() {
  const records = new Map<string, Entry>();
  const touched: { id: string; index: number }[] = [];
  let index = 0;
  return {
    records,
    touched,
    index: () => index,
    apply: (changes: readonly Change[]): "conflict" | "done" => {
      const id = (change: Change) => `${change.kind}:${change.key}`;
      const holds = (change: Change) =>
        change.ifIndex === undefined || change.ifIndex === (records.get(id(change))?.modifyIndex ?? 0);
      if (!changes.every(holds)) return "conflict";
      const effective = [...new Map(changes.map((change) => [id(change), change])).values()].filter((change) => {
        const before = records.get(id(change));
        if (change.op === "delete") return before !== undefined;
        return JSON.stringify(before?.value) !== JSON.stringify(change.value);
      });
      if (effective.length > 0) index++;
      for (const change of effective) {
        touched.push({ id: id(change), index });
        const createIndex = records.get(id(change))?.createIndex ?? index;
        if (change.op === "delete") records.delete(id(change));
        else records.set(id(change), { value: change.value, createIndex, modifyIndex: index });
      }
      return "done";
    },
  };
}

function changeFrom({ op, kind, key, value, condition }: Intent, current: number): Change {
  const ifIndex = { none: undefined, current, absent: 0, stale: current + 1 }[condition];
  const base = { key, ...(ifIndex === undefined ? {} : { ifIndex }) };
  if (op === "delete") return { op, kind, ...base };
  if (kind === "fact") return { op, kind, ...base, value: { Value: value } };
  return { op, kind, ...base, value: { Name: key, Primary: true, Address: value } };
}

function view(store: Store): unknown {
  return {
    index: store.index,
    lists: kinds.map((kind) => prefixes.map((prefix) => store.list(kind, prefix))),
    last: kinds.map((kind) => prefixes.map((prefix) => store.lastIndex(kind, prefix))),
  };
}

async function resultOf(pending: Promise<Commit>): Promise<unknown> {
  try {
    return await pending;
  } catch (error) {
    return isMeshError(error) ? error.code : error;
  }
}

test("model = memory = sqlite = sqlite reopened, whatever is written", async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(history, async (turns) => {
      const path = join(folder, `${runs++}.db`);
      const model = createModel();
      const memory = createMemoryStore({ tombstoneLimit });
      let sqlite = openSqliteStore(path, { tombstoneLimit });
      const commits: Commit[] = [];
      memory.subscribe((commit) => commits.push(commit));
      for (const [at, turn] of turns.entries()) {
        const expected: string[] = [];
        const transactions = turn.map((intents) => {
          const changes = intents.map((one) =>
            changeFrom(one, model.records.get(`${one.kind}:${one.key}`)?.modifyIndex ?? 0),
          );
          expected.push(model.apply(changes));
          return changes;
        });
        const before = view(memory);
        const inMemory = transactions.map((changes) => resultOf(memory.txn(changes)));
        const onDisk = transactions.map((changes) => resultOf(sqlite.txn(changes)));
        assert.deepEqual(view(memory), before, "nothing is visible before the commit");
        const results = await Promise.all(inMemory);
        assert.deepEqual(await Promise.all(onDisk), results);
        assert.deepEqual(
          results.map((result) => (result === "conflict" ? "conflict" : "done")),
          expected,
        );
        assert.deepEqual(view(sqlite), view(memory));
        if (at % 4 === 3) {
          sqlite.close();
          sqlite = openSqliteStore(path, { tombstoneLimit });
          assert.deepEqual(view(sqlite), view(memory));
        }
      }
      sqlite.close();
      const reopened = openSqliteStore(path, { tombstoneLimit });
      assert.deepEqual(view(reopened), view(memory));
      reopened.close();

      assert.equal(memory.index, model.index());
      assert.deepEqual(
        commits.map((commit) => commit.index),
        Array.from({ length: model.index() }, (_, at) => at + 1),
      );
      for (const kind of kinds) {
        const entries = memory.list(kind).map(({ key, value, createIndex, modifyIndex }) => {
          return [`${kind}:${key}`, { value, createIndex, modifyIndex }] as const;
        });
        const modelled = [...model.records].filter(([id]) => id.startsWith(`${kind}:`));
        assert.deepEqual(new Map(entries), new Map(modelled));
        for (const prefix of prefixes) {
          const touched = model.touched.filter(({ id }) => id.startsWith(`${kind}:${prefix}`));
          const newest = Math.max(0, ...touched.map(({ index }) => index));
          const last = memory.lastIndex(kind, prefix);
          assert.ok(last >= newest && last <= memory.lastIndex(kind), `${kind} ${prefix}: ${last} for ${newest}`);
          if (prefix === "") assert.equal(last, newest);
        }
      }
    }),
    { numRuns: 40 },
  );
});
