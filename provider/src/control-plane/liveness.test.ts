/** What a proxy's stream says about its health, also when registrations come and go around it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { registrationChanges } from "../catalog/registration-changes.ts";
import type { CheckRecord, NodeRecord } from "../model/records.ts";
import { createMemoryStore } from "../store/memory.ts";
import { createCatalogIndex } from "./catalog-index.ts";
import { createLiveness } from "./liveness.ts";

const node: NodeRecord = { Node: "n", ID: "", Address: "127.0.0.1", Datacenter: "dc1" };
const id = "web-sidecar-proxy";
const listeners = "type.googleapis.com/envoy.config.listener.v3.Listener";
const secrets = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

function world() {
  const store = createMemoryStore();
  const index = createCatalogIndex(store, node.Node);
  store.subscribe((commit) => void index.apply(commit));
  const onError = (error: unknown) => assert.fail(String(error));
  const liveness = createLiveness({ store, proxy: index.proxy, proxies: index.proxies, onError });
  const register = () =>
    store.txn(
      registrationChanges(
        store,
        node,
        { Name: "web", Port: 80, Connect: { SidecarService: {} } },
        { tokenAccessor: "t", replaceExistingChecks: false },
      ),
    );
  const status = () => store.get("check", `n/proxy:${id}`)?.value.Status;
  const becomes = async (wanted: CheckRecord["Status"] | undefined) => {
    for (let turn = 0; status() !== wanted; turn += 1) {
      assert.ok(turn < 2_000, `the check is ${status()}, not ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const connect = (state: "pending" | "acked" = "acked") => {
    liveness.connected(id, 0);
    liveness.typeStatus(id, listeners, { state, at: 0 });
  };
  return { store, liveness, connect, register, status, becomes, [Symbol.dispose]: () => liveness.close() };
}

test("a stream with listeners makes the proxy passing; lost for more than a second it is critical; a short gap is none", async () => {
  using one = world();
  await one.register();
  assert.equal(one.status(), "critical");
  one.connect();
  await one.becomes("passing");
  one.liveness.disconnected(id, 0);
  one.connect();
  assert.equal(one.status(), "passing");
  one.liveness.disconnected(id, 0);
  const lost = performance.now();
  await one.becomes("critical");
  assert.ok(performance.now() - lost > 900);
});

test("a proxy that came back counts only when it has answered for its listeners and nothing is on the way", async () => {
  using one = world();
  await one.register();
  const stays = async (wanted: CheckRecord["Status"]) => {
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(one.status(), wanted);
  };
  one.connect("pending");
  await stays("critical");
  one.liveness.typeStatus(id, secrets, { state: "pending", at: 0 });
  one.liveness.typeStatus(id, listeners, { state: "nacked", at: 0, error: "port taken" });
  await stays("critical");
  one.liveness.typeStatus(id, secrets, { state: "acked", at: 0 });
  await one.becomes("passing");
  one.liveness.typeStatus(id, listeners, { state: "pending", at: 0 });
  await stays("passing");
  one.liveness.disconnected(id, 0);
  one.connect("pending");
  await stays("passing");
});

test("a check that a registration sets back is corrected while the stream is open", async () => {
  using one = world();
  await one.register();
  one.connect();
  await one.becomes("passing");
  await one.store.txn([
    { op: "delete", kind: "check", key: `n/proxy:${id}` },
    { op: "delete", kind: "service", key: `n/${id}` },
  ]);
  await one.register();
  await one.becomes("passing");
});

test("a proxy that is gone gets no check by a stream that ends later", async () => {
  using one = world();
  await one.register();
  const gone = one.store.txn([
    { op: "delete", kind: "check", key: `n/proxy:${id}` },
    { op: "delete", kind: "service", key: `n/${id}` },
  ]);
  one.connect();
  await gone;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(one.status(), undefined);
});
