/**
 * Golden Envoy resources: `in/NAME.json` is a proxy snapshot, `out/NAME.<kind>.json` what must come of it. Each is also put
 * to the real Envoy. `--test-update-snapshots` or UPDATE_GOLDEN=1 writes the files anew and removes those without a case.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ProxySnapshot } from "../../provider/src/model/proxy-snapshot.ts";
import { resourcesFromSnapshot } from "../../provider/src/xds/resource-set.ts";
import { createTestAuthority } from "../support/certificates.ts";
import { validateBootstrap } from "../support/envoy.ts";
import { kinds, resourceJson, staticBootstrap } from "../support/resource-json.ts";

const input = join(import.meta.dirname, "in");
const output = join(import.meta.dirname, "out");
const update = process.env["UPDATE_GOLDEN"] === "1" || process.execArgv.includes("--test-update-snapshots");
const names = readdirSync(input).map((file) => file.replace(/\.json$/, ""));
const kindNames = Object.keys(kinds) as (keyof typeof kinds)[];

let folder: string;
before(() => {
  mkdirSync(output, { recursive: true });
  folder = mkdtempSync(join(tmpdir(), "golden-"));
});
after(() => rmSync(folder, { recursive: true }));

for (const name of names) {
  const snapshot = JSON.parse(readFileSync(join(input, `${name}.json`), "utf8")) as ProxySnapshot;

  test(`${name}: resources`, () => {
    const resources = resourcesFromSnapshot(snapshot);
    for (const kind of kindNames) {
      const file = join(output, `${name}.${kind}.json`);
      const text = `${JSON.stringify(resourceJson(resources, kind), null, 2)}\n`;
      if (update) writeFileSync(file, text);
      assert.equal(text, readFileSync(file, "utf8"), `${file} differs; UPDATE_GOLDEN=1 renews it`);
    }
  });

  test(`${name}: accepted by Envoy`, async () => {
    const resources = resourcesFromSnapshot(await withCertificates(snapshot));
    const mine = join(folder, name);
    mkdirSync(mine);
    await validateBootstrap(staticBootstrap(resources, { kind: "inline" }), mine);
  });
}

test("no golden file without a case", () => {
  const wanted = new Set(names.flatMap((name) => kindNames.map((kind) => `${name}.${kind}.json`)));
  const orphans = readdirSync(output).filter((file) => !wanted.has(file));
  if (update) for (const file of orphans) rmSync(join(output, file));
  else assert.deepEqual(orphans, []);
});

const authority = createTestAuthority();

/** The files carry words in the place of PEM, so that no key lies in the tree; Envoy wants real ones. */
async function withCertificates(snapshot: ProxySnapshot): Promise<ProxySnapshot> {
  if (snapshot.kind === "mesh-gateway") return snapshot;
  const { root, leaf } = await authority;
  const own = await leaf("spiffe://test/ns/default/dc/dc2/svc/web");
  return { ...snapshot, leaf: own, roots: snapshot.roots.map(() => root) };
}
