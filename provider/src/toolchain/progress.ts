/** Lines that tell the user what takes long while the tools are set up. */

/** Takes one line for the user. */
export type Progress = (line: string) => void;

/** How often a long step says that it still runs. */
const REMIND_EVERY_MS = 15_000;

/** Runs one long step: a line when it starts, one every 15 s, one with the seconds when it ends. */
export async function withProgress<T>(progress: Progress, title: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const elapsed = () => `${((performance.now() - start) / 1000).toFixed(0)} s`;
  progress(`${title} ...`);
  const timer = setInterval(() => progress(`  ... ${elapsed()}`), REMIND_EVERY_MS);
  try {
    const result = await work();
    progress(`  done in ${elapsed()}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}
