/** One gRPC call over plain HTTP/2, so that a test can send what no gRPC library would. */
import { connect, type SecureClientSessionOptions } from "node:http2";

export interface GrpcAnswer {
  /** gRPC's status code; -1 when the connection ended without one. */
  readonly status: number;
  readonly message: string;
  /** Everything that came in the body. */
  readonly body: Buffer;
}

/** A message in gRPC's frame. */
export function grpcFrame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Sends the bytes and reads until the call ends, `enough` says so, or the deadline. */
export function grpcCall(
  options: SecureClientSessionOptions & { readonly host: string; readonly port: number },
  path: string,
  body: Buffer,
  more: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly enough?: (body: Buffer) => boolean;
    /** Says that nothing more will come, as a call with one request does. @default false */
    readonly end?: boolean;
    /** What to say to a message; undefined for nothing. */
    readonly answer?: (message: Buffer) => Uint8Array | undefined;
    /** Ends it from outside. */
    readonly signal?: AbortSignal;
  } = {},
  deadlineMs = 3_000,
): Promise<GrpcAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let [status, message, answered] = [-1, "", 0];
    const session = connect(`https://${options.host}:${options.port}`, { rejectUnauthorized: false, ...options });
    const finish = (): void => {
      clearTimeout(timer);
      session.destroy();
      resolve({ status, message, body: Buffer.concat(chunks) });
    };
    const timer = setTimeout(finish, deadlineMs);
    more.signal?.addEventListener("abort", finish);
    session.on("error", finish);
    session.on("close", finish);
    const call = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...more.headers,
    });
    const take = (headers: NodeJS.Dict<string | string[]>): void => {
      if (headers["grpc-status"] === undefined) return;
      status = Number(headers["grpc-status"]);
      message = String(headers["grpc-message"] ?? "");
    };
    call.on("response", take);
    call.on("trailers", take);
    call.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (more.answer)
        answered = answerFrom(Buffer.concat(chunks), answered, more.answer, (frame) => call.write(frame));
      if (more.enough?.(Buffer.concat(chunks))) finish();
    });
    call.on("end", finish);
    call.on("error", finish);
    if (more.end) call.end(body);
    else call.write(body);
  });
}

/** Answers the whole messages from that place on. @returns the place behind them. */
function answerFrom(
  body: Buffer,
  from: number,
  answer: (message: Buffer) => Uint8Array | undefined,
  send: (frame: Buffer) => void,
): number {
  let at = from;
  while (at + 5 <= body.length && at + 5 + body.readUInt32BE(at + 1) <= body.length) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    const said = answer(body.subarray(at + 5, end));
    if (said) send(grpcFrame(said));
    at = end;
  }
  return at;
}
