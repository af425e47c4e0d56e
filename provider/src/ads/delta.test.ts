/** The delta protocol by scenario: what a client says or what changes, and what must go out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeltaResponse, newStream, type StreamEvent, type StreamState, step, verdict } from "./delta.ts";
import { describeResponse, request, resourceSet } from "./resources.test.support.ts";
import { CLUSTER, ENDPOINTS, EXTENSION, LISTENER, SECRET } from "./type-urls.ts";

/** An event and the responses that must follow, `Cluster +a@1 -b`. "ack T" and "nack T" answer all that waits of type T. */
type Line = readonly [StreamEvent | `ack ${string}` | `nack ${string}`, readonly string[]];

interface Scenario {
  readonly name: string;
  readonly lines: readonly Line[];
}

const set = (content: Parameters<typeof resourceSet>[0]): StreamEvent => ({
  kind: "resources",
  resources: resourceSet(content),
});
const writable = (value: boolean): StreamEvent => ({ kind: "writable", writable: value });
const has = (versions: Readonly<Record<string, string>>) => ({ initialVersions: new Map(Object.entries(versions)) });
const ack = (typeUrl: string) => `ack ${typeUrl}` as const;
const nack = (typeUrl: string) => `nack ${typeUrl}` as const;

const scenarios: readonly Scenario[] = [
  {
    name: "3 a first request without names is a wildcard",
    lines: [
      [set({ [CLUSTER]: { b: "1", a: "1" } }), []],
      [request(CLUSTER), ["Cluster +a@1 +b@1"]],
    ],
  },
  {
    name: "3 a wildcard is answered even when there is nothing, and only once there are resources at all",
    lines: [
      [request(CLUSTER), []],
      [set({}), ["Cluster"]],
    ],
  },
  {
    name: "3 only clusters and listeners have a wildcard",
    lines: [
      [set({ [SECRET]: { a: "1" } }), []],
      [request(SECRET), []],
      [request(SECRET, { subscribe: ["*"] }), []],
    ],
  },
  {
    name: "4 an explicit wildcard",
    lines: [
      [set({ [CLUSTER]: { a: "1" } }), []],
      [request(CLUSTER, { subscribe: ["*"] }), ["Cluster +a@1"]],
    ],
  },
  {
    name: "5 wildcard and a name, then the name alone",
    lines: [
      [set({ [CLUSTER]: { a: "1", b: "1" } }), []],
      [request(CLUSTER, { subscribe: ["*", "a"] }), ["Cluster +a@1 +b@1"]],
      [ack(CLUSTER), []],
      [request(CLUSTER, { unsubscribe: ["*"] }), []],
      [set({ [CLUSTER]: { a: "2", b: "2" } }), ["Cluster +a@2"]],
    ],
  },
  {
    name: "6 no names left after an explicit one is nothing, not everything",
    lines: [
      [set({ [CLUSTER]: { a: "1", b: "1" } }), []],
      [request(CLUSTER, { subscribe: ["a"] }), ["Cluster +a@1"]],
      [ack(CLUSTER), []],
      [request(CLUSTER, { unsubscribe: ["a"] }), []],
      [request(CLUSTER), []],
      [set({ [CLUSTER]: { a: "2", b: "2" } }), []],
    ],
  },
  {
    name: "6 a name given up under a wildcard is told once more",
    lines: [
      [set({ [CLUSTER]: { a: "1" } }), []],
      [request(CLUSTER, { subscribe: ["*", "a"] }), ["Cluster +a@1"]],
      [ack(CLUSTER), []],
      [request(CLUSTER, { unsubscribe: ["a"] }), ["Cluster +a@1"]],
    ],
  },
  {
    name: "7 everything current: one empty response a stream",
    lines: [
      [set({ [CLUSTER]: { a: "1" }, [LISTENER]: { l: "1" }, [ENDPOINTS]: { a: "1" } }), []],
      [request(CLUSTER, has({ a: "1" })), ["Cluster"]],
      [request(ENDPOINTS, { subscribe: ["a"], ...has({ a: "1" }) }), []],
      [request(LISTENER, has({ l: "1" })), []],
      [ack(CLUSTER), []],
    ],
  },
  {
    name: "8 only what is stale is sent",
    lines: [
      [set({ [CLUSTER]: { a: "1", b: "2", c: "1" } }), []],
      [request(CLUSTER, has({ a: "1", b: "1" })), ["Cluster +b@2 +c@1"]],
    ],
  },
  {
    name: "9 what went while the client was away is removed, clusters after the listeners are known",
    lines: [
      [set({ [CLUSTER]: { a: "1" }, [LISTENER]: { l: "1" } }), []],
      [request(CLUSTER, has({ a: "1", old: "1" })), ["Cluster"]],
      [ack(CLUSTER), []],
      [request(LISTENER, has({ l: "1", gone: "1" })), ["Listener -gone"]],
      [ack(LISTENER), ["Cluster -old"]],
    ],
  },
  {
    name: "10 an unknown name is answered, and delivered once it is there",
    lines: [
      [set({}), []],
      [request(ENDPOINTS, { subscribe: ["a"] }), ["ClusterLoadAssignment -a"]],
      [ack(ENDPOINTS), []],
      [set({ [ENDPOINTS]: { a: "1" } }), ["ClusterLoadAssignment +a@1"]],
    ],
  },
  {
    name: "10 an unknown filter configuration is met with silence, even when asked for again",
    lines: [
      [set({}), []],
      [request(EXTENSION, { subscribe: ["rbac"] }), []],
      [set({ [EXTENSION]: { rbac: "1" } }), ["TypedExtensionConfig +rbac@1"]],
      [ack(EXTENSION), []],
      [set({}), ["TypedExtensionConfig -rbac"]],
      [ack(EXTENSION), []],
      [request(EXTENSION, { subscribe: ["rbac"] }), []],
    ],
  },
  {
    name: "13 and 14 a refused resource is not sent again until it changes",
    lines: [
      [set({ [LISTENER]: { bad: "1", good: "1" } }), []],
      [request(LISTENER), ["Listener +bad@1", "Listener +good@1"]],
      [nack(LISTENER), []],
      [set({ [LISTENER]: { bad: "1", good: "1" } }), []],
      [set({ [LISTENER]: { bad: "2", good: "1" } }), ["Listener +bad@2"]],
      [ack(LISTENER), []],
    ],
  },
  {
    name: "15 and 16 unknown nonces answer nothing, but their subscriptions count",
    lines: [
      [set({ [SECRET]: { a: "1", b: "1" } }), []],
      [request(SECRET, { subscribe: ["a"] }), ["Secret +a@1"]],
      [request(SECRET, { nonce: "other-1", error: { code: 13, message: "no" } }), []],
      [set({ [SECRET]: { a: "2", b: "1" } }), []],
      [request(SECRET, { nonce: "other-1", subscribe: ["b"] }), []],
      [ack(SECRET), ["Secret +a@2", "Secret +b@1"]],
    ],
  },
  {
    name: "19 a name that is asked for again is sent again",
    lines: [
      [set({ [SECRET]: { a: "1" } }), []],
      [request(SECRET, { subscribe: ["a"], ...has({ a: "1" }) }), ["Secret"]],
      [ack(SECRET), []],
      [request(SECRET, { subscribe: ["a"] }), ["Secret +a@1"]],
    ],
  },
  {
    name: "20 nothing follows an unsubscription that overtook a push",
    lines: [
      [set({ [SECRET]: { a: "1" } }), []],
      [request(SECRET, { subscribe: ["a"] }), ["Secret +a@1"]],
      [set({ [SECRET]: { a: "2" } }), []],
      [request(SECRET, { unsubscribe: ["a"] }), []],
      [ack(SECRET), []],
    ],
  },
  {
    name: "22 what did not change is not sent again",
    lines: [
      [set({ [CLUSTER]: { a: "1", b: "1" } }), []],
      [request(CLUSTER), ["Cluster +a@1 +b@1"]],
      [ack(CLUSTER), []],
      [set({ [CLUSTER]: { a: "1", b: "2" } }), ["Cluster +b@2"]],
    ],
  },
  {
    name: "23 a changed cluster gets its endpoints again",
    lines: [
      [set({ [CLUSTER]: { a: "1", b: "1" }, [ENDPOINTS]: { a: "1", b: "1" } }), []],
      [request(CLUSTER, has({ a: "1", b: "1" })), ["Cluster"]],
      [request(ENDPOINTS, { subscribe: ["a", "b"], ...has({ a: "1", b: "1" }) }), []],
      [ack(CLUSTER), []],
      [
        set({ [CLUSTER]: { a: "2", b: "1" }, [ENDPOINTS]: { a: "1", b: "1" } }),
        ["Cluster +a@2", "ClusterLoadAssignment +a@1"],
      ],
    ],
  },
  {
    name: "23 a cluster that changed while the client was away gets its endpoints again, though they did not change",
    lines: [
      [set({ [CLUSTER]: { a: "2", b: "1" }, [ENDPOINTS]: { a: "1", b: "1" } }), []],
      [request(CLUSTER, has({ a: "1", b: "1" })), ["Cluster +a@2"]],
      [request(ENDPOINTS, { subscribe: ["a", "b"], ...has({ a: "1", b: "1" }) }), ["ClusterLoadAssignment +a@1"]],
    ],
  },
  {
    name: "24 make before break: clusters, endpoints, listeners once the clusters stand, removals last",
    lines: [
      [set({ [CLUSTER]: { old: "1" }, [ENDPOINTS]: { old: "1" }, [LISTENER]: { one: "1", two: "1" } }), []],
      [request(LISTENER, has({ one: "1", two: "1" })), ["Listener"]],
      [ack(LISTENER), []],
      [request(CLUSTER, has({ old: "1" })), []],
      [request(ENDPOINTS, { subscribe: ["old", "new"], ...has({ old: "1" }) }), ["ClusterLoadAssignment -new"]],
      [ack(ENDPOINTS), []],
      [
        set({ [CLUSTER]: { new: "1" }, [ENDPOINTS]: { new: "1" }, [LISTENER]: { one: "2", three: "1" } }),
        ["Cluster +new@1", "ClusterLoadAssignment +new@1"],
      ],
      [ack(ENDPOINTS), []],
      [ack(CLUSTER), ["Listener +one@2 -two", "Listener +three@1"]],
      [ack(LISTENER), ["Cluster -old"]],
      [ack(CLUSTER), ["ClusterLoadAssignment -old"]],
    ],
  },
  {
    name: "24 a refused listener keeps the clusters that the one before may use",
    lines: [
      [set({ [CLUSTER]: { old: "1" }, [LISTENER]: { l: "1" } }), []],
      [request(CLUSTER, has({ old: "1" })), ["Cluster"]],
      [ack(CLUSTER), []],
      [request(LISTENER, has({ l: "1" })), []],
      [set({ [CLUSTER]: { new: "1" }, [LISTENER]: { l: "2" } }), ["Cluster +new@1"]],
      [ack(CLUSTER), ["Listener +l@2"]],
      [nack(LISTENER), []],
      [set({ [CLUSTER]: { new: "1" }, [LISTENER]: { l: "3" } }), ["Listener +l@3"]],
      [ack(LISTENER), ["Cluster -old"]],
    ],
  },
  {
    name: "25 removed and put back while an answer is awaited: nothing to send",
    lines: [
      [set({ [CLUSTER]: { a: "1" } }), []],
      [request(CLUSTER), ["Cluster +a@1"]],
      [set({ [CLUSTER]: {} }), []],
      [set({ [CLUSTER]: { a: "1" } }), []],
      [ack(CLUSTER), []],
    ],
  },
  {
    name: "27 a thousand changes while the client does not read are one response",
    lines: [
      [set({ [ENDPOINTS]: { a: "1" } }), []],
      [request(ENDPOINTS, { subscribe: ["a"] }), ["ClusterLoadAssignment +a@1"]],
      [ack(ENDPOINTS), []],
      [writable(false), []],
      ...Array.from({ length: 1000 }, (_, i): Line => [set({ [ENDPOINTS]: { a: `${i + 2}` } }), []]),
      [writable(true), ["ClusterLoadAssignment +a@1001"]],
    ],
  },
  {
    name: "29 a secret given up with its listener is sent no more",
    lines: [
      [set({ [LISTENER]: { l: "1" }, [SECRET]: { s: "1" } }), []],
      [request(LISTENER), ["Listener +l@1"]],
      [ack(LISTENER), []],
      [request(SECRET, { subscribe: ["s"] }), ["Secret +s@1"]],
      [ack(SECRET), []],
      [set({ [LISTENER]: {}, [SECRET]: { s: "1" } }), ["Listener -l"]],
      [request(SECRET, { unsubscribe: ["s"] }), []],
      [ack(LISTENER), []],
      [set({ [LISTENER]: {}, [SECRET]: { s: "2" } }), []],
    ],
  },
  {
    name: "30 an unknown type has no resources; the others go on",
    lines: [
      [set({ [CLUSTER]: { a: "1" } }), []],
      [request("type.googleapis.com/no.such.Thing", { subscribe: ["x"] }), ["Thing -x"]],
      [request("type.googleapis.com/no.such.Other"), []],
      [request(CLUSTER), ["Cluster +a@1"]],
    ],
  },
];

/** Applies an event; "ack T" and "nack T" answer each response of T that waits, and the first of them is refused by a nack. */
function play(state: StreamState, line: Line[0]): readonly [StreamState, readonly DeltaResponse[]] {
  if (typeof line !== "string") return step(state, line);
  const [verb, typeUrl = ""] = line.split(" ");
  const nonces = [...(state.types.get(typeUrl)?.outstanding.keys() ?? [])];
  assert.notEqual(nonces.length, 0, `nothing waits for an answer to ${typeUrl}`);
  const responses: DeltaResponse[] = [];
  let after = state;
  nonces.forEach((nonce, index) => {
    const refusal = verb === "nack" && index === 0 ? { error: { code: 13, message: "bad" } } : {};
    const [next, more] = step(after, request(typeUrl, { nonce, ...refusal }));
    after = next;
    responses.push(...more);
  });
  return [after, responses];
}

for (const { name, lines } of scenarios) {
  test(`delta ${name}`, () => {
    let state = newStream("n", undefined);
    lines.forEach(([line, expected], index) => {
      const [after, responses] = play(state, line);
      state = after;
      const label = typeof line === "string" ? line : line.kind;
      assert.deepEqual(responses.map(describeResponse), expected, `line ${index + 1}: ${label}`);
    });
  });
}

test("delta 11, 12 and 18: each type has its own verdict", () => {
  let state = newStream("n", resourceSet({ [CLUSTER]: { a: "1" }, [SECRET]: { s: "1" } }));
  const apply = (line: Line[0]) => {
    state = play(state, line)[0];
  };
  apply(request(CLUSTER));
  apply(request(SECRET, { subscribe: ["s"] }));
  assert.deepEqual(verdict(state, CLUSTER), { state: "pending" });
  apply(ack(CLUSTER));
  apply(nack(SECRET));
  assert.deepEqual(verdict(state, CLUSTER), { state: "acked" });
  assert.deepEqual(verdict(state, SECRET), { state: "nacked", error: "bad" });
  assert.equal(state.types.get(SECRET)?.refused.has("s"), true);
  apply(set({ [CLUSTER]: { a: "1" }, [SECRET]: { s: "2" } }));
  apply(ack(SECRET));
  assert.deepEqual(verdict(state, SECRET), { state: "acked" });
  assert.equal(verdict(state, LISTENER), undefined);
});

test("delta 17: a nonce of an earlier stream answers nothing", () => {
  const resources = resourceSet({ [CLUSTER]: { a: "1" } });
  const [, [first]] = step(newStream("one-", resources), request(CLUSTER));
  const [state] = step(newStream("two-", resources), request(CLUSTER));
  const [after] = step(state, request(CLUSTER, { nonce: first?.nonce ?? "" }));
  assert.deepEqual(verdict(after, CLUSTER), { state: "pending" });
});
