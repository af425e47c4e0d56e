/** Whatever changes, is asked for, refused or cut: the client ends with the server's newest resources, and only those. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allTypes, isBad, ModelClient } from "./model-client.test.support.ts";
import { CLUSTER, LISTENER } from "./type-urls.ts";

const name = fc.constantFrom("a", "b");
const typeUrl = fc.constantFrom(...allTypes);
const version = fc.constantFrom("1", "2", "3", "4!", "5!");

const operation = fc.oneof(
  fc.record({
    op: fc.constant("change" as const),
    typeUrl,
    name,
    version: fc.option(version, { nil: undefined, freq: 2 }),
  }),
  fc.record({ op: fc.constant("subscribe" as const), typeUrl, name }),
  fc.record({ op: fc.constant("unsubscribe" as const), typeUrl, name }),
  fc.record({ op: fc.constant("deliver" as const) }),
  fc.record({ op: fc.constant("deliver" as const) }),
  fc.record({ op: fc.constant("writable" as const), writable: fc.boolean() }),
  fc.record({ op: fc.constant("reconnect" as const) }),
);

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function run(client: ModelClient, operation: Operation): void {
  switch (operation.op) {
    case "change":
      client.change(operation.typeUrl, operation.name, operation.version);
      break;
    case "subscribe":
      client.subscribe(operation.typeUrl, operation.name);
      break;
    case "unsubscribe":
      client.unsubscribe(operation.typeUrl, operation.name);
      break;
    case "deliver":
      client.deliver();
      break;
    case "writable":
      client.writable(operation.writable);
      break;
    case "reconnect":
      client.reconnect();
      break;
    default:
      operation satisfies never;
  }
}

function settle(client: ModelClient): void {
  client.writable(true);
  for (let count = 0; !client.quiet; count += 1) {
    assert.ok(count < 200, "the stream never comes to rest");
    client.deliver();
  }
}

/** What the client has and what it should have, type by type. */
function assertConverged(client: ModelClient): void {
  const listeners = Object.values(client.content[LISTENER] ?? {});
  const listenerRefused = listeners.some(isBad);
  for (const [url, type] of client.types) {
    const content = client.content[url] ?? {};
    for (const [wanted, newest] of Object.entries(content)) {
      if ((type.names && !type.names.has(wanted)) || isBad(newest)) continue;
      assert.equal(type.have.get(wanted), newest, `${url} ${wanted}`);
    }
    for (const kept of type.have.keys()) {
      assert.ok(!type.names || type.names.has(kept), `${url} ${kept}: not asked for`);
      // While a listener is refused, what the one before it may use stays.
      const mayStay = listenerRefused && url !== LISTENER;
      assert.ok(kept in content || mayStay, `${url} ${kept}: should be gone`);
    }
  }
}

test("delta: a client converges after any sequence of changes, subscriptions, refusals and reconnects", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80, size: "max" }), (operations) => {
      const client = new ModelClient();
      client.change(CLUSTER, "a", "1");
      for (const each of operations) run(client, each);
      settle(client);
      assertConverged(client);
      // At rest a reconnect moves nothing but what is refused, and one empty response.
      const refusedNow = Object.values(client.content).flatMap(Object.values).filter(isBad).length;
      const before = client.delivered;
      client.reconnect();
      settle(client);
      assertConverged(client);
      const allowed =
        1 + refusedNow + [...client.types.values()].reduce((sum, { names }) => sum + (names?.size ?? 1), 0);
      assert.ok(client.delivered - before <= allowed);
    }),
    { numRuns: 3000 },
  );
});
