// Sends every byte back. Listens where only its own sidecar can dial it.
import { createServer } from "node:net";

const server = createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
});
server.listen(Number(process.env.ISTHMUS_SERVICE_PORT), process.env.ISTHMUS_SERVICE_ADDRESS);
process.on("SIGTERM", () => process.exit(0));
