// Answers each request with what socat, in the other datacenter, sent back for its path.
import { createServer } from "node:http";
import { connect } from "node:net";

const [address, port] = process.env.ISTHMUS_UPSTREAM_SOCAT.split(":");

const server = createServer((request, response) => {
  const socat = connect(Number(port), address, () => socat.write(decodeURIComponent(request.url.slice(1))));
  socat.setTimeout(5000, () => socat.destroy(new Error("socat does not answer")));
  socat.once("data", (echo) => {
    response.end(echo);
    socat.end();
  });
  socat.on("error", (error) => response.writeHead(502).end(`${error.message}\n`));
});
server.listen(Number(process.env.ISTHMUS_SERVICE_PORT), process.env.ISTHMUS_SERVICE_ADDRESS);
process.on("SIGTERM", () => process.exit(0));
