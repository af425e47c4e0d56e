/** Rules of registration, health and intentions, as pure functions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CheckRecord, ServiceIntentionsEntry, ServiceRecord } from "../model/records.ts";
import { aliasStatus } from "./checks.ts";
import type { ServiceInput } from "./definitions.ts";
import { bestAddress } from "./health.ts";
import { withoutSource, withSource } from "./intentions.ts";
import { recordsOfDeregistration, recordsOfRegistration, sidecarPorts } from "./registration.ts";

const empty = { node: "n", tokenAccessor: "t", services: [], checks: [], replaceExistingChecks: false };

function register(
  input: ServiceInput,
  before: { services?: readonly ServiceRecord[]; checks?: readonly CheckRecord[] } = {},
) {
  return recordsOfRegistration(input, { ...empty, ...before });
}

describe("registration", () => {
  it("a sidecar inherits what it does not say", () => {
    const { services } = register({
      Name: "web",
      ID: "web-1",
      Port: 8080,
      Address: "10.0.0.5",
      Tags: ["v1"],
      Meta: { a: "b" },
      Connect: { SidecarService: {} },
    });
    const sidecar = services[1]!;
    assert.deepEqual(
      { ...sidecar, Weights: undefined },
      {
        Node: "n",
        ID: "web-1-sidecar-proxy",
        Service: "web-sidecar-proxy",
        Kind: "connect-proxy",
        Tags: ["v1"],
        Meta: { a: "b" },
        Address: "10.0.0.5",
        Port: sidecarPorts.first,
        TaggedAddresses: {},
        Weights: undefined,
        EnableTagOverride: false,
        TokenAccessor: "t",
        Proxy: {
          DestinationServiceName: "web",
          DestinationServiceID: "web-1",
          LocalServiceAddress: "127.0.0.1",
          LocalServicePort: 8080,
          Upstreams: [],
        },
        SidecarOf: "web-1",
      },
    );
  });

  it("a sidecar keeps its port, another one gets the next, none is left after 256", () => {
    const first = register({ Name: "a", Port: 1, Connect: { SidecarService: {} } });
    const again = register({ Name: "a", Port: 1, Connect: { SidecarService: {} } }, { services: first.services });
    assert.equal(again.services[1]?.Port, 21_000);
    const other = register({ Name: "b", Port: 1, Connect: { SidecarService: {} } }, { services: first.services });
    assert.equal(other.services[1]?.Port, 21_001);
    const full = Array.from({ length: 256 }, (_, at) => ({ ...first.services[1]!, ID: `x${at}`, Port: 21_000 + at }));
    assert.throws(
      () => register({ Name: "b", Port: 1, Connect: { SidecarService: {} } }, { services: full }),
      /no port of 21000 to 21255 is free/,
    );
  });

  it("numbers checks as Consul does and refuses one that is somebody else's", () => {
    const ids = (input: ServiceInput) => register(input).checks.map((check) => check.CheckID);
    assert.deepEqual(ids({ Name: "a", Check: { TTL: "1s" } }), ["service:a"]);
    assert.deepEqual(ids({ Name: "a", Check: { TTL: "1s" }, Checks: [{ TTL: "2s" }] }), ["service:a:1", "service:a:2"]);
    assert.deepEqual(ids({ Name: "a", Kind: "mesh-gateway", Port: 8443 }), ["proxy:a"]);
    assert.throws(
      () =>
        register({
          Name: "a",
          Checks: [
            { CheckID: "x", TTL: "1s" },
            { CheckID: "x", TTL: "1s" },
          ],
        }),
      /"x" is used twice/,
    );
    const { checks } = register({ Name: "a", Check: { CheckID: "x", TTL: "1s" } });
    assert.throws(
      () => register({ Name: "b", Check: { CheckID: "x", TTL: "1s" } }, { checks }),
      /"x" already belongs to service "a"/,
    );
  });

  it("a check keeps its status unless it became another kind of check", () => {
    const { services, checks } = register({ Name: "a", Check: { TTL: "1s" } });
    const passing = checks.map((check): CheckRecord => ({ ...check, Status: "passing", Output: "ok" }));
    const same = register({ Name: "a", Check: { TTL: "5s" } }, { services, checks: passing });
    assert.equal(same.checks[0]?.Status, "passing");
    assert.equal(same.checks[0]?.Definition.TTL, "5s");
    const other = register({ Name: "a", Check: { TCP: "127.0.0.1:1", Interval: "1s" } }, { services, checks: passing });
    assert.equal(other.checks[0]?.Status, "critical");
  });

  it("a service that is renamed takes its checks along", () => {
    const { services, checks } = register({ ID: "a", Name: "old", Check: { TTL: "1s" } });
    const renamed = register({ ID: "a", Name: "new" }, { services, checks });
    assert.deepEqual(
      renamed.checks.map((check) => check.ServiceName),
      ["new"],
    );
  });

  it("a service leaves with its sidecar and all checks, others stay", () => {
    const a = register({ Name: "a", Port: 1, Check: { TTL: "1s" }, Connect: { SidecarService: {} } });
    const b = register({ Name: "b", Check: { TTL: "1s" } });
    const gone = recordsOfDeregistration("a", {
      services: [...a.services, ...b.services],
      checks: [...a.checks, ...b.checks],
    });
    assert.deepEqual(
      gone.services.map((one) => one.ID),
      ["a", "a-sidecar-proxy"],
    );
    assert.deepEqual(gone.checks.map((one) => one.CheckID).sort(), ["proxy:a-sidecar-proxy", "service:a"]);
  });

  it("a sidecar cannot be taken over or changed apart from its service", () => {
    const { services } = register({ Name: "a", Port: 1, Connect: { SidecarService: {} } });
    const sidecar: ServiceInput = {
      Name: "a-sidecar-proxy",
      Kind: "connect-proxy",
      Port: 1,
      Proxy: { DestinationServiceName: "a" },
    };
    assert.throws(() => register(sidecar, { services }), /is the sidecar of "a"/);
    const own = register(sidecar);
    assert.throws(
      () => register({ Name: "a", Connect: { SidecarService: {} } }, { services: own.services }),
      /taken by another service/,
    );
  });
});

describe("addresses and aliases", () => {
  const node = { Address: "10.0.0.1", TaggedAddresses: { wan: "198.18.0.1" } };
  const wan = { wan: { Address: "198.18.0.7", Port: 443 } };
  for (const [what, service, from, expected] of [
    ["tagged", { Address: "10.0.0.5", Port: 1, TaggedAddresses: wan }, "wan", "198.18.0.7:443"],
    ["own for lan", { Address: "10.0.0.5", Port: 1, TaggedAddresses: wan }, "lan", "10.0.0.5:1"],
    ["own where no wan", { Address: "10.0.0.5", Port: 1, TaggedAddresses: {} }, "wan", "10.0.0.5:1"],
    ["node's wan", { Address: "", Port: 1, TaggedAddresses: {} }, "wan", "198.18.0.1:1"],
    ["node's", { Address: "", Port: 1, TaggedAddresses: {} }, "lan", "10.0.0.1:1"],
  ] as const) {
    it(`best address: ${what}`, () => {
      const { Address, Port } = bestAddress(service, node, from);
      assert.equal(`${Address}:${Port}`, expected);
    });
  }

  it("an alias is as bad as the worst check of its target", () => {
    const target = { id: "a", exists: true };
    assert.equal(aliasStatus({ id: "a", exists: false }, []).Status, "critical");
    assert.equal(aliasStatus(target, []).Status, "passing");
    assert.equal(
      aliasStatus(target, [
        { Status: "warning", Name: "w" },
        { Status: "critical", Name: "c" },
      ]).Output,
      'Aliased check "c" failing',
    );
    assert.equal(
      aliasStatus(target, [
        { Status: "passing", Name: "p" },
        { Status: "warning", Name: "w" },
      ]).Status,
      "warning",
    );
  });
});

describe("intention entries", () => {
  it("keep one source a name, sorted by precedence, and end with the last one", () => {
    const one = withSource(undefined, "db", { Name: "*", Action: "deny" });
    const two = withSource(one, "db", { Name: "web", Action: "allow" });
    const three: ServiceIntentionsEntry = withSource(two, "db", { Name: "web", Action: "deny" });
    assert.deepEqual(
      three.Sources.map((source) => `${source.Name} ${source.Action} ${source.Precedence}`),
      ["web deny 9", "* deny 8"],
    );
    assert.equal(withoutSource(one, "*"), undefined);
    assert.equal(withoutSource(three, "none")?.Sources.length, 2);
  });
});
