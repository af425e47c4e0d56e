/** A unit's private folder as its owner can read it, in both runtimes: contents, and the modes of what is in it. */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "dockerode";
import { extract } from "tar-stream";
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
  const folderOf = async (unit: UnitId) => (await runtime.inspect(unit))!.placement.directory;
  return {
    read: async (unit) => {
      const folder = await folderOf(unit);
      const files = readdirSync(`${folder}/`, { recursive: true, withFileTypes: true }).filter(
        (entry) => entry.isFile() && !entry.parentPath.includes("/.runtime"),
      );
      return new Map(
        files.map((entry) => {
          const path = join(entry.parentPath, entry.name);
          return [path.slice(folder.length + 1), readFileSync(path)];
        }),
      );
    },
    mode: async (unit, path) => lstatSync(join(`${await folderOf(unit)}/`, path)).mode & 0o777,
  };
}

function inVolumes(engine: Engine): UnitFolders {
  return {
    read: async (unit) => {
      const holder = await holderOf(engine, unit);
      const entries = extract();
      (await holder.getArchive({ path: `${unitDirectory}/.` })).pipe(entries);
      const files = new Map<string, Buffer>();
      for await (const entry of entries) {
        const chunks: Buffer[] = [];
        for await (const chunk of entry) chunks.push(chunk as Buffer);
        if (entry.header.type === "file") files.set(entry.header.name.replace(/^\.\//, ""), Buffer.concat(chunks));
      }
      return files;
    },
    mode: async (unit, path) => {
      const holder = await holderOf(engine, unit);
      const answer = (await holder.infoArchive({ path: join(unitDirectory, path) })) as {
        readonly headers: Readonly<Record<string, string>>;
      };
      const stat = Buffer.from(answer.headers["x-docker-container-path-stat"] ?? "", "base64").toString();
      return (JSON.parse(stat) as { readonly mode: number }).mode & 0o777;
    },
  };
}

async function holderOf(engine: Engine, unit: UnitId): Promise<Container> {
  const filters = labelFilter({ ...unitLabels(unit), [label.part]: "holder" });
  const [holder] = await engine.listContainers({ filters });
  if (!holder) throw new Error(`${unit.name} has no holder`);
  return engine.getContainer(holder.Id);
}
