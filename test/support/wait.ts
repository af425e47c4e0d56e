/** Waiting for a condition with a deadline, instead of sleeping. */

/**
 * Tries until the attempt neither throws nor gives undefined or false.
 * @throws the last error, or one that says what was awaited, at the deadline
 */
export async function eventually<T>(
  what: string,
  attempt: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 10_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  do {
    try {
      const result = await attempt();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (performance.now() < end);
  throw new Error(`${what}: not within ${deadlineMs} ms`, { cause: last });
}
