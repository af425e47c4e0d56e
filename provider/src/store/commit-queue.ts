/**
 * Turns a mirror and something that persists commits into a Store: orders transactions, commits those of one turn of the
 * event loop together, and tells listeners.
 *
 *   txn ─► queue ─(end of the turn)─► plan each on top of the ones before ─► persist all at once
 *                                                                              │
 *                           resolve ◄─ listeners ◄─ mirror, commit by commit ◄─┘
 */
import { MeshError, toMeshError } from "../model/errors.ts";
import type { RecordKind } from "../model/records.ts";
import type { Mirror } from "./mirror.ts";
import { copyChanges, planCommit, type View } from "./plan.ts";
import type { Change, Commit, Store, Stored } from "./store.ts";

export interface Persistence {
  /** Makes all commits durable or none. May throw anything; then nothing was changed. */
  readonly write: (commits: readonly Commit[]) => void;
  readonly close: () => void;
}

export interface CommitQueueOptions {
  /** Told what a listener threw; the commit stands and the other listeners run. @default it becomes an uncaught exception */
  readonly onListenerError?: (error: unknown) => void;
}

interface Pending {
  readonly changes: readonly Change[];
  readonly resolve: (commit: Commit) => void;
  readonly reject: (error: MeshError) => void;
}

type Outcome = { readonly commit: Commit; readonly changed: boolean } | { readonly error: MeshError };

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Plans transactions one on top of the other, as if each were committed when the next is looked at. */
function planAll(mirror: Mirror, batch: readonly Pending[]): readonly Outcome[] {
  const overlay = new Map<string, Stored | undefined>();
  const view: View = (kind, key) => {
    const id = `${kind}\0${key}`;
    return overlay.has(id) ? overlay.get(id) : mirror.get(kind, key);
  };
  let index = mirror.index();
  return batch.map(({ changes }) => {
    try {
      const commit = planCommit(view, changes, index + 1);
      const changed = commit.index > index;
      index = commit.index;
      for (const record of commit.set) overlay.set(`${record.kind}\0${record.key}`, record);
      for (const record of commit.deleted) overlay.set(`${record.kind}\0${record.key}`, undefined);
      return { commit, changed };
    } catch (error) {
      return { error: toMeshError(error) };
    }
  });
}

/** The Store over a mirror; `persistence` is written before the mirror changes, so a reader never sees what could be lost. */
export function createStore(mirror: Mirror, persistence: Persistence, options: CommitQueueOptions = {}): Store {
  const onListenerError = options.onListenerError ?? throwLater;
  const listeners = new Set<(commit: Commit) => void>();
  let queue: Pending[] = [];
  let scheduled: NodeJS.Immediate | undefined;
  let flushing = false;
  let state: "open" | "closing" | "closed" = "open";

  function notify(commit: Commit): void {
    for (const listener of [...listeners]) {
      if (!listeners.has(listener)) continue;
      try {
        listener(commit);
      } catch (error) {
        onListenerError(error);
      }
    }
  }

  function settle({ resolve, reject }: Pending, outcome: Outcome): void {
    if ("error" in outcome) {
      reject(outcome.error);
      return;
    }
    if (outcome.changed) {
      mirror.apply(outcome.commit);
      notify(outcome.commit);
    }
    resolve(outcome.commit);
  }

  function commitTogether(batch: readonly Pending[]): void {
    const outcomes = planAll(mirror, batch);
    const commits = outcomes.flatMap((outcome) => ("commit" in outcome && outcome.changed ? [outcome.commit] : []));
    try {
      if (commits.length > 0) persistence.write(commits);
    } catch (cause) {
      // Conflicts and no-ops of the batch were judged on top of commits that did not happen, and one large transaction
      // must not fail its neighbours: each gets its own try.
      if (batch.length > 1) for (const pending of batch) commitTogether([pending]);
      else batch[0]!.reject(toUnavailable(cause));
      return;
    }
    for (const [at, outcome] of outcomes.entries()) settle(batch[at]!, outcome);
  }

  function flush(): void {
    clearImmediate(scheduled);
    scheduled = undefined;
    const batch = queue;
    queue = [];
    flushing = true;
    try {
      if (batch.length > 0) commitTogether(batch);
    } finally {
      flushing = false;
    }
    if (state === "closing") finishClose();
  }

  function finishClose(): void {
    state = "closed";
    clearImmediate(scheduled);
    for (const { reject } of queue.splice(0)) reject(closedError());
    listeners.clear();
    persistence.close();
  }

  return {
    get index() {
      return mirror.index();
    },
    get: <K extends RecordKind>(kind: K, key: string) => mirror.get(kind, key) as Stored<K> | undefined,
    list: <K extends RecordKind>(kind: K, prefix = "") => mirror.list(kind, prefix) as readonly Stored<K>[],
    lastIndex: (kind, prefix = "") => mirror.lastIndex(kind, prefix),
    txn: (changes) =>
      new Promise((resolve, reject) => {
        if (state !== "open") throw closedError();
        queue.push({ changes: copyChanges(changes), resolve, reject });
        scheduled ??= setImmediate(flush);
      }),
    subscribe: (listener) => {
      // Its own function object, so that subscribing one listener twice gives two subscriptions.
      const entry = (commit: Commit) => listener(commit);
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    close: () => {
      if (state !== "open") return;
      state = "closing";
      if (!flushing) flush();
    },
  };
}

function closedError(): MeshError {
  return new MeshError("unavailable", "the store is closed: the control plane is stopping");
}

function toUnavailable(cause: unknown): MeshError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MeshError("unavailable", `the disk refused the write (${reason}); nothing was changed`, { cause });
}
