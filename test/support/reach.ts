/** Connections from where a unit stands to any address: what a neighbour in the mesh could dial. */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Engine } from "../../provider/src/runtime/docker/engine.ts";
import { attachedStream } from "../../provider/src/runtime/docker/exec-stream.ts";
import { imagePath } from "../../provider/src/runtime/docker/images.ts";
import { label, labelFilter, unitLabels } from "../../provider/src/runtime/docker/labels.ts";
import { readVerdict } from "../../provider/src/runtime/docker/relay-stream.ts";
import type { UnitId } from "../../provider/src/runtime/runtime.ts";

/** @throws with the error's code when nothing can be reached there within three seconds. */
export type Reach = (from: UnitId, host: string, port: number) => Promise<Duplex>;

const deadlineMs = 3_000;

/** All of 127/8 is one place: who dials does not matter. */
export const reachLocally: Reach = (_from, host, port) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: deadlineMs });
    socket.once("connect", () => {
      socket.setTimeout(0).off("error", reject);
      resolve(socket);
    });
    socket.once("timeout", () => reject(new Error("ETIMEDOUT")));
    socket.once("error", reject);
  });

/** From the unit's own network namespace, by an exec into its container that has Node. */
export function reachFromContainers(engine: Engine): Reach {
  return async (from, host, port) => {
    const filters = labelFilter({ ...unitLabels(from), [label.part]: "process" });
    const own = await engine.listContainers({ filters });
    const node = own.find(({ Labels }) => ["node", "control-plane"].includes(Labels[label.image] ?? ""));
    if (!node) throw new Error(`${from.name} runs nothing with Node`);
    const exec = await engine.getContainer(node.Id).exec({
      Cmd: [imagePath.node, imagePath.relay, "port", host, String(port)],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = attachedStream(await exec.start({ hijack: true, stdin: true }));
    const late = setTimeout(() => stream.destroy(), deadlineMs);
    const verdict = await readVerdict(stream).finally(() => clearTimeout(late));
    if (verdict === undefined) return stream;
    stream.destroy();
    throw new Error(verdict);
  };
}
