/** What a command of `isthmus` is and how it talks to its user. */

/** Where a command reads its place from and writes its words to. */
export interface Terminal {
  readonly cwd: string;
  /** One line to standard output. */
  readonly say: (line: string) => void;
}

/** A command: its arguments without its name; the exit code. */
export type Command = (args: readonly string[], terminal: Terminal) => Promise<number>;

/** The stack when `--stack` is not given. */
export const DEFAULT_STACK = "dev";
