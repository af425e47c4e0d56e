/** What a port does when it is talked to, by TLS or without: for tests that show what is refused. */
import type { Duplex } from "node:stream";
import { type ConnectionOptions, connect } from "node:tls";

export interface Handshake {
  /** The client has finished its handshake. In TLS 1.3 the server may refuse it still. */
  readonly secure: boolean;
  /** What came back inside TLS. */
  readonly text: string;
  /** It ended by itself, and not because the time was over. */
  readonly ended: boolean;
  /** Code of the error that ended it; empty when none did. */
  readonly error: string;
}

/**
 * Shakes hands over a stream, sends the text and reads until the first of an answer, the end or the deadline. Any server
 * certificate is accepted.
 */
export function shakeHands(
  stream: Duplex,
  options: ConnectionOptions,
  send: string | Buffer = "",
  deadlineMs = 5_000,
): Promise<Handshake> {
  return new Promise((resolve) => {
    let [secure, text, error] = [false, "", ""];
    stream.on("error", () => {});
    const socket = connect({ rejectUnauthorized: false, ...options, socket: stream as never });
    const finish = (ended = true): void => {
      clearTimeout(timer);
      socket.destroy();
      stream.destroy();
      resolve({ secure, text, ended, error });
    };
    const timer = setTimeout(() => finish(false), deadlineMs);
    socket.on("secureConnect", () => {
      secure = true;
      if (send) socket.write(send);
    });
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      finish();
    });
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      error = cause.code ?? cause.message;
      finish();
    });
    socket.on("end", () => finish());
    socket.on("close", () => finish());
  });
}

/** Sends bytes as they are and gives back what came until the end or the deadline. */
export function throwAt(stream: Duplex, bytes: Buffer | string, deadlineMs = 1_000): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const finish = (): void => {
      clearTimeout(timer);
      stream.destroy();
      resolve(Buffer.concat(chunks));
    };
    const timer = setTimeout(finish, deadlineMs);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", finish);
    stream.on("end", finish);
    stream.on("close", finish);
    stream.write(bytes);
  });
}
