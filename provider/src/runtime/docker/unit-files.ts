/**
 * Puts files into a unit's volume. The engine's archive upload removes a file and makes it anew, so a reader could find
 * none or a part: files are uploaded under other names and then renamed by the holder's program.
 */
import { randomUUID } from "node:crypto";
import { posix } from "node:path";
import type { Container } from "dockerode";
import { type Pack, pack } from "tar-stream";
import { MeshError } from "../../model/errors.ts";
import type { UnitFile } from "../runtime.ts";
import { checkFilePath } from "../unit-id.ts";
import { imagePath, unitDirectory, unitUserId } from "./images.ts";

/** Writes the files, 0600 and the unit user's, in the order given; each appears whole. The holder must run. */
export async function putFiles(holder: Container, files: readonly UnitFile[]): Promise<void> {
  if (files.length === 0) return;
  for (const file of files) checkFilePath(file.path);
  const staged = files.map((file) => ({
    ...file,
    from: posix.join(posix.dirname(file.path), `.${randomUUID()}`),
  }));
  await holder.putArchive(await archiveOf(staged), { path: unitDirectory });
  const pairs = staged.flatMap(({ from, path }) => [posix.join(unitDirectory, from), posix.join(unitDirectory, path)]);
  const exec = await holder.exec({ Cmd: [imagePath.holder, ...pairs], AttachStdout: true, AttachStderr: true });
  const output = await exec.start({ hijack: true, stdin: false });
  for await (const _ of output) {
    // It prints nothing; the end of the stream is the end of the program.
  }
  const { ExitCode: code } = await exec.inspect();
  if (code !== 0) throw new MeshError("internal", `the uploaded files could not be put in place (exit code ${code})`);
}

async function archiveOf(
  files: readonly { readonly from: string; readonly content: string | Uint8Array }[],
): Promise<Buffer> {
  const tar: Pack = pack();
  const owner = { uid: unitUserId, gid: unitUserId };
  for (const folder of foldersOf(files.map((file) => file.from))) {
    tar.entry({ name: folder, type: "directory", mode: 0o700, ...owner });
  }
  for (const file of files) tar.entry({ name: file.from, mode: 0o600, ...owner }, Buffer.from(file.content));
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Every folder on the way to the paths, a parent before its children. */
function foldersOf(paths: readonly string[]): readonly string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let folder = posix.dirname(path); folder !== "."; folder = posix.dirname(folder)) folders.add(folder);
  }
  return [...folders].sort();
}
