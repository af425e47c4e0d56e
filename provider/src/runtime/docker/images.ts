/**
 * Our images, made from files of this machine through the engine's API; no registry is asked. Each is tagged with the hash of
 * what is in it and made only when absent: `holder` (keeps a namespace), `proxy` (Envoy), `node` (Node and the relay, for
 * commands too) and `control-plane` (`node` and the bundle on top, so that a new bundle is a layer of its own).
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { posix } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Pack, pack } from "tar-stream";
import { MeshError } from "../../model/errors.ts";
import { type Programs, relaySource } from "../programs.ts";
import { type Engine, unless } from "./engine.ts";
import { type Architecture, holderBinary } from "./holder-binary.ts";
import { label } from "./labels.ts";
import { sharedLibraries } from "./shared-libraries.ts";

/** User and group of everything in our containers. */
export const unitUserId = 65532;
/** Where a unit's volume is mounted. */
export const unitDirectory = "/isthmus/unit";
/** Paths in the images. */
export const imagePath = {
  holder: "/isthmus/holder",
  envoy: "/usr/bin/envoy",
  node: "/usr/bin/node",
  relay: "/isthmus/relay.mjs",
  controlPlane: "/isthmus/control-plane.mjs",
} as const;

/** Gives an image's tag, and makes the image first if the engine has none. */
export interface Images {
  readonly holder: () => Promise<string>;
  readonly proxy: () => Promise<string>;
  readonly node: () => Promise<string>;
  readonly controlPlane: () => Promise<string>;
}

interface ImageFile {
  readonly path: string;
  readonly mode: number;
  readonly owner: number;
  /** Text or bytes, or a file of this machine; absent for a folder. */
  readonly content?: string | Uint8Array;
  readonly source?: string;
}

const certificates = "/etc/ssl/certs/ca-certificates.crt";

/** The images of one engine. What was made or found is remembered; a failure is not. */
export function createImages(engine: Engine, programs: Programs): Images {
  const known = new Map<string, Promise<string>>();
  const once = (name: string, make: () => Promise<string>) => () => {
    const found = known.get(name) ?? make();
    known.set(name, found);
    found.catch(() => known.delete(name));
    return found;
  };
  const node = once("node", async () => {
    const program = await programs.node();
    const relay = { path: imagePath.relay, mode: 0o644, owner: 0, content: await relaySource() };
    const trusted = (await stat(certificates).catch(() => undefined)) ? [copy(certificates, certificates, 0o644)] : [];
    return await ensureImported(engine, "node", [...(await programFiles(imagePath.node, program)), relay, ...trusted]);
  });
  return {
    node,
    holder: once("holder", async () => {
      const content = holderBinary(await engineArchitecture(engine));
      const folder = { path: unitDirectory, mode: 0o700, owner: unitUserId };
      return await ensureImported(engine, "holder", [
        { path: imagePath.holder, mode: 0o755, owner: 0, content },
        folder,
      ]);
    }),
    proxy: once("proxy", async () =>
      ensureImported(engine, "proxy", await programFiles(imagePath.envoy, await programs.envoy())),
    ),
    controlPlane: once("control-plane", async () => {
      const bundle = await readFile(await programs.controlPlane());
      return await ensureExtended(engine, "control-plane", await node(), {
        path: imagePath.controlPlane,
        mode: 0o644,
        owner: 0,
        content: bundle,
      });
    }),
  };
}

/** Removes our images; those that a container uses stay. */
export async function removeImages(engine: Engine): Promise<void> {
  for (const name of ["control-plane", "node", "proxy", "holder"]) {
    const images = await engine.listImages({ filters: JSON.stringify({ label: [`${label.image}=${name}`] }) });
    for (const image of images) {
      for (const tag of image.RepoTags ?? []) await unless([404, 409], engine.getImage(tag).remove());
    }
  }
}

/** A program with its libraries, the user and what glibc needs to look names up. */
async function programFiles(path: string, source: string): Promise<readonly ImageFile[]> {
  const libraries = await sharedLibraries(source);
  const text = (name: string, content: string) => ({ path: `/etc/${name}`, mode: 0o644, owner: 0, content });
  return [
    copy(path, source, 0o755),
    ...libraries.map((library) => copy(library.path, library.source, 0o755)),
    text("passwd", `isthmus:x:${unitUserId}:${unitUserId}::${unitDirectory}:/\n`),
    text("group", `isthmus:x:${unitUserId}:\n`),
    text("nsswitch.conf", "hosts: files dns\n"),
    { path: unitDirectory, mode: 0o700, owner: unitUserId },
  ];
}

function copy(path: string, source: string, mode: number): ImageFile {
  return { path, source, mode, owner: 0 };
}

async function ensureImported(engine: Engine, name: string, files: readonly ImageFile[]): Promise<string> {
  await engineArchitecture(engine);
  const entries = withFolders(files);
  const version = await hashOf(entries);
  const tag = `isthmus/${name}:${version}`;
  if (await exists(engine, tag)) return tag;
  const answer = await engine.importImage(tarOf(entries), {
    fromSrc: "-",
    repo: `isthmus/${name}`,
    tag: version,
    changes: `LABEL ${label.image}=${name}`,
  });
  await finish(tag, answer);
  return tag;
}

async function ensureExtended(engine: Engine, name: string, base: string, file: ImageFile): Promise<string> {
  const version = createHash("sha256")
    .update(base)
    .update(await hashOf([file]))
    .digest("hex")
    .slice(0, 16);
  const tag = `isthmus/${name}:${version}`;
  if (await exists(engine, tag)) return tag;
  const instructions = `FROM ${base}\nLABEL ${label.image}=${name}\nCOPY content ${file.path}\n`;
  const { path: _, ...content } = file;
  const context = [
    { path: "/Dockerfile", mode: 0o644, owner: 0, content: instructions },
    { path: "/content", ...content },
  ];
  await finish(tag, await engine.buildImage(tarOf(context), { t: tag }));
  return tag;
}

async function exists(engine: Engine, tag: string): Promise<boolean> {
  return (await unless([404], engine.getImage(tag).inspect())) !== undefined;
}

/** The engine answers 200 and tells of a failure in the stream's last object. */
async function finish(tag: string, answer: NodeJS.ReadableStream): Promise<void> {
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  const failure = /"error":"((?:[^"\\]|\\.)*)"/.exec(text);
  if (failure) throw new MeshError("internal", `cannot make the image ${tag}: ${failure[1]}`);
}

/** @throws {MeshError} `invalid` when this machine's programs would not run on the engine's. */
async function engineArchitecture(engine: Engine): Promise<Architecture> {
  const names: Readonly<Record<string, Architecture>> = {
    x86_64: "x64",
    amd64: "x64",
    aarch64: "arm64",
    arm64: "arm64",
  };
  const { Architecture: reported, OSType: system } = (await engine.info()) as { Architecture: string; OSType: string };
  const architecture = names[reported];
  if (architecture === process.arch && system === "linux" && process.platform === "linux") return architecture;
  throw new MeshError(
    "invalid",
    `the Docker engine runs ${system} on ${reported}, this machine ${process.platform} on ${process.arch}: images are made from this machine's programs, so both must be Linux on the same processor`,
  );
}

/** With the folders that lead to the files, sorted by path, so that the same files give the same bytes. */
function withFolders(files: readonly ImageFile[]): readonly ImageFile[] {
  const entries = new Map<string, ImageFile>();
  for (const file of files) {
    for (let folder = posix.dirname(file.path); folder !== "/"; folder = posix.dirname(folder)) {
      if (!entries.has(folder)) entries.set(folder, { path: folder, mode: 0o755, owner: 0 });
    }
    entries.set(file.path, file);
  }
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function hashOf(files: readonly ImageFile[]): Promise<string> {
  const hash = createHash("sha256");
  for (const { path, mode, owner, content, source } of files) {
    hash.update(JSON.stringify([path, mode, owner]));
    if (content !== undefined) hash.update(content);
    if (source !== undefined) for await (const chunk of createReadStream(source)) hash.update(chunk as Buffer);
  }
  return hash.digest("hex").slice(0, 16);
}

function tarOf(files: readonly ImageFile[]): Readable {
  const tar = pack();
  void writeTar(tar, files).catch((error) => tar.destroy(error));
  return tar as unknown as Readable; // tar-stream's streams are Node-compatible, its types do not say so
}

async function writeTar(tar: Pack, files: readonly ImageFile[]): Promise<void> {
  for (const { path, mode, owner, content, source } of files) {
    const header = { name: path.slice(1), mode, uid: owner, gid: owner, mtime: new Date(0) };
    if (source !== undefined) {
      const entry = tar.entry({ ...header, size: (await stat(source)).size });
      await pipeline(createReadStream(source), entry as unknown as NodeJS.WritableStream);
    } else if (content === undefined) {
      tar.entry({ ...header, type: "directory" });
    } else {
      tar.entry(header, Buffer.from(content));
    }
  }
  tar.finalize();
}
