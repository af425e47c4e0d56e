/** The store on disk: permissions, the lock, a full disk, damage and versions. Everything runs against the real SQLite. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isMeshError } from "../model/errors.ts";
import { nodeRecord, setNode } from "./contract.ts";
import { openSqliteStore } from "./sqlite.ts";
import type { Store } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "isthmus-sqlite-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = () => join(folder, `${files++}`, "data", "store.db");
const child = fileURLToPath(new URL("store.test.child.ts", import.meta.url));
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
const suffixes = ["", "-wal", ".mark"];

/** Copies the files of an open store, as a crash would leave them. */
function copyCrashed(path: string): string {
  const copy = join(mkdtempSync(join(folder, "copy-")), "store.db");
  for (const suffix of suffixes) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
  return copy;
}

function dump(store: Store): unknown {
  return { index: store.index, nodes: store.list("node"), facts: store.list("fact") };
}

/** A database of sixty revisions: a copy as after a clean stop, and one as after a crash. */
async function fixture() {
  const path = newPath();
  const store = openSqliteStore(path);
  for (let at = 0; at < 20; at++) {
    await store.txn([setNode(`n${at}`), { op: "set", kind: "fact", key: `f${at}`, value: { Value: "x".repeat(150) } }]);
    await store.txn([setNode(`n${at}`, `127.0.0.${at + 2}`)]);
    await store.txn([{ op: "delete", kind: "fact", key: `f${at - 5}` }, setNode("counter", `127.0.1.${at + 1}`)]);
  }
  const crashed = copyCrashed(path);
  const expected = dump(store);
  store.close();
  return { clean: path, crashed, expected };
}

function flipBit(path: string, byte: number, bit: number): void {
  const bytes = readFileSync(path);
  bytes[byte]! ^= 1 << bit;
  writeFileSync(path, bytes);
}

test("folder 0700, files 0600, also where they were wider", async () => {
  const path = newPath();
  const store = openSqliteStore(path);
  await store.txn([setNode("a")]);
  assert.equal(mode(join(path, "..")), "700");
  for (const suffix of suffixes) assert.equal(mode(path + suffix), "600", suffix);
  store.close();
  chmodSync(path, 0o644);
  openSqliteStore(path).close();
  assert.equal(mode(path), "600");
  assert.deepEqual(readdirSync(join(path, "..")).sort(), ["store.db", "store.db.mark"]);
});

test("a second opener is told that the database is in use; the first is not disturbed", async () => {
  const path = newPath();
  const store = openSqliteStore(path);
  await store.txn([setNode("a")]);
  const inUse = { name: "MeshError", code: "conflict", message: /is open in another process/ };
  assert.throws(() => openSqliteStore(path, { lockTimeoutMs: 20 }), inUse);
  const other = spawn(process.execPath, [child, path, "1"], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  other.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(other, "close");
  assert.notEqual(code, 0);
  assert.match(stderr, /is open in another process/);
  await store.txn([setNode("b")]);
  store.close();
  const again = openSqliteStore(path);
  assert.equal(again.list("node").length, 2);
  again.close();
});

test("a newer schema is refused by name", async () => {
  const { clean } = await fixture();
  const database = new DatabaseSync(clean);
  database.exec("UPDATE meta SET value = 7 WHERE name = 'schema'");
  database.close();
  assert.throws(() => openSqliteStore(clean), { code: "invalid", message: /schema 7.*knows schema 1/ });
});

const damages: readonly [string, "clean" | "crashed", (path: string) => void, RegExp][] = [
  ["the database is gone", "clean", (path) => rmSync(path), /the file is missing, though ".*mark"/],
  ["the database is gone, its log is there", "crashed", (path) => rmSync(path), /the file is missing, though ".*wal"/],
  ["the database is empty", "crashed", (path) => truncateSync(path, 0), /the file is empty/],
  ["the database is cut in half", "clean", (path) => truncateSync(path, statSync(path).size / 2), /./],
  ["the log is gone", "crashed", (path) => rmSync(`${path}-wal`), /revision 60 was acknowledged/],
  ["the log is empty", "crashed", (path) => truncateSync(`${path}-wal`, 0), /revision 60 was acknowledged/],
  ["the log is cut", "crashed", (path) => truncateSync(`${path}-wal`, 90_000), /revision 60 was acknowledged/],
  ["the log's header is damaged", "crashed", (path) => flipBit(`${path}-wal`, 17, 3), /revision 60 was acknowledged/],
  ["it is something else", "clean", (path) => writeFileSync(path, "hello".repeat(2000)), /not a database/],
  ["it is another program's", "clean", otherDatabase, /was not made by Isthmus/],
  ["a record was lost", "clean", (path) => alter(path, "DELETE FROM record WHERE key = 'n3'"), /records were found/],
  ["a record was edited", "clean", (path) => alter(path, "UPDATE record SET key = 'x' WHERE key = 'n3'"), /checksum/],
  ["the revision went back", "clean", (path) => alter(path, "UPDATE meta SET value = 9 WHERE name = 'index'"), /./],
];

function alter(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

function otherDatabase(path: string): void {
  rmSync(path);
  alter(path, "CREATE TABLE other (a)");
}

for (const [what, which, damage, message] of damages) {
  test(`damage is refused, and refused again: ${what}`, async () => {
    const path = (await fixture())[which];
    damage(path);
    // A log that is damaged is folded into the database by SQLite; a database alone must stay as it is.
    const bytes = () => (which === "clean" && existsSync(path) ? readFileSync(path).toString("latin1") : "");
    const before = bytes();
    assert.throws(
      () => openSqliteStore(path),
      (error) => isMeshError(error) && error.code === "internal" && message.test(error.message),
    );
    assert.ok(bytes() === before);
    assert.throws(() => openSqliteStore(path), { code: "internal" });
  });
}

for (const which of ["clean", "crashed"] as const) {
  test(`a flipped bit anywhere is noticed or does no harm (${which})`, async () => {
    const made = await fixture();
    const suffix = which === "clean" ? "" : "-wal";
    const size = statSync(made[which] + suffix).size;
    let refused = 0;
    for (let round = 0; round < 60; round++) {
      const path = copyCrashed(made[which]);
      // Spread over the file without randomness, so that a failure can be repeated.
      flipBit(path + suffix, Math.floor((size * ((round * 37) % 60)) / 60) + round, round % 8);
      try {
        const store = openSqliteStore(path);
        assert.deepEqual(dump(store), made.expected, `round ${round}`);
        store.close();
      } catch (error) {
        if (!isMeshError(error)) throw error;
        assert.equal(error.code, "internal");
        refused++;
      }
    }
    assert.ok(refused > 0);
  });
}

/** Runs the writing child with its files limited to so many KiB. */
function spawnLimited(path: string, kib: number): ChildProcess {
  // An ignored SIGXFSZ is inherited: writes beyond the limit then fail with EFBIG, as on a full disk with ENOSPC.
  const script = `trap '' XFSZ; ulimit -S -f ${kib}; exec "$0" "$@"`;
  return spawn("bash", ["-c", script, process.execPath, child, path, "2"], { stdio: ["ignore", "pipe", "inherit"] });
}

test("a full disk refuses writes, keeps reads, loses nothing, and writing goes on once there is room", {
  timeout: 60_000,
}, async (t) => {
  const path = newPath();
  const writer = spawnLimited(path, 256);
  t.after(() => writer.kill("SIGKILL"));
  const acknowledged = new Map<string, number>();
  let refusals = 0;
  for await (const line of createInterface({ input: writer.stdout! })) {
    const [word, a = "", b] = line.split(" ");
    if (word === "ack") acknowledged.set(a, Number(b));
    if (word === "refused") {
      assert.deepEqual([a, b], ["unavailable", "true"]);
      refusals++;
      execFileSync("prlimit", ["--pid", String(writer.pid), "--fsize=unlimited"]);
    }
    if (word === "healed") writer.kill("SIGKILL");
  }
  assert.ok(refusals > 0);
  const store = openSqliteStore(path);
  for (const [id, count] of acknowledged) {
    const [a, b] = ["a", "b"].map((half) => store.get("fact", `pair/${id}/${half}`)?.value.Value);
    assert.equal(a, b);
    assert.ok(Number(a?.split(" ")[0]) >= count);
  }
  store.close();
});

test("a folder that cannot be made is unavailable", () => {
  const file = join(folder, "not-a-folder");
  writeFileSync(file, "");
  assert.throws(() => openSqliteStore(join(file, "data", "store.db")), { name: "MeshError", code: "unavailable" });
});

test("many transactions of one turn are one commit to the disk, and all are there after a reopen", async () => {
  const path = newPath();
  const store = openSqliteStore(path);
  const names = Array.from({ length: 500 }, (_, at) => `n${String(at).padStart(3, "0")}`);
  await Promise.all(names.map((name) => store.txn([setNode(name)])));
  const crashed = openSqliteStore(copyCrashed(path));
  assert.equal(crashed.index, 500);
  assert.deepEqual(
    crashed.list("node").map((record) => [record.value, record.modifyIndex]),
    names.map((name, at) => [nodeRecord(name), at + 1]),
  );
  crashed.close();
  store.close();
});
