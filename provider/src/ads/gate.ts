/** The gate of one xDS service: lets in who the authenticator knows, and cuts the streams of whoever loses the right. */
import { MeshError, type MeshErrorCode } from "../model/errors.ts";
import type { Authenticator, Peer } from "./source.ts";

/** The server's side of one bidirectional stream of bytes. */
export interface ByteStream {
  /** Undefined when the connection shows no client certificate. */
  readonly peer: Peer | undefined;
  /** @returns false when the transport is full; the handler's `writable` tells when it is not any more. */
  write(message: Buffer): boolean;
  /** Ends the stream with an error; if the client does not take it, its connection is cut half a second later. */
  fail(code: MeshErrorCode, message: string): void;
}

/** What happens on a stream. Nothing follows `closed`. */
export interface StreamHandler {
  /** @throws {MeshError} which ends the stream with that error. */
  message(bytes: Buffer): void;
  writable(): void;
  closed(): void;
}

/** A stream that was let in. */
export interface Admission {
  readonly proxyId: string;
  /** True when the proxy had no other stream here. */
  readonly first: boolean;
  /** Forgets the stream. @returns true when it was the proxy's last. */
  leave(): boolean;
}

export interface Gate {
  /** @throws {MeshError} `unauthenticated` or `permission_denied` as the authenticator says, `unavailable` for too many streams. */
  admit(stream: ByteStream, nodeId: string): Admission;
  close(): void;
}

/** A gate with at most so many streams a proxy. */
export function createGate(authenticator: Authenticator, maxStreamsPerProxy: number): Gate {
  const streams = new Map<string, Set<ByteStream>>();
  const stop = authenticator.onRevoked((proxyId) => {
    for (const stream of [...(streams.get(proxyId) ?? [])]) {
      stream.fail("permission_denied", `proxy "${proxyId}" has lost its right to this control plane`);
    }
  });
  return {
    admit(stream, nodeId) {
      if (!stream.peer) throw new MeshError("unauthenticated", "no client certificate was presented");
      if (nodeId === "") throw new MeshError("invalid", "the first message of a stream must carry node.id");
      const proxyId = authenticator.authenticate(stream.peer, nodeId);
      const own = streams.get(proxyId) ?? new Set();
      if (own.size >= maxStreamsPerProxy) {
        throw new MeshError("unavailable", `proxy "${proxyId}" has ${own.size} streams already; close one first`);
      }
      own.add(stream);
      streams.set(proxyId, own);
      return {
        proxyId,
        first: own.size === 1,
        leave() {
          own.delete(stream);
          if (own.size > 0) return false;
          streams.delete(proxyId);
          return true;
        },
      };
    },
    close: stop,
  };
}
