/** Starts the relay inside a unit: as an exec in a container that has Node, else in a short-lived container of its own. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { UnitId } from "../runtime.ts";
import { relayOptions } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { attachedStream } from "./exec-stream.ts";
import { type Images, imagePath } from "./images.ts";
import { label, labelFilter, unitLabels } from "./labels.ts";

/** The relay's standard streams. */
export async function startRelay(
  engine: Engine,
  images: Images,
  id: UnitId,
  holder: string,
  args: readonly string[],
): Promise<Duplex> {
  const running = await engine.listContainers({ filters: labelFilter({ ...unitLabels(id), [label.part]: "process" }) });
  const host = running.find((one) => one.Labels[label.image] === "control-plane" || one.Labels[label.image] === "node");
  if (!host) return await startAlone(engine, relayOptions(id, await images.node(), holder, args));
  const exec = await engine.getContainer(host.Id).exec({
    Cmd: [imagePath.node, imagePath.relay, ...args],
    Env: ["NODE_OPTIONS="],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  return attachedStream(await exec.start({ hijack: true, stdin: true }));
}

/** Its answer to the question whether it is connected: undefined when it is, else the error's code. */
export async function readVerdict(stream: Duplex): Promise<string | undefined> {
  for (;;) {
    const first = stream.read(1) as Buffer | null;
    if (first?.toString() === "+") return undefined;
    if (first) return String(await readAll(stream));
    if (stream.readableEnded || stream.destroyed) return "no answer";
    await Promise.race([once(stream, "readable"), once(stream, "end"), once(stream, "close")]);
  }
}

/** Everything up to the end. */
export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function startAlone(engine: Engine, options: ReturnType<typeof relayOptions>): Promise<Duplex> {
  const container = await engine.createContainer(options);
  const connection = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
  await container.start();
  return attachedStream(connection as Duplex);
}
