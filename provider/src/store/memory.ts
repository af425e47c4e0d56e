/** A store that forgets everything when it is closed; otherwise it means the same as the one on disk. */
import { type CommitQueueOptions, createStore } from "./commit-queue.ts";
import { createMirror, defaultTombstoneLimit } from "./mirror.ts";
import type { Store } from "./store.ts";

export interface MemoryStoreOptions extends CommitQueueOptions {
  /** Deletions remembered a kind. @default 1024 */
  readonly tombstoneLimit?: number;
}

/** An empty store in memory. */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const mirror = createMirror(options.tombstoneLimit ?? defaultTombstoneLimit);
  return createStore(mirror, { write: () => {}, close: () => {} }, options);
}
