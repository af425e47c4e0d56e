/** TTL expiry, reaping and alias checks over the memory store, with a clock that the test moves. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CheckRecord, NodeRecord } from "../model/records.ts";
import { createMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { createAliases } from "./alias.ts";
import { type Clock, createDeadlines } from "./deadlines.ts";
import type { ServiceInput } from "./definitions.ts";
import { createReaper } from "./reaper.ts";
import { registrationChanges } from "./registration-changes.ts";
import { setCurrent, transact } from "./transact.ts";
import { createTtl } from "./ttl.ts";

const node: NodeRecord = { Node: "n", ID: "", Address: "10.0.0.1", Datacenter: "dc1" };
const fail = (error: unknown): never => {
  throw error;
};

/** Time stands still until it is moved; counts the timers that were set. */
function manualClock(): Clock & { readonly move: (ms: number) => void; readonly timers: () => number } {
  let now = 0;
  const waiting = new Map<object, { readonly at: number; readonly action: () => void }>();
  return {
    now: () => now,
    after: (delayMs, action) => {
      const key = {};
      waiting.set(key, { at: now + delayMs, action });
      return () => void waiting.delete(key);
    },
    timers: () => waiting.size,
    move: (ms) => {
      const until = now + ms;
      for (;;) {
        const [next] = [...waiting].filter(([, one]) => one.at <= until).sort(([, a], [, b]) => a.at - b.at);
        if (!next) break;
        waiting.delete(next[0]);
        now = Math.max(now, next[1].at);
        next[1].action();
      }
      now = until;
    },
  };
}

async function register(store: Store, input: ServiceInput): Promise<void> {
  await transact(store, () =>
    registrationChanges(store, node, input, { tokenAccessor: "t", replaceExistingChecks: false }),
  );
}

async function report(store: Store, id: string, Status: CheckRecord["Status"]): Promise<void> {
  await transact(store, () => [
    setCurrent(store, "check", `n/${id}`, { ...store.get("check", `n/${id}`)!.value, Status, Output: Status }),
  ]);
}

/** Resolves when the check's status is so. */
async function status(store: Store, id: string, wanted: CheckRecord["Status"]): Promise<CheckRecord> {
  for (let tries = 0; tries < 200; tries += 1) {
    const check = store.get("check", `n/${id}`)?.value;
    if (check?.Status === wanted) return check;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`check ${id} is ${store.get("check", `n/${id}`)?.value.Status}, not ${wanted}`);
}

describe("TTL checks", () => {
  it("expire once their time is over, and not while they are reported", async () => {
    const store = createMemoryStore();
    const clock = manualClock();
    const ttl = createTtl({ store, node: "n", clock, onError: fail });
    await register(store, { Name: "web", Check: { TTL: "10s" } });
    await report(store, "service:web", "passing");
    for (let beat = 0; beat < 5; beat += 1) {
      clock.move(9_000);
      ttl.refresh("n/service:web");
    }
    assert.equal((await status(store, "service:web", "passing")).Output, "passing");
    assert.equal(clock.timers(), 1);
    clock.move(10_000);
    assert.equal((await status(store, "service:web", "critical")).Output, "TTL expired (last output before: passing)");
    assert.equal(clock.timers(), 0);
    await report(store, "service:web", "passing");
    clock.move(11_000);
    await status(store, "service:web", "critical");
    ttl.close();
  });

  it("keep their status over a restart until the TTL has passed once", async () => {
    const store = createMemoryStore();
    const clock = manualClock();
    await register(store, { Name: "web", Check: { TTL: "10s" } });
    await report(store, "service:web", "warning");
    const ttl = createTtl({ store, node: "n", clock, onError: fail });
    clock.move(9_999);
    await status(store, "service:web", "warning");
    clock.move(1);
    await status(store, "service:web", "critical");
    ttl.close();
  });
});

describe("deadlines", () => {
  it("stand on one timer and fall due in time, however many there are", () => {
    const clock = manualClock();
    const due: string[] = [];
    const deadlines = createDeadlines(clock, (key) => due.push(`${key}@${clock.now()}`));
    for (const at of [30, 10, 20]) deadlines.set(`k${at}`, at);
    deadlines.delete("k20");
    assert.equal(clock.timers(), 1);
    clock.move(100);
    assert.deepEqual(due, ["k10@10", "k30@30"]);
    deadlines.set("far", 10 * 2_147_483_647);
    clock.move(10 * 2_147_483_647);
    assert.equal(due.at(-1), `far@${100 + 10 * 2_147_483_647}`);
    deadlines.close();
  });
});

describe("critical services", () => {
  it("are deregistered after their delay, unless they recover", async () => {
    const store = createMemoryStore();
    const clock = manualClock();
    const reaped: string[] = [];
    const reaper = createReaper({ store, node: "n", clock, onReaped: (id) => reaped.push(id), onError: fail });
    const Check = { TTL: "1s", DeregisterCriticalServiceAfter: "90s" };
    await register(store, { Name: "a", Port: 1, Check, Connect: { SidecarService: {} } });
    await register(store, { Name: "b", Check });
    clock.move(60_000);
    await report(store, "service:b", "passing");
    clock.move(30_000);
    for (let tries = 0; tries < 200 && reaped.length === 0; tries += 1)
      await new Promise((resolve) => setImmediate(resolve));
    clock.move(300_000);
    assert.deepEqual(reaped, ["a"]);
    assert.deepEqual(
      store.list("service").map((one) => one.value.ID),
      ["b"],
    );
    reaper.close();
  });
});

describe("alias checks", () => {
  it("follow their target, from before it exists until it is gone", async () => {
    const store = createMemoryStore();
    const aliases = createAliases({ store, node: "n", onError: fail });
    await register(store, { Name: "front", Check: { AliasService: "db" } });
    assert.match((await status(store, "service:front", "critical")).Output, /not registered/);
    await register(store, { Name: "db", Check: { TTL: "1m" } });
    await report(store, "service:db", "warning");
    await status(store, "service:front", "warning");
    await report(store, "service:db", "passing");
    await status(store, "service:front", "passing");
    aliases.close();
  });
});
