/** TLS ClientHellos byte by byte, so that they can carry what no TLS library would send. */
import { randomBytes } from "node:crypto";

/** One record with a TLS 1.3 ClientHello. `names` go into the SNI extension as they are; undefined leaves it out. */
export function clientHello(names: readonly (string | Buffer)[] | undefined): Buffer {
  return records(helloMessage(names), 0x4000);
}

/** The same hello, cut into records of so many bytes. */
export function fragmentedHello(name: string, recordBytes: number): Buffer {
  return records(helloMessage([name]), recordBytes);
}

function helloMessage(names: readonly (string | Buffer)[] | undefined): Buffer {
  const sni = names?.map((name) => Buffer.concat([Buffer.of(0), block(2, Buffer.from(name))]));
  const extensions = Buffer.concat([
    ...(sni ? [extension(0, block(2, ...sni))] : []),
    extension(10, block(2, hex("001d0017"))), // groups
    extension(13, block(2, hex("04030804"))), // signatures
    extension(43, block(1, hex("0304"))), // TLS 1.3
    extension(51, block(2, hex("001d"), block(2, randomBytes(32)))), // key share
  ]);
  const body = Buffer.concat([
    hex("0303"),
    randomBytes(32),
    block(1, randomBytes(32)),
    block(2, hex("13011303")),
    block(1, hex("00")),
    block(2, extensions),
  ]);
  return Buffer.concat([Buffer.of(1), block(3, body)]);
}

function records(message: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    parts.push(hex("160301"), block(2, message.subarray(at, at + size)));
  }
  return Buffer.concat(parts);
}

function extension(type: number, ...data: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 255), block(2, ...data)]);
}

/** Data behind its length in so many bytes. */
function block(lengthBytes: number, ...data: readonly Buffer[]): Buffer {
  const body = Buffer.concat(data);
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}
