/** What a transaction would do to a view of the store, decided without doing it. Pure. */
import { isDeepStrictEqual } from "node:util";
import { MeshError } from "../model/errors.ts";
import type { RecordKind } from "../model/records.ts";
import type { Change, Commit, Stored } from "./store.ts";

/** Answers what a record is at the moment of a transaction. */
export type View = (kind: RecordKind, key: string) => Stored | undefined;

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}

/** The value as it comes back from a disk: a frozen copy, so that neither the caller nor a reader can alter what is stored. */
export function frozenFromJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  freeze(value);
  return value;
}

function jsonOf(change: Extract<Change, { op: "set" }>): string {
  try {
    const text: string | undefined = JSON.stringify(change.value);
    if (text !== undefined) return text;
  } catch (cause) {
    throw new MeshError("invalid", `${change.kind} "${change.key}": the value cannot be written as JSON`, { cause });
  }
  throw new MeshError("invalid", `${change.kind} "${change.key}": a value is needed`);
}

/**
 * Copies the changes, so that later edits of the caller's objects have no effect.
 * @throws {MeshError} `invalid` for an empty key or a value that is not JSON.
 */
export function copyChanges(changes: readonly Change[]): readonly Change[] {
  return changes.map((change) => {
    const { key } = change;
    if (typeof key !== "string" || key === "" || key.includes("\0") || !key.isWellFormed()) {
      throw new MeshError("invalid", `${change.kind}: the key of a record is non-empty Unicode text without NUL`);
    }
    if (change.op === "delete") return { ...change };
    return { ...change, value: frozenFromJson(jsonOf(change)) } as Change;
  });
}

/**
 * What the changes do. Every ifIndex is compared with the record as it was before the transaction; where a
 * transaction changes one record twice, the later change counts.
 * @param index revision that the commit gets when it changes anything; it is `index - 1` otherwise
 * @throws {MeshError} `conflict` when an ifIndex does not hold.
 */
export function planCommit(view: View, changes: readonly Change[], index: number): Commit {
  const last = new Map<string, Change>();
  for (const change of changes) {
    const actual = view(change.kind, change.key)?.modifyIndex ?? 0;
    if (change.ifIndex !== undefined && change.ifIndex !== actual) {
      const found = actual === 0 ? "does not exist" : `is at revision ${actual}`;
      const wanted = change.ifIndex === 0 ? "it not to exist" : `revision ${change.ifIndex}`;
      throw new MeshError(
        "conflict",
        `${change.kind} "${change.key}" ${found}, the change needs ${wanted}: read it again`,
      );
    }
    last.set(`${change.kind}\0${change.key}`, change);
  }
  const set: Stored[] = [];
  const deleted: Stored[] = [];
  for (const change of last.values()) {
    const { kind, key } = change;
    const before = view(kind, key);
    if (change.op === "delete") {
      if (before) deleted.push(before);
    } else if (!before || !isDeepStrictEqual(before.value, change.value)) {
      set.push({ kind, key, value: change.value, createIndex: before?.createIndex ?? index, modifyIndex: index });
    }
  }
  return { index: set.length + deleted.length > 0 ? index : index - 1, set, deleted };
}
