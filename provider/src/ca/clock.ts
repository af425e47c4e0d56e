/** Time as the certificate authorities see it; passed in, so that tests can turn it. */

/** Tells the time and calls back later. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Calls `run` once after `delayMs`. @returns the way to cancel. */
  readonly after: (delayMs: number, run: () => void) => () => void;
}

/**
 * Longest wait of one timer, in milliseconds: what waits longer looks at the wall clock again this often, so that a
 * machine that slept, or whose clock was set, still renews in time.
 */
const maxDelayMs = 10 * 60_000;

/** The machine's clock. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, delayMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Calls `run` once when the clock has reached `atMs`, at once if it has. @returns the way to cancel. */
export function at(clock: Clock, atMs: number, run: () => void): () => void {
  let cancel = (): void => {};
  const arm = (): void => {
    const delayMs = atMs - clock.now();
    cancel = delayMs > maxDelayMs ? clock.after(maxDelayMs, arm) : clock.after(delayMs, run);
  };
  arm();
  return () => cancel();
}
