/** Runs the contract against both runtimes; where no Docker engine answers its part is skipped, but in CI it fails. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { nodeBinary } from "../toolchain/node.ts";
import { runtimeContract } from "./contract.ts";
import { createDockerRuntime } from "./docker/docker-runtime.ts";
import { connectEngine, engineAnswers } from "./docker/engine.ts";
import { label, labelFilter, unitLabels } from "./docker/labels.ts";
import { unitFolder } from "./local/folders.ts";
import { createLocalRuntime } from "./local/local-runtime.ts";
import { scanMarked } from "./local/processes.ts";
import type { Programs } from "./programs.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "isthmus-contract-"));
  await writeFile(join(folder, "control-plane.mjs"), "setInterval(() => {}, 1e6);\n");
});
after(() => rm(folder, { recursive: true, force: true }));

const programs: Programs = {
  envoy: () => Promise.reject(new Error("the contract runs no Envoy")),
  node: () => nodeBinary(),
  controlPlane: () => Promise.resolve(join(folder, "control-plane.mjs")),
};

runtimeContract("local", async () => {
  const root = join(folder, "state");
  return {
    runtime: createLocalRuntime(programs, root),
    another: createLocalRuntime(programs, root),
    loseState: (id) => rm(unitFolder(root, id), { recursive: true }),
    remains: async (mesh) => {
      const processes = scanMarked().filter((one) => one.unit.mesh === mesh);
      const folders = await import("node:fs/promises").then(({ readdir }) => readdir(join(root, mesh)).catch(() => []));
      return [...processes.map((one) => `process ${one.pid} ${one.process}`), ...folders];
    },
  };
});

const engine = connectEngine(process.env);
if (await engineAnswers(engine, 1_000)) {
  runtimeContract("docker", async () => ({
    runtime: createDockerRuntime(engine, programs),
    another: createDockerRuntime(engine, programs),
    loseState: async (id) => {
      const filters = labelFilter({ ...unitLabels(id), [label.part]: "holder" });
      for (const holder of await engine.listContainers({ filters })) {
        await engine.getContainer(holder.Id).remove({ force: true });
      }
    },
    remains: async (mesh) => {
      const filters = labelFilter({ [label.mesh]: mesh });
      const containers = await engine.listContainers({ all: true, filters });
      const networks = await engine.listNetworks({ filters });
      const { Volumes: volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) });
      return [
        ...containers.map((one) => one.Names.join()),
        ...networks.map((one) => one.Name),
        ...volumes.map((one) => one.Name),
      ];
    },
  }));
} else {
  test("docker runtime", { skip: process.env["CI"] === "true" ? false : "no Docker engine answers" }, () => {
    throw new Error("no Docker engine answers, and CI must have one");
  });
}
