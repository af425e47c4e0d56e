/** Deadlines of many things on one timer: the timer stands on the nearest one, nothing polls. */

/** Time as an argument. */
export interface Clock {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Runs the action once after the delay. @returns the way to cancel it. */
  after(delayMs: number, action: () => void): () => void;
}

/** The process's own clock; its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export interface Deadlines {
  /** Sets or moves the deadline of a key to so long from now. */
  set(key: string, delayMs: number): void;
  has(key: string): boolean;
  delete(key: string): void;
  close(): void;
}

/** Node's timers hold at most 2^31-1 ms; a later deadline is looked at again then. */
const longestDelayMs = 2_147_483_647;

/** @param expired called with each key whose deadline has passed; the key is forgotten first. */
export function createDeadlines(clock: Clock, expired: (key: string) => void): Deadlines {
  const deadlines = new Map<string, number>();
  let armedAt = Number.POSITIVE_INFINITY;
  let cancel = (): void => {};

  const arm = (at: number): void => {
    if (at >= armedAt) return;
    cancel();
    armedAt = at;
    cancel = clock.after(Math.min(Math.max(at - clock.now(), 0), longestDelayMs), fire);
  };
  const fire = (): void => {
    armedAt = Number.POSITIVE_INFINITY;
    const now = clock.now();
    const due: string[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [key, at] of deadlines) {
      if (at <= now) due.push(key);
      else next = Math.min(next, at);
    }
    for (const key of due) deadlines.delete(key);
    if (next !== Number.POSITIVE_INFINITY) arm(next);
    for (const key of due) expired(key);
  };

  return {
    set: (key, delayMs) => {
      const at = clock.now() + delayMs;
      deadlines.set(key, at);
      arm(at);
    },
    has: (key) => deadlines.has(key),
    delete: (key) => {
      deadlines.delete(key);
    },
    close: () => {
      deadlines.clear();
      cancel();
    },
  };
}
