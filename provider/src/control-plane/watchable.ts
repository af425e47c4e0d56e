/** Something outside of the store that blocking queries wait on: an index that grows with every change. */

export interface Watchable {
  readonly index: number;
  subscribe(listener: () => void): () => void;
}

/** The index begins at the time, so that it grows over a restart too. */
export function createWatchable(): { readonly watchable: Watchable; readonly changed: () => void } {
  let index = Date.now();
  const listeners = new Set<() => void>();
  return {
    watchable: {
      get index() {
        return index;
      },
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    changed: () => {
      index += 1;
      for (const listener of [...listeners]) listener();
    },
  };
}
