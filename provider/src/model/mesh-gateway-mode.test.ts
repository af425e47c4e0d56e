/** Mode resolution: over all combinations of the levels the strongest that says something wins. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { resolveMeshGatewayMode } from "./mesh-gateway-mode.ts";
import type { MeshGatewayMode } from "./records.ts";

const mode = fc.constantFrom<MeshGatewayMode | undefined>(undefined, "", "none", "local", "remote");

test("the strongest level that says something wins", () => {
  fc.assert(
    fc.property(fc.tuple(mode, mode, mode, mode, mode, mode, mode), (levels) => {
      const at = (index: number) => (levels[index] === undefined ? {} : { MeshGateway: { Mode: levels[index] } });
      const resolved = resolveMeshGatewayMode({
        destinationDefaults: { Kind: "service-defaults", Name: "api", ...at(0) },
        proxyDefaults: { Kind: "proxy-defaults", Name: "global", ...at(1) },
        serviceDefaults: {
          Kind: "service-defaults",
          Name: "web",
          ...at(2),
          UpstreamConfig: {
            Defaults: at(3),
            Overrides: [
              { Name: "other", MeshGateway: { Mode: "remote" } },
              { Name: "api", ...at(5) },
            ],
          },
        },
        proxy: at(4),
        upstream: { DestinationType: "service", DestinationName: "api", LocalBindPort: 1, ...at(6) },
      });
      assert.equal(resolved, levels.findLast((level) => level) ?? "none");
    }),
    { numRuns: 2000 },
  );
});

test("an override of another upstream says nothing", () => {
  const resolved = resolveMeshGatewayMode({
    destinationDefaults: undefined,
    proxyDefaults: undefined,
    serviceDefaults: {
      Kind: "service-defaults",
      Name: "web",
      UpstreamConfig: { Overrides: [{ Name: "other", MeshGateway: { Mode: "remote" } }] },
    },
    proxy: {},
    upstream: { DestinationType: "service", DestinationName: "api", LocalBindPort: 1 },
  });
  assert.equal(resolved, "none");
});
