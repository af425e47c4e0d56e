/** Reads the kernel's tables of TCP sockets (/proc/net/tcp and tcp6, proc(5)). Pure. */

/** A TCP socket that listens. */
export interface ListeningSocket {
  /** IPv4 in dots, or IPv6 in its shortest form. */
  readonly address: string;
  readonly port: number;
  /** Number that /proc/<pid>/fd shows as `socket:[inode]`. */
  readonly inode: string;
}

const listenState = "0A";

/** The sockets that listen, of one table or of several one after the other; lines of any other form are passed over. */
export function parseListeningSockets(table: string): readonly ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of table.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const [hexAddress, hexPort] = (fields[1] ?? "").split(":");
    if (fields[3] !== listenState || !hexAddress || !hexPort) continue;
    sockets.push({ address: decodeAddress(hexAddress), port: Number.parseInt(hexPort, 16), inode: fields[9] ?? "" });
  }
  return sockets;
}

/** The kernel prints each group of four bytes as one little-endian number. */
function decodeAddress(hex: string): string {
  const bytes = Buffer.from(hex, "hex").swap32();
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
