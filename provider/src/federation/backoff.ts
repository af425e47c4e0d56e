/** Pauses between attempts: doubling, with jitter, bounded. Pure. */

/** Shortest and longest pause before jitter, in milliseconds. */
export const backoffMs = { first: 50, longest: 2_000 } as const;

/** The pause after the given number of failures in a row (from 1); `random` is in [0, 1) and takes off up to half. */
export function pauseMs(failures: number, random: number): number {
  return Math.min(backoffMs.longest, backoffMs.first * 2 ** Math.min(failures - 1, 16)) * (1 - random / 2);
}
