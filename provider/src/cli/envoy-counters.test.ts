/** Sums and transport of Envoy's counters. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { test } from "node:test";
import { acceptedConnections, sumConnections } from "./envoy-counters.ts";

const STATS = {
  stats: [
    { name: "listener.127.0.0.1_8181.downstream_cx_total", value: 3 },
    { name: "listener.127.0.0.1_8181.worker_0.downstream_cx_total", value: 3 },
    { name: "listener.0.0.0.0_21000.downstream_cx_total", value: 4 },
    { name: "listener.admin.downstream_cx_total", value: 9 },
    {},
  ],
};

test("the admin's own connections and the parts of each worker are not counted", () => {
  assert.equal(sumConnections(STATS), 7);
});

test("counters are read over any stream", async (t) => {
  const server = createServer((request, response) => {
    response.statusCode = request.url?.startsWith("/stats?format=json&filter=") ? 200 : 404;
    response.end(JSON.stringify(STATS));
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  assert.equal(await acceptedConnections(connect(port, "127.0.0.1")), 7);
});
