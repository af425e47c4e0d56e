/** A unit's private folder as its owner can read it, in both runtimes: contents, and the modes of what is in it. */
import { lstatSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import type { Engine } from "../../provider/src/runtime/docker/engine.ts";
import { unitDirectory } from "../../provider/src/runtime/docker/images.ts";
import { label, labelFilter, unitLabels } from "../../provider/src/runtime/docker/labels.ts";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";

/** Regular files by relative path; what the local runtime keeps for itself is left out. */
export type ReadFolder = (unit: UnitId) => Promise<ReadonlyMap<string, Buffer>>;
/** Permission bits of a path in a unit's folder; `.` is the folder. */
export type ReadMode = (unit: UnitId, path: string) => Promise<number>;

export interface UnitFolders {
  readonly read: ReadFolder;
  readonly mode: ReadMode;
}

/** With an engine: the docker runtime's volumes. */
export function unitFolders(runtime: Runtime, engine: Engine | undefined): UnitFolders {
  return engine ? inVolumes(engine) : onDisk(runtime);
}

function onDisk(runtime: Runtime): UnitFolders {
  const folderOf = async (unit: UnitId) => realpathSync((await runtime.inspect(unit))!.placement.directory);
  return {
    read: async (unit) => {
      const folder = await folderOf(unit);
      const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
        (entry) => entry.isFile() && !entry.parentPath.includes("/.runtime"),
      );
      return new Map(
        files.map((entry) => {
          const path = join(entry.parentPath, entry.name);
          return [path.slice(folder.length + 1), readFileSync(path)];
        }),
      );
    },
    mode: async (unit, path) => lstatSync(join(await folderOf(unit), path)).mode & 0o777,
  };
}

function inVolumes(engine: Engine): UnitFolders {
  return {
    read: async (unit) => {
      const holder = await holderOf(engine, unit);
      const chunks: Buffer[] = [];
      for await (const chunk of await holder.getArchive({ path: `${unitDirectory}/.` })) chunks.push(chunk as Buffer);
      return filesOfTar(Buffer.concat(chunks));
    },
    mode: async (unit, path) => {
      const holder = await holderOf(engine, unit);
      const answer = (await holder.infoArchive({ path: join(unitDirectory, path) })) as IncomingMessage;
      answer.destroy();
      const stat = Buffer.from(String(answer.headers["x-docker-container-path-stat"]), "base64").toString();
      return (JSON.parse(stat) as { readonly mode: number }).mode & 0o777;
    },
  };
}

/** Regular files of a plain tar: a header of 512 bytes, then content in whole blocks of as many. */
function filesOfTar(tar: Buffer): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const field = (from: number, bytes: number) =>
      tar.toString("latin1", at + from, at + from + bytes).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 12), 8);
    if (field(156, 1) === "0") {
      files.set(field(0, 100).replace(/^\.\//, ""), tar.subarray(at + 512, at + 512 + size));
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

async function holderOf(engine: Engine, unit: UnitId): Promise<ReturnType<Engine["getContainer"]>> {
  const filters = labelFilter({ ...unitLabels(unit), [label.part]: "holder" });
  const [holder] = await engine.listContainers({ filters });
  if (!holder) throw new Error(`${unit.name} has no holder`);
  return engine.getContainer(holder.Id);
}
