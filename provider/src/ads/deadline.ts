/** A deadline that can be moved cheaply, any number of times a second. */

export interface Deadline {
  /** The deadline is `ms` from now. */
  set(ms: number): void;
  clear(): void;
}

/** Calls `passed` once when a deadline that was set passes; never keeps the process alive. `now` is in milliseconds. */
export function createDeadline(now: () => number, passed: () => void): Deadline {
  let due: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let firesAt = Number.POSITIVE_INFINITY;

  function fire(): void {
    timer = undefined;
    firesAt = Number.POSITIVE_INFINITY;
    if (due === undefined) return;
    if (now() < due) {
      arm();
      return;
    }
    due = undefined;
    passed();
  }

  // A timer that fires too early is left alone: it arms itself anew.
  function arm(): void {
    if (due === undefined || firesAt <= due) return;
    if (timer) clearTimeout(timer);
    firesAt = due;
    timer = setTimeout(fire, Math.max(1, due - now()));
    timer.unref();
  }

  return {
    set(ms) {
      due = now() + ms;
      arm();
    },
    clear() {
      due = undefined;
    },
  };
}
