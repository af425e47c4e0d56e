/**
 * The store on disk: SQLite with a write-ahead log, one writer. Reads never touch the file; every commit is on disk
 * before anyone learns of it. What is read at open is checked against checksums, since an empty or half catalog would
 * be sent to every proxy.
 */
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { crc32 } from "node:zlib";
import { isMeshError, MeshError } from "../model/errors.ts";
import { type CommitQueueOptions, createStore, type Persistence } from "./commit-queue.ts";
import { createMirror, defaultTombstoneLimit, type MirrorContent } from "./mirror.ts";
import { frozenFromJson } from "./plan.ts";
import { damaged, filesOf, type Mark, openMark, prepareFiles } from "./sqlite-files.ts";
import type { Commit, Store, Stored } from "./store.ts";

export interface SqliteStoreOptions extends CommitQueueOptions {
  /** Deletions remembered a kind. @default 1024 */
  readonly tombstoneLimit?: number;
  /** How long to wait for a process that still has the file open; it blocks the thread. @default 1000 */
  readonly lockTimeoutMs?: number;
}

/** Goes up with every change of the tables below that an older version cannot read. */
const schemaVersion = 1;

const schema = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE record (
    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    created INTEGER NOT NULL, modified INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (kind, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tombstone (kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (kind, key))
    STRICT, WITHOUT ROWID;
  CREATE INDEX tombstone_age ON tombstone (kind, revision);
  CREATE TABLE kind (kind TEXT PRIMARY KEY, last INTEGER NOT NULL, floor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('schema', ${schemaVersion}), ('index', 0), ('records', 0), ('digest', ${digestOf(0, 0)});
`;

/** What the file says of itself as a whole: the exclusive-or of all record checksums, and the revision. */
function digestOf(index: number, checksums: number): number {
  return (checksums ^ crc32(`index ${index}`)) >>> 0;
}

/** SQLite's result codes, https://sqlite.org/rescode.html */
const codes = { busy: 5, corrupt: 11, cannotOpen: 14, notADatabase: 26 };

/**
 * Opens or makes the database. The file has mode 0600, a folder made for it 0700.
 * @throws {MeshError} `conflict` when another process has it open, `internal` when it is damaged, `invalid` when a
 * newer version wrote it, `unavailable` when it cannot be opened or written.
 */
export function openSqliteStore(path: string, options: SqliteStoreOptions = {}): Store {
  const tombstoneLimit = options.tombstoneLimit ?? defaultTombstoneLimit;
  let database: DatabaseSync | undefined;
  let mark: Mark | undefined;
  try {
    prepareFiles(path, createDatabase);
    database = lock(path, options.lockTimeoutMs ?? 1000);
    mark = openMark(path);
    const { content, checksums } = load(database, path);
    if (content.index < mark.index) {
      throw damaged(
        path,
        `it ends at revision ${content.index}, but revision ${mark.index} was acknowledged ("${filesOf(path).mark}"), so its log is damaged or it is an older copy`,
      );
    }
    mark.write(content.index);
    const persistence = persist(database, mark, tombstoneLimit, { records: content.records.length, checksums });
    return createStore(createMirror(tombstoneLimit, content), persistence, options);
  } catch (error) {
    mark?.close();
    database?.close();
    throw openError(path, error);
  }
}

function createDatabase(path: string): void {
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    database.exec(`BEGIN; ${schema} COMMIT;`);
  } finally {
    database.close();
  }
}

function lock(path: string, lockTimeoutMs: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: lockTimeoutMs });
  try {
    // The lock is held until close; it goes with the process, however that ends.
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;");
    // Read, not set: a file of ours has the mode already, and one that is not ours must not be altered.
    const journal = database.prepare("PRAGMA journal_mode").get()?.["journal_mode"];
    if (journal !== "wal") throw damaged(path, `it was not made by Isthmus (journal mode ${journal})`);
    database.exec("PRAGMA synchronous = FULL; BEGIN IMMEDIATE; COMMIT;");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

type Row = Record<string, SQLOutputValue>;

function load(database: DatabaseSync, path: string): { readonly content: MirrorContent; readonly checksums: number } {
  const findings = database.prepare("PRAGMA quick_check(1)").all();
  if (findings[0]?.["quick_check"] !== "ok") throw damaged(path, String(Object.values(findings[0] ?? {})[0]));
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE name = 'meta'").all();
  if (tables.length === 0) throw damaged(path, "it was not made by Isthmus");
  const meta = new Map<SQLOutputValue, number>();
  for (const row of database.prepare("SELECT name, value FROM meta").all())
    meta.set(row["name"]!, Number(row["value"]));
  const version = meta.get("schema");
  if (version === undefined) throw damaged(path, "it does not say which schema it has");
  if (version > schemaVersion) {
    throw new MeshError(
      "invalid",
      `database "${path}" has schema ${version}, and this version of Isthmus knows schema ${schemaVersion}: install the version that wrote it, or a newer one`,
    );
  }
  const records: Stored[] = [];
  let checksums = 0;
  for (const row of database.prepare("SELECT * FROM record").iterate()) {
    records.push(recordFromRow(row, path));
    checksums ^= Number(row["checksum"]);
  }
  const index = meta.get("index") ?? 0;
  if (records.length !== meta.get("records") || digestOf(index, checksums) !== meta.get("digest")) {
    throw damaged(
      path,
      `${records.length} records were found and ${meta.get("records")} written, or some are old ones`,
    );
  }
  const tombstones = database.prepare("SELECT * FROM tombstone ORDER BY revision").all();
  const kinds = database.prepare("SELECT * FROM kind").all();
  const content: MirrorContent = {
    index,
    records,
    tombstones: tombstones.map((row) => ({
      kind: String(row["kind"]),
      key: String(row["key"]),
      index: Number(row["revision"]),
    })),
    kinds: kinds.map((row) => ({
      kind: String(row["kind"]),
      last: Number(row["last"]),
      floor: Number(row["floor"]),
    })),
  };
  const revisions = [
    ...content.tombstones.map((tombstone) => tombstone.index),
    ...content.kinds.map(({ last }) => last),
  ];
  if (revisions.some((revision) => revision > index))
    throw damaged(path, `a revision beyond the last, ${index}, is in it`);
  return { content, checksums };
}

function recordFromRow(row: Row, path: string): Stored {
  const kind = String(row["kind"]) as Stored["kind"];
  const key = String(row["key"]);
  const text = String(row["value"]);
  const [createIndex, modifyIndex] = [Number(row["created"]), Number(row["modified"])];
  if (checksum(kind, key, text, createIndex, modifyIndex) !== row["checksum"]) {
    throw damaged(path, `${kind} "${key}" does not match its checksum`);
  }
  return { kind, key, value: frozenFromJson(text) as Stored["value"], createIndex, modifyIndex };
}

function checksum(kind: string, key: string, text: string, createIndex: number, modifyIndex: number): number {
  return crc32(`${kind}\0${key}\0${createIndex}\0${modifyIndex}\0${text}`);
}

function checksumOf(record: Stored): number {
  return checksum(record.kind, record.key, JSON.stringify(record.value), record.createIndex, record.modifyIndex);
}

/** How many records there are, and the exclusive-or of their checksums. */
interface Totals {
  records: number;
  checksums: number;
}

/** @param totals of what is in the file already */
function persist(database: DatabaseSync, mark: Mark, tombstoneLimit: number, totals: Readonly<Totals>): Persistence {
  const put = database.prepare("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?)");
  const oldChecksum = database.prepare("SELECT checksum FROM record WHERE kind = ? AND key = ?");
  const remove = database.prepare("DELETE FROM record WHERE kind = ? AND key = ?");
  const bury = database.prepare("INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?)");
  const unbury = database.prepare("DELETE FROM tombstone WHERE kind = ? AND key = ?");
  const oldestKept = database.prepare(
    "SELECT revision FROM tombstone WHERE kind = ? ORDER BY revision DESC LIMIT 1 OFFSET ?",
  );
  const forget = database.prepare("DELETE FROM tombstone WHERE kind = ? AND revision <= ?");
  const touch = database.prepare(
    "INSERT INTO kind VALUES (?, ?, 0) ON CONFLICT (kind) DO UPDATE SET last = excluded.last",
  );
  const raise = database.prepare("UPDATE kind SET floor = ? WHERE kind = ?");
  const setMeta = database.prepare("UPDATE meta SET value = ? WHERE name = ?");
  let written = totals;

  function writeCommit(commit: Commit, next: Totals): void {
    const takeOut = (record: Stored) => {
      const row = oldChecksum.get(record.kind, record.key);
      if (!row) return;
      next.checksums ^= Number(row["checksum"]);
      next.records -= 1;
    };
    for (const kind of new Set([...commit.set, ...commit.deleted].map((record) => record.kind))) {
      touch.run(kind, commit.index);
    }
    for (const record of commit.set) {
      const { kind, key, value, createIndex, modifyIndex } = record;
      const sum = checksumOf(record);
      takeOut(record);
      put.run(kind, key, JSON.stringify(value), createIndex, modifyIndex, sum);
      unbury.run(kind, key);
      next.checksums ^= sum;
      next.records += 1;
    }
    for (const record of commit.deleted) {
      takeOut(record);
      remove.run(record.kind, record.key);
      bury.run(record.kind, record.key, commit.index);
    }
    for (const kind of new Set(commit.deleted.map((record) => record.kind))) {
      const forgotten = oldestKept.get(kind, tombstoneLimit)?.["revision"];
      if (forgotten === undefined) continue;
      forget.run(kind, forgotten);
      raise.run(forgotten, kind);
    }
  }

  return {
    write: (commits) => {
      const next = { ...written };
      const index = commits.at(-1)!.index;
      try {
        database.exec("BEGIN IMMEDIATE");
        for (const commit of commits) writeCommit(commit, next);
        setMeta.run(index, "index");
        setMeta.run(next.records, "records");
        setMeta.run(digestOf(index, next.checksums), "digest");
        database.exec("COMMIT");
      } catch (error) {
        if (database.isTransaction) database.exec("ROLLBACK");
        throw error;
      }
      written = next;
      try {
        mark.write(index);
      } catch {
        // The commit is on disk; a mark that lags only detects less.
      }
    },
    close: () => {
      database.close();
      mark.close();
    },
  };
}

function openError(path: string, error: unknown): MeshError {
  if (isMeshError(error)) return error;
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
  const reason = error instanceof Error ? error.message : String(error);
  if (code === codes.busy) {
    const message = `database "${path}" is open in another process: a datacenter has one control plane; stop the other one first`;
    return new MeshError("conflict", message, { cause: error });
  }
  if (code === codes.corrupt || code === codes.notADatabase) return damaged(path, reason, error);
  return new MeshError("unavailable", `database "${path}" cannot be opened (${reason})`, { cause: error });
}
