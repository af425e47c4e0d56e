/** Runs tasks with the same key one after the other; tasks with different keys do not wait for each other. */

/** Runs the task when all earlier ones with its key have ended, and gives back its result or failure. */
export type KeyedQueue = <T>(key: string, task: () => Promise<T>) => Promise<T>;

/** A queue that forgets a key when nothing waits for it. */
export function createKeyedQueue(): KeyedQueue {
  const tails = new Map<string, Promise<unknown>>();
  return (key, task) => {
    const result = (tails.get(key) ?? Promise.resolve()).then(task);
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    tails.set(key, tail);
    void tail.then(() => {
      if (tails.get(key) === tail) tails.delete(key);
    });
    return result;
  };
}
