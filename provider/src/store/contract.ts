/** What every Store must do, as one suite of tests that is run over each kind of store. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { NodeRecord } from "../model/records.ts";
import type { Change, Commit, Store } from "./store.ts";

/** A node record to store, told apart by its address. */
export function nodeRecord(name: string, address = "127.0.0.1"): NodeRecord {
  return { Node: name, ID: `id-${name}`, Address: address, Datacenter: "dc1" };
}

/** A change that sets a node. */
export function setNode(name: string, address?: string, ifIndex?: number): Change {
  const change = { op: "set", kind: "node", key: name, value: nodeRecord(name, address) } as const;
  return ifIndex === undefined ? change : { ...change, ifIndex };
}

function deleteNode(name: string, ifIndex?: number): Change {
  return { op: "delete", kind: "node", key: name, ...(ifIndex === undefined ? {} : { ifIndex }) };
}

function setFact(key: string, value: string): Change {
  return { op: "set", kind: "fact", key, value: { Value: value } };
}

const conflict = { name: "MeshError", code: "conflict" };
const invalid = { name: "MeshError", code: "invalid" };

/** @param open makes an empty store that remembers three deletions a kind. */
export function testStoreContract(name: string, open: () => Store): void {
  describe(`store contract: ${name}`, () => {
    const opened: Store[] = [];
    const fresh = () => {
      const store = open();
      opened.push(store);
      return store;
    };
    afterEach(() => {
      for (const store of opened.splice(0)) store.close();
    });

    test("an empty store is at revision 0", () => {
      const store = fresh();
      assert.equal(store.index, 0);
      assert.deepEqual(store.list("node"), []);
      assert.equal(store.get("node", "n"), undefined);
      assert.equal(store.lastIndex("node"), 0);
      assert.equal(store.lastIndex("node", "n"), 0);
    });

    test("a record keeps its createIndex and gets a modifyIndex with each change", async () => {
      const store = fresh();
      const first = await store.txn([setNode("a"), setFact("f", "1")]);
      assert.equal(first.index, 1);
      await store.txn([setNode("a", "127.0.0.2")]);
      const a = store.get("node", "a");
      assert.deepEqual(a, {
        kind: "node",
        key: "a",
        value: nodeRecord("a", "127.0.0.2"),
        createIndex: 1,
        modifyIndex: 2,
      });
      assert.equal(store.get("fact", "f")?.modifyIndex, 1);
      await store.txn([deleteNode("a")]);
      await store.txn([setNode("a")]);
      assert.equal(store.get("node", "a")?.createIndex, 4);
    });

    test("a change that changes nothing is left out; a transaction of such changes makes no revision", async () => {
      const store = fresh();
      await store.txn([setNode("a"), setNode("b")]);
      const commits: Commit[] = [];
      store.subscribe((commit) => commits.push(commit));
      const reordered = { Datacenter: "dc1", Address: "127.0.0.1", ID: "id-a", Node: "a" };
      const nothing = await store.txn([
        { op: "set", kind: "node", key: "a", value: reordered },
        deleteNode("absent"),
        deleteNode("absent-too", 0),
      ]);
      assert.deepEqual(nothing, { index: 1, set: [], deleted: [] });
      assert.deepEqual(commits, []);
      const half = await store.txn([setNode("a"), setNode("b", "127.0.0.9")]);
      assert.deepEqual(
        half.set.map((record) => record.key),
        ["b"],
      );
      assert.equal(store.get("node", "a")?.modifyIndex, 1);
      assert.deepEqual(await store.txn([]), { index: 2, set: [], deleted: [] });
    });

    test("list gives a prefix in key order", async () => {
      const store = fresh();
      const keys = ["b/2", "a/1", "b/10", "b", "c", "b/", "é", "\u{1F600}", "\uFFFD"];
      await store.txn(keys.map((key) => setFact(key, key)));
      const listed = (prefix?: string) => store.list("fact", prefix).map((record) => record.key);
      assert.deepEqual(listed("b/"), ["b/", "b/10", "b/2"]);
      assert.deepEqual(listed(), [...keys].sort());
      assert.deepEqual(listed("zz"), []);
      await store.txn([{ op: "delete", kind: "fact", key: "b/10" }]);
      assert.deepEqual(listed("b"), ["b", "b/", "b/2"]);
    });

    const conditions: readonly [string, readonly Change[], boolean][] = [
      ["the revision it has", [setNode("a", "127.0.0.2", 1)], true],
      ["another revision", [setNode("a", "127.0.0.2", 7)], false],
      ["0, and it exists", [setNode("a", "127.0.0.2", 0)], false],
      ["0, and it does not exist", [setNode("new", "127.0.0.2", 0)], true],
      ["a revision, and it does not exist", [setNode("new", "127.0.0.2", 1)], false],
      ["delete at the revision it has", [deleteNode("a", 1)], true],
      ["delete at another revision", [deleteNode("a", 2)], false],
      ["delete of what does not exist, at a revision", [deleteNode("new", 1)], false],
      ["one of several does not hold", [setNode("new"), setNode("a", "127.0.0.2", 9)], false],
      ["an equal value at the wrong revision", [setNode("a", "127.0.0.1", 9)], false],
    ];
    for (const [what, changes, holds] of conditions) {
      test(`ifIndex: ${what}: ${holds ? "done" : "refused whole"}`, async () => {
        const store = fresh();
        await store.txn([setNode("a")]);
        if (holds) {
          assert.equal((await store.txn(changes)).index, 2);
          return;
        }
        await assert.rejects(store.txn(changes), conflict);
        assert.equal(store.index, 1);
        assert.deepEqual(store.get("node", "a")?.value, nodeRecord("a"));
        assert.equal(store.get("node", "new"), undefined);
      });
    }

    test("transactions of one turn each see the ones before and get revisions of their own", async () => {
      const store = fresh();
      const results = await Promise.allSettled([
        store.txn([setNode("a", "127.0.0.1", 0)]),
        store.txn([setNode("a", "127.0.0.2", 0)]),
        store.txn([setNode("a", "127.0.0.3", 1)]),
        store.txn([setNode("a", "127.0.0.3")]),
        store.txn([deleteNode("a", 2)]),
        store.txn([setNode("a", "127.0.0.4", 0)]),
      ]);
      const indexes = results.map((result) =>
        result.status === "fulfilled" ? result.value.index : result.reason.code,
      );
      assert.deepEqual(indexes, [1, "conflict", 2, 2, 3, 4]);
      assert.equal(store.get("node", "a")?.createIndex, 4);
    });

    test("a record changed twice in one transaction takes the later change", async () => {
      const store = fresh();
      const commit = await store.txn([setNode("a"), deleteNode("a"), setNode("b"), setNode("b", "127.0.0.2")]);
      assert.deepEqual(
        commit.set.map((record) => [record.key, record.modifyIndex]),
        [["b", 1]],
      );
      assert.deepEqual(commit.deleted, []);
      assert.equal(store.get("node", "a"), undefined);
    });

    test("listeners hear each commit once, in order, with the store at that commit, before the promise resolves", async () => {
      const store = fresh();
      const heard: string[] = [];
      const stop = store.subscribe((commit) => {
        heard.push(`${commit.index}@${store.index}:${store.get("node", "a")?.value.Address ?? "none"}`);
      });
      const writes = ["127.0.0.1", "127.0.0.2"].map((address) =>
        store.txn([setNode("a", address)]).then((commit) => heard.push(`resolved ${commit.index}`)),
      );
      await Promise.all(writes);
      const gone = await store.txn([deleteNode("a")]);
      assert.deepEqual(
        heard.filter((entry) => entry.includes("@")),
        ["1@1:127.0.0.1", "2@2:127.0.0.2", "3@3:none"],
      );
      assert.ok(heard.indexOf("1@1:127.0.0.1") < heard.indexOf("resolved 1"));
      assert.deepEqual(gone.deleted[0]?.value, nodeRecord("a", "127.0.0.2"));
      stop();
      await store.txn([setNode("b")]);
      assert.equal(heard.length, 5);
    });

    test("a listener may write; its write comes after", async () => {
      const store = fresh();
      const done = new Promise<Commit>((resolve, reject) => {
        const stop = store.subscribe(() => {
          stop();
          store.txn([setFact("from-listener", "1")]).then(resolve, reject);
        });
      });
      await Promise.all([store.txn([setNode("a")]), store.txn([setNode("b")])]);
      assert.equal((await done).index, 3);
    });

    test("lastIndex counts deletions, by kind and by prefix", async () => {
      const store = fresh();
      await store.txn([setFact("a/1", "x"), setFact("b/1", "x")]);
      await store.txn([setFact("a/2", "x")]);
      await store.txn([{ op: "delete", kind: "fact", key: "b/1" }]);
      await store.txn([setNode("n")]);
      const last = (prefix?: string) => store.lastIndex("fact", prefix);
      assert.deepEqual([last(), last("a/"), last("b/"), last("c/"), store.lastIndex("node")], [3, 2, 3, 0, 4]);
    });

    test("deletions that are forgotten raise lastIndex of every prefix rather than lower one", async () => {
      const store = fresh();
      const keys = ["a", "b", "c", "d", "e"];
      await store.txn(keys.map((key) => setFact(key, key)));
      for (const key of keys) await store.txn([{ op: "delete", kind: "fact", key }]);
      // Revisions 2..6 deleted a..e; three are remembered, so 3 is the newest that was forgotten.
      assert.deepEqual(
        [...keys, "other"].map((prefix) => store.lastIndex("fact", prefix)),
        [3, 3, 4, 5, 6, 3],
      );
    });

    test("what is stored is a copy that nobody can alter", async () => {
      const store = fresh();
      const value = { ...nodeRecord("a"), Meta: { k: "v" } };
      const pending = store.txn([{ op: "set", kind: "node", key: "a", value }]);
      value.Meta.k = "changed";
      await pending;
      const stored = store.get("node", "a")!.value;
      assert.equal(stored.Meta?.["k"], "v");
      assert.throws(() => Object.assign(stored.Meta!, { k: "changed" }), TypeError);
    });

    test("names that mean something to JavaScript are names like any other", async () => {
      const store = fresh();
      const value = { ...nodeRecord("__proto__"), Meta: JSON.parse('{"__proto__":"x","constructor":"y"}') };
      await store.txn([{ op: "set", kind: "node", key: "__proto__", value }, setNode("constructor")]);
      assert.deepEqual(Object.entries(store.get("node", "__proto__")!.value.Meta!), [
        ["__proto__", "x"],
        ["constructor", "y"],
      ]);
      assert.equal(store.get("node", "toString"), undefined);
      assert.equal(store.list("node").length, 2);
    });

    test("a transaction with a value that is not JSON, or without a key, is refused", async () => {
      const store = fresh();
      const circular: Record<string, unknown> = {};
      circular["self"] = circular;
      const bad: readonly unknown[] = [
        { op: "set", kind: "node", key: "", value: nodeRecord("a") },
        { op: "set", kind: "node", key: "a\0b", value: nodeRecord("a") },
        { op: "set", kind: "node", key: "\uD800", value: nodeRecord("a") },
        { op: "set", kind: "node", key: "a", value: undefined },
        { op: "set", kind: "node", key: "a", value: circular },
        { op: "set", kind: "node", key: "a", value: 1n },
      ];
      for (const change of bad) await assert.rejects(store.txn([setNode("ok"), change as Change]), invalid);
      assert.equal(store.index, 0);
    });

    test("close keeps what was accepted and refuses what comes later", async () => {
      const store = fresh();
      const accepted = store.txn([setNode("a")]);
      store.close();
      store.close();
      assert.equal((await accepted).index, 1);
      await assert.rejects(store.txn([setNode("b")]), { name: "MeshError", code: "unavailable" });
      assert.equal(store.get("node", "a")?.modifyIndex, 1);
    });

    test("close from a listener waits for the commits under way", async () => {
      const store = fresh();
      store.subscribe(() => store.close());
      const both = await Promise.all([store.txn([setNode("a")]), store.txn([setNode("b")])]);
      assert.deepEqual(
        both.map((commit) => commit.index),
        [1, 2],
      );
    });
  });
}
