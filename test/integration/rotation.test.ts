/** Certificates that live for seconds: leaves and intermediates are renewed under traffic, and no connection notices. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { intend, type Mesh, startMesh, toSocat } from "../support/mesh.ts";
import { reloads } from "../support/proxies.ts";
import { converseOn, sayOn } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";

const ca = { leafTtlSeconds: 6, intermediateTtlSeconds: 18, rootTtlSeconds: 864_000 };
const rotations = 3;

describe("rotation", { timeout: 120_000 }, () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ ca });
    await intend(mesh, "allow", { source: "web", destination: "socat" });
    await eventually("web reaches socat", async () => (await sayOn(await mesh.web.dial(toSocat), "x")).text === "x\n");
  });
  after(async () => {
    await mesh?.[Symbol.asyncDispose]();
  });

  test("leaves and an intermediate rotate; the open connection goes on and every new one passes", async () => {
    const { dc2, web, socat } = mesh;
    const before = await Promise.all(mesh.proxies.map(reloads));
    const talk = converseOn(await web.dial(toSocat));
    const serials = { web: new Set<string>(), socat: new Set<string>() };
    const intermediates = new Set<string>();
    const failures: string[] = [];
    let connections = 0;
    await eventually(
      `${rotations} rotations of each leaf`,
      async () => {
        connections += 1;
        const { text } = await sayOn(await web.dial(toSocat), `${connections}`);
        if (text !== `${connections}\n`) failures.push(`connection ${connections} heard ${JSON.stringify(text)}`);
        for (const { name, sidecar } of [web, socat]) {
          const { Certificate } = await sidecar.status();
          if (!Certificate) continue;
          if (Date.parse(Certificate.NotAfter) < Date.now())
            failures.push(`${name}'s leaf ended at ${Certificate.NotAfter}`);
          serials[name as "web" | "socat"].add(Certificate.Serial);
        }
        const [root] = (await dc2.operator.get("/v1/connect/ca/roots")).Roots;
        intermediates.add(root.IntermediateCerts[0]);
        return serials.web.size > rotations && serials.socat.size > rotations && intermediates.size > 1;
      },
      60_000,
    );
    console.log(
      `${serials.web.size - 1} and ${serials.socat.size - 1} rotations of leaves, ${intermediates.size - 1} of dc2's intermediate, ${connections} new connections, ${talk.lines()} lines on the open one`,
    );
    assert.deepEqual(failures, []);
    assert.equal(talk.broken(), undefined);
    talk.close();
    assert.deepEqual(await Promise.all(mesh.proxies.map(reloads)), before, "secrets change, nothing else");
  });
});
