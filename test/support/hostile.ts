/** Hostile bytes and hostile habits, bounded in count and time; only for addresses in 127/8. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { clientHello } from "./client-hello.ts";

export interface Target {
  readonly host: string;
  readonly port: number;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function http2Frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

function times(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

/** For ports as they are, before any TLS. */
export function rawPayloads(): readonly Buffer[] {
  const hello = clientHello(["socat.default.dc1.internal.nowhere"]);
  const broken = Buffer.from(hello);
  for (let at = 9; at < broken.length; at += 7) broken[at] = 0xff;
  return [
    ...[1, 5, 64, 1_024, 65_536].flatMap((length) => [randomBytes(length), randomBytes(length)]),
    Buffer.alloc(100_000),
    Buffer.concat([Buffer.from("160301ffff", "hex"), randomBytes(65_535)]),
    Buffer.concat([Buffer.from("1603014000", "hex"), randomBytes(0x4000)]),
    broken,
    hello.subarray(0, 60),
    clientHello([randomBytes(60_000)]),
    clientHello([Buffer.alloc(20_000, "a."), "a"]),
    Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    smuggled,
    Buffer.concat([preface, randomBytes(10_000)]),
  ];
}

const smuggled = Buffer.from(
  [
    "PUT /v1/acl/token HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\n\r\nGET /v1/acl/tokens HTTP/1.1\r\nHost: a\r\nX-Consul-Token:\r\n\r\n",
    "GET /v1/status/leader HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\nTransfer-Encoding: identity\r\n\r\n",
  ].join(""),
);

/** For what speaks HTTP/1 behind TLS. */
export function httpPayloads(): readonly Buffer[] {
  const get = "GET /v1/status/leader HTTP/1.1\r\nHost: a\r\n";
  return [
    smuggled,
    Buffer.from(`${get}X: ${"a".repeat(200_000)}\r\n\r\n`),
    Buffer.from(`${get}${"X: a\r\n".repeat(20_000)}\r\n`),
    Buffer.from(`GET /${"../".repeat(20_000)} HTTP/1.1\r\n\r\n`),
    Buffer.from(`PUT /v1/config HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n${"[".repeat(100_000)}`),
    Buffer.from(`PUT /v1/config HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n`),
    randomBytes(50_000),
  ];
}

/** For what speaks HTTP/2 behind TLS. */
export function http2Payloads(): readonly Buffer[] {
  const settings = http2Frame(4, 0, 0, Buffer.alloc(0));
  const headers = Buffer.from("828684418cf1e3c2e5f23a6ba0ab90f4ff", "hex");
  const after = (frames: Buffer): Buffer => Buffer.concat([preface, settings, frames]);
  const odd = (index: number): number => 2 * index + 1;
  return [
    Buffer.concat([preface, randomBytes(20_000)]),
    after(
      times(2_000, (index) =>
        Buffer.concat([http2Frame(1, 4, odd(index), headers), http2Frame(3, 0, odd(index), Buffer.of(0, 0, 0, 8))]),
      ),
    ),
    after(Buffer.concat([http2Frame(1, 0, 1, headers), times(2_000, () => http2Frame(9, 0, 1, randomBytes(64)))])),
    after(times(5_000, () => settings)),
    after(times(5_000, () => http2Frame(6, 0, 0, randomBytes(8)))),
    after(times(100, () => http2Frame(8, 0, 0, Buffer.from("7fffffff", "hex")))),
    after(http2Frame(0, 0, 1, Buffer.alloc(16_384))),
    after(Buffer.concat([http2Frame(1, 4, 1, headers), http2Frame(0, 0, 1, Buffer.from("00ffffffff", "hex"))])),
    after(Buffer.from("ffffff0000000000010000", "hex")),
  ];
}

/** Sends bytes, half-closes nothing, and goes away when the other side ends or the time is over. */
export function fling(target: Target, bytes: Buffer, tls?: ConnectionOptions, forMs = 400): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = tls
      ? connectTls({ ...target, rejectUnauthorized: false, ...tls })
      : connect(target.port, target.host);
    const timer = setTimeout(() => socket.destroy(), forMs);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
    socket.write(bytes);
  });
}

/** Opens connections and drops them at once, so many at a time. */
export async function openAndDrop(target: Target, count: number, atOnce = 100): Promise<void> {
  for (let done = 0; done < count; done += atOnce) {
    await Promise.all(
      Array.from(
        { length: atOnce },
        () =>
          new Promise<void>((resolve) => {
            const socket = connect(target.port, target.host, () => socket.resetAndDestroy());
            socket.on("error", () => {});
            socket.on("close", () => resolve());
          }),
      ),
    );
  }
}

/** Connections that send one byte of a hello now and then until they are told to stop. */
export function sendSlowly(target: Target, count: number, intervalMs = 200): { stop(): void } {
  const hello = clientHello(["slow.example"]);
  const sockets = Array.from({ length: count }, () => connect(target.port, target.host));
  let at = 0;
  for (const socket of sockets) socket.on("error", () => {});
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(hello.subarray(at, at + 1));
    at += 1;
  }, intervalMs);
  return {
    stop: () => {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}
