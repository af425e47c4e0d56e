/** Traffic as a service's own app sees it: connections from inside its unit to one of its local upstream ports. */
import type { Duplex } from "node:stream";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";

/** What came of one connection. */
export interface Reply {
  /** Bytes that came back before the connection ended, the deadline passed or the answer was whole. */
  readonly text: string;
  readonly ended: boolean;
}

/** Dials a port inside the unit, sends the text and a newline, and reads until the same came back, the end, or the deadline. */
export async function say(
  runtime: Runtime,
  unit: UnitId,
  port: number,
  text: string,
  deadlineMs = 5_000,
): Promise<Reply> {
  return sayOn(await runtime.dial(unit, { port }), text, deadlineMs);
}

/** The same on a connection that is open already; it is closed in the end. */
export function sayOn(stream: Duplex, text: string, deadlineMs = 5_000): Promise<Reply> {
  stream.write(`${text}\n`);
  return read(stream, (got) => got.endsWith(`${text}\n`), deadlineMs);
}

/** Dials a port and says nothing: what a server that speaks first would send. */
export async function listen(runtime: Runtime, unit: UnitId, port: number, deadlineMs = 1_500): Promise<Reply> {
  return listenOn(await runtime.dial(unit, { port }), deadlineMs);
}

/** The same on a connection that is open already; it is closed in the end. */
export function listenOn(stream: Duplex, deadlineMs = 1_500): Promise<Reply> {
  return read(stream, (got) => got.includes("\n"), deadlineMs);
}

function read(stream: Duplex, whole: (text: string) => boolean, deadlineMs: number): Promise<Reply> {
  return new Promise((resolve) => {
    let text = "";
    const finish = (ended: boolean): void => {
      clearTimeout(timer);
      stream.removeAllListeners();
      stream.on("error", () => {});
      stream.destroy();
      resolve({ text, ended });
    };
    const timer = setTimeout(() => finish(false), deadlineMs);
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (whole(text)) finish(false);
    });
    stream.on("end", () => finish(true));
    stream.on("close", () => finish(true));
    stream.on("error", () => finish(true));
  });
}

/** A connection that keeps talking: one line every interval, each answered before the next. */
export interface Conversation {
  readonly lines: () => number;
  /** Why it ended, if it did. */
  readonly broken: () => string | undefined;
  close(): void;
}

export async function converse(runtime: Runtime, unit: UnitId, port: number, intervalMs = 50): Promise<Conversation> {
  return converseOn(await runtime.dial(unit, { port }), intervalMs);
}

/** The same on a connection that is open already. */
export function converseOn(stream: Duplex, intervalMs = 50): Conversation {
  let lines = 0;
  let broken: string | undefined;
  let closed = false;
  const end = (why: string): void => {
    if (!closed) broken ??= why;
  };
  let timer: NodeJS.Timeout | undefined;
  const speak = (): void => {
    stream.write(`line ${lines}\n`);
  };
  stream.on("data", () => {
    lines += 1;
    timer = setTimeout(speak, intervalMs);
  });
  stream.on("end", () => end("ended"));
  stream.on("close", () => end("closed"));
  stream.on("error", (error) => end(String(error)));
  speak();
  return {
    lines: () => lines,
    broken: () => broken,
    close: () => {
      closed = true;
      clearTimeout(timer);
      stream.destroy();
    },
  };
}
