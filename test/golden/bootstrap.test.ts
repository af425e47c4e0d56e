/** The bootstrap that proxies get, put to the real Envoy. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { identityFile } from "../../provider/src/model/identity-file.ts";
import type { BootstrapInput } from "../../provider/src/model/proxy-snapshot.ts";
import { bootstrap } from "../../provider/src/xds/bootstrap.ts";
import { createTestAuthority } from "../support/certificates.ts";
import { validateBootstrap } from "../support/envoy.ts";

test("Envoy accepts it, with a control plane at an address or a name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bootstrap-"));
  try {
    const authority = await createTestAuthority();
    const { chain, privateKey } = await authority.leaf("spiffe://test/proxy/web");
    const file = join(folder, "identity.json");
    writeFileSync(file, identityFile(chain, privateKey), { mode: 0o600 });
    for (const address of ["127.0.0.1", "::1", "control.example"]) {
      const input: BootstrapInput = {
        proxyId: "web-sidecar-proxy",
        service: "web",
        kind: "connect-proxy",
        datacenter: "dc2",
        controlPlane: { address, port: 8503, serverName: "server.dc2.consul" },
        controlRoot: authority.root,
        identityFile: file,
        adminSocket: join(folder, "admin.sock"),
      };
      await validateBootstrap(bootstrap(input), folder);
      assert.ok(!JSON.stringify(bootstrap(input)).includes("PRIVATE KEY"), "the key belongs into the identity file");
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
