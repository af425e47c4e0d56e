/**
 * The files of a store on disk: who may read them, and how a loss of the database or its log is noticed.
 *
 * SQLite takes a missing database, or a log whose header is damaged, for an empty one and says nothing. So a file beside
 * the database (`<path>.mark`) holds the newest acknowledged revision: a database that knows less has lost writes. The
 * mark is written after the commit is on disk and is never waited for, so it can be behind the database, never ahead.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../model/errors.ts";

export interface Mark {
  /** Newest revision that was acknowledged as far as is known; 0 when nothing is known. */
  readonly index: number;
  readonly write: (index: number) => void;
  readonly close: () => void;
}

/** `<path>`, which holds the records, and the files that belong to it. */
export function filesOf(path: string): { readonly log: string; readonly mark: string } {
  return { log: `${path}-wal`, mark: `${path}.mark` };
}

/** The error for state that cannot be trusted: it stays refused until somebody decides. */
export function damaged(path: string, what: string, cause?: unknown): MeshError {
  const remedy = "restore the newest backup, or move the files away to start with an empty catalog";
  return new MeshError("internal", `database "${path}": ${what}: ${remedy}`, { cause });
}

/**
 * Makes the folder (mode 0700, one that exists is left as it is) and, where there is no database, a new one by way of
 * `create`; it appears under its name only when it is whole. Then narrows every file to mode 0600.
 * @throws {MeshError} `internal` when the database is gone and its log or mark is still there, or when it is empty.
 */
export function prepareFiles(path: string, create: (path: string) => void): void {
  const { log, mark } = filesOf(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (!existsSync(path)) {
    for (const rest of [log, mark]) {
      if (existsSync(rest)) throw damaged(path, `the file is missing, though "${rest}" shows that there was one`);
    }
    createWhole(path, create);
  }
  if (statSync(path).size === 0) throw damaged(path, "the file is empty");
  for (const file of [path, log, mark]) if (existsSync(file)) chmodSync(file, 0o600);
}

function createWhole(path: string, create: (path: string) => void): void {
  const unfinished = `${path}.new-${process.pid}`;
  rmSync(unfinished, { force: true });
  closeSync(openSync(unfinished, "wx", 0o600));
  try {
    create(unfinished);
    // Not a rename: of two processes that start at once the second must open the first one's file, not replace it.
    linkSync(unfinished, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Opens the mark of a database that this process has locked. A mark that cannot be read says nothing. */
export function openMark(path: string): Mark {
  const file = filesOf(path).mark;
  const text = existsSync(file) ? readFileSync(file, "latin1") : "";
  const descriptor = openSync(file, existsSync(file) ? "r+" : "wx+", 0o600);
  if (fstatSync(descriptor).size === 0) writeSync(descriptor, format(0), 0);
  return {
    index: /^\d{16}\n$/.test(text) ? Number(text) : 0,
    write: (index) => {
      writeSync(descriptor, format(index), 0);
    },
    close: () => closeSync(descriptor),
  };
}

function format(index: number): string {
  return `${String(index).padStart(16, "0")}\n`;
}
