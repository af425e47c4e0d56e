/** One after the other: writes that must not overlap though they touch no common record. */

/** Runs the action when those before it have ended. */
export type Serial = <T>(action: () => Promise<T>) => Promise<T>;

export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  return (action) => {
    const result = last.then(action);
    last = result.catch(() => undefined);
    return result;
  };
}
