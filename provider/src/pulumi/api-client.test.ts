/** The API client over streams that are no sockets, as an engine's exec streams are. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import type { Runtime } from "../runtime/runtime.ts";
import { openApi, orUndefined } from "./api-client.ts";

test("one stream carries many calls; statuses become codes; the token is sent", async () => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers["x-consul-token"] ?? "operator"}`);
    const status = Number(/status=(\d+)/.exec(request.url ?? "")?.[1] ?? 200);
    response.writeHead(status, { "X-Consul-Index": "3" }).end(status === 200 ? '{"a":1}' : "because");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let dialled = 0;
  const dial = async (): Promise<Duplex> => {
    dialled += 1;
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    await once(socket, "connect");
    return Duplex.from({ readable: socket, writable: socket });
  };
  const api = openApi({ dial } as unknown as Runtime, "0123abcd", "dc1");
  for (let round = 0; round < 3; round += 1) {
    assert.deepEqual(await api.read("/x", { index: 1, waitMs: 10 }), { value: { a: 1 }, index: 3 });
    await api.put("/y", {}, { token: "t" });
  }
  assert.equal(dialled, 1);
  assert.deepEqual(seen.slice(0, 2), ["GET /x?index=1&wait=10ms operator", "PUT /y t"]);
  assert.equal(await orUndefined(api.get("/z?status=404")), undefined);
  for (const [status, code] of [
    [400, "invalid"],
    [401, "unauthenticated"],
    [403, "permission_denied"],
    [500, "internal"],
    [503, "unavailable"],
  ]) {
    await assert.rejects(api.get(`/z?status=${status}`), { code, message: 'control plane of "dc1": because' });
  }
  api.close();
  server.close();
  await assert.rejects(
    openApi({ dial: () => Promise.reject(new Error("gone")) } as unknown as Runtime, "m", "dc1").get("/"),
    {
      code: "unavailable",
      message: 'control plane of "dc1" does not answer: gone',
    },
  );
});
