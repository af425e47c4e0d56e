/** Makes src/gen: TypeScript for the part of Envoy's API that we use, from the descriptors in a pinned Python wheel. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import type { DescFile } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import * as wkt from "@bufbuild/protobuf/wkt";
import { MeshError } from "../src/model/errors.ts";
import { cached } from "../src/toolchain/cache.ts";
import { runCommand } from "../src/toolchain/command.ts";

const provider = resolve(import.meta.dirname, "..");
const modules = resolve(provider, "../node_modules");
const output = join(provider, "src/gen");
const partial = join(provider, "dist/.generated");
const requirements = join(provider, "toolchain/xds-protos/requirements.txt");
const reader = join(provider, "scripts/read-descriptors.py");
const template = join(provider, "buf.gen.yaml");
const python = process.env["PYTHON"] || "python3";

/** One hash of everything that the output depends on. */
function inputsHash(): string {
  const hash = createHash("sha256");
  const plugin = join(modules, "@bufbuild/protoc-gen-es/package.json");
  for (const file of [requirements, reader, template, import.meta.filename, plugin]) hash.update(readFileSync(file));
  return hash.digest("hex");
}

/** The wheel in the user's cache. pip checks its hash; it is only unpacked by our reader, never installed. */
async function wheel(): Promise<string> {
  const pin = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  const folder = await cached(`xds-protos-${pin}`, async (directory) => {
    // The wheel is not going to run, so the version of this Python is not asked about.
    const any = ["--only-binary=:all:", "--python-version=3.13", "--no-deps", "--require-hashes"];
    const options = ["--quiet", "--no-input", "--disable-pip-version-check", ...any];
    await runCommand(python, ["-m", "pip", "download", ...options, "--dest", directory, "-r", requirements], {
      timeoutMs: 300_000,
    }).catch((cause: unknown) => {
      throw new MeshError(
        "unavailable",
        `Envoy's API definitions cannot be fetched with pip; install Python 3 with pip (Debian: python3-pip)\n${cause}`,
        { cause },
      );
    });
  });
  const name = readdirSync(folder).find((file) => file.endsWith(".whl"));
  if (name) return join(folder, name);
  throw new MeshError("internal", `${folder} holds no wheel; remove that folder and run npm run generate again`);
}

/** The well-known types, which the wheel leaves to its protobuf runtime, as FileDescriptorSet bytes. */
function wellKnownTypes(): Uint8Array {
  const file = Object.entries(wkt)
    .filter(([name]) => name.startsWith("file_google_protobuf_"))
    .map(([, descriptor]) => (descriptor as DescFile).proto);
  return toBinary(wkt.FileDescriptorSetSchema, create(wkt.FileDescriptorSetSchema, { file }));
}

/** Generates aside and then swaps, so that src/gen is never seen half-made. */
async function generate(stamp: string): Promise<void> {
  const source = await wheel();
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const descriptors = join(partial, "descriptors.binpb");
  await runCommand(python, [reader, source, descriptors]);
  // Sets concatenate: a repeated field may be spread over several parts of the bytes.
  writeFileSync(descriptors, Buffer.concat([readFileSync(descriptors), wellKnownTypes()]));
  const path = [join(modules, ".bin"), process.env["PATH"]].join(delimiter);
  await runCommand("buf", ["generate", "--template", template], {
    cwd: provider,
    env: { ...process.env, PATH: path },
    timeoutMs: 300_000,
  });
  rmSync(descriptors);
  // The generated code takes the well-known types from the runtime.
  rmSync(join(partial, "google/protobuf"), { recursive: true, force: true });
  writeFileSync(join(partial, ".stamp"), stamp);
  rmSync(output, { recursive: true, force: true });
  renameSync(partial, output);
}

const stamp = inputsHash();
const stampFile = join(output, ".stamp");
if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) await generate(stamp);
