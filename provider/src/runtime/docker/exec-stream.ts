/** The engine's attached streams as a Duplex: standard output is what is read, standard input what is written. */
import { Duplex } from "node:stream";

const frameHeaderBytes = 8;
const standardOutput = 1;

/** Splits the engine's frames (type, three zeroes, length; Docker Engine API, "Stream format"). State is kept between calls. */
export function createDemultiplexer(): (chunk: Buffer) => readonly { readonly type: number; readonly bytes: Buffer }[] {
  let header = Buffer.alloc(0);
  let type = 0;
  let remaining = 0;
  return (input) => {
    const parts: { type: number; bytes: Buffer }[] = [];
    let chunk = input;
    while (chunk.length > 0) {
      if (remaining === 0) {
        const missing = frameHeaderBytes - header.length;
        header = Buffer.concat([header, chunk.subarray(0, missing)]);
        chunk = chunk.subarray(missing);
        if (header.length < frameHeaderBytes) break;
        type = header[0]!;
        remaining = header.readUInt32BE(4);
        header = Buffer.alloc(0);
      } else {
        const bytes = chunk.subarray(0, remaining);
        remaining -= bytes.length;
        chunk = chunk.subarray(bytes.length);
        parts.push({ type, bytes });
      }
    }
    return parts;
  };
}

/**
 * Standard output and input of the other end over a raw attached connection. Ending the writable side ends its standard input
 * and leaves the readable side open; standard error is dropped.
 */
export function attachedStream(connection: Duplex): Duplex {
  const demultiplex = createDemultiplexer();
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => connection.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      connection.write(chunk, (error) => done(error));
    },
    final: (done) => {
      connection.end(() => done());
    },
    destroy: (error, done) => {
      connection.destroy();
      done(error);
    },
  });
  connection.on("data", (chunk: Buffer) => {
    for (const { type, bytes } of demultiplex(chunk)) {
      if (type === standardOutput && !stream.push(bytes)) connection.pause();
    }
  });
  let ended = false;
  const end = () => {
    if (!ended && !stream.destroyed) stream.push(null);
    ended = true;
  };
  connection.once("end", end);
  connection.once("close", end);
  connection.once("error", (error) => stream.destroy(error));
  return stream;
}
