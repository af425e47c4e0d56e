/**
 * Runs inside a unit: joins its standard streams to a socket there, or prints which TCP sockets listen. It imports nothing
 * of ours, since it is put into the image as one file.
 *
 * `relay socket <path>` and `relay port <host> <port>` print one `+` when connected and then carry bytes both ways; `-` and
 * the error's code when nothing listens. `relay listeners` prints /proc/net/tcp and tcp6.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";

const [mode, where = "", port] = process.argv.slice(2);

if (mode === "listeners") {
  process.stdout.write(readFileSync("/proc/net/tcp", "utf8") + tableOfIpv6());
} else {
  const socket = connect(
    port === undefined
      ? { path: where, allowHalfOpen: true }
      : { host: where, port: Number(port), allowHalfOpen: true },
  );
  let connected = false;
  socket.once("connect", () => {
    connected = true;
    process.stdout.write("+");
    process.stdin.pipe(socket);
    socket.pipe(process.stdout);
    socket.once("end", () => process.stdin.unpipe(socket).destroy());
  });
  socket.once("error", (error: NodeJS.ErrnoException) => {
    if (!connected) process.stdout.write(`-${error.code}`);
    process.exitCode = 1;
    process.stdin.destroy();
  });
}

function tableOfIpv6(): string {
  try {
    return readFileSync("/proc/net/tcp6", "utf8");
  } catch {
    return "";
  }
}
