/** A lock file between processes of one user, for sections that are synchronous and short. */
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MeshError } from "../../model/errors.ts";
import { isMissing } from "./folders.ts";
import { startTimeOf } from "./processes.ts";

const deadlineMs = 10_000;
const retryMs = 5;
/** The recovery of a stale lock takes well under a millisecond; one that is older was itself interrupted. */
const recoveryMaxAgeMs = 5_000;

/**
 * Runs the section while no other process runs one in the same folder. A lock whose holder is dead is broken.
 * @param folder gives the folder, and makes it again if it was removed meanwhile
 * @throws {MeshError} `unavailable` when the lock stays taken for ten seconds.
 */
export async function withLock<T>(folder: () => string, section: (folder: string) => T): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const path = folder();
    const lock = join(path, "lock");
    if (takeLock(lock)) {
      try {
        return section(path);
      } finally {
        rmSync(lock, { force: true });
      }
    }
    if (Date.now() > deadline) {
      throw new MeshError(
        "unavailable",
        `${lock} is held by process ${readHolder(lock) ?? "?"}: wait for it or end it`,
      );
    }
    await delay(retryMs);
  }
}

function takeLock(lock: string): boolean {
  if (linkIdentity(lock)) return true;
  const holder = readHolder(lock);
  if (holder === undefined || isAlive(holder)) return false;
  breakLock(lock, holder);
  return false;
}

/** Only who holds the recovery lock may remove a stale one, after a second look: no fresh lock is ever removed. */
function breakLock(lock: string, stale: string): void {
  const recovery = `${lock}.recovery`;
  if (!linkIdentity(recovery)) {
    const stat = statSync(recovery, { throwIfNoEntry: false });
    if (stat && Date.now() - stat.mtimeMs > recoveryMaxAgeMs) rmSync(recovery, { force: true });
    return;
  }
  try {
    if (readHolder(lock) === stale) rmSync(lock, { force: true });
  } finally {
    rmSync(recovery, { force: true });
  }
}

/** Makes the file with this process's identity already in it, so that nobody sees it empty. False when it exists. */
function linkIdentity(path: string): boolean {
  const own = `${path}.${process.pid}`;
  try {
    writeFileSync(own, `${process.pid} ${startTimeOf(process.pid) ?? ""}`, { mode: 0o600 });
    linkSync(own, path);
    return true;
  } catch (error) {
    if (isMissing(error) || (error instanceof Error && "code" in error && error.code === "EEXIST")) return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

function readHolder(lock: string): string | undefined {
  try {
    return readFileSync(lock, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isAlive(holder: string): boolean {
  const [pid, startTime] = holder.split(" ");
  return startTimeOf(Number(pid)) === startTime;
}
