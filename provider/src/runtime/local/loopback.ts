/**
 * Hands out loopback addresses: each datacenter of each mesh has a network 127.<n>.0.0/16 of its own, each unit an address
 * in it. Which number is whose stands in one file per user, whatever state folder is in use, since all share the loopback.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../../model/errors.ts";
import { parseListeningSockets } from "../listening-sockets.ts";
import type { Owner, UnitId } from "../runtime.ts";
import { checkOwner } from "../unit-id.ts";
import { datacenterFolder, isMissing, removeIfEmpty, removeUnitFolder, userFolder } from "./folders.ts";
import { withLock } from "./lock.ts";
import { type MarkedProcess, scanMarked } from "./processes.ts";
import { readUnitRecord, readUnitRecords, subfolders, type UnitRecord, writeUnitRecord } from "./unit-record.ts";

interface Claim {
  readonly mesh: string;
  readonly datacenter: string;
  readonly state: string;
}

/** Claims by number, which JSON keeps as text. */
type Claims = Readonly<Record<string, Claim>>;

const lastNumber = 254;
/** Last bytes 1 to 254 in each of the networks 127.n.1 to 127.n.254. */
const addressesPerBlock = 254;

/**
 * Makes the unit's folder and record, or finds them, and gives the record. Its address stays the same as long as the unit
 * lives, unless another mesh took the network after a reboot.
 * @throws {MeshError} `already_exists` when it belongs to somebody else; `unavailable` when no network is free.
 */
export async function claimUnit(root: string, id: UnitId, owner: Owner, wan: boolean): Promise<UnitRecord> {
  return await withLock(userFolder, (folder) => {
    const known = readUnitRecord(root, id);
    if (known) checkOwner(id, known.owner, owner);
    const number = claimNumber(folder, root, id);
    const kept = known && networkOf(known.address) === number ? known.address : undefined;
    const record = { id, owner, address: kept ?? freeAddress(root, id, number), wan };
    writeUnitRecord(root, record);
    return record;
  });
}

/** Removes the unit's folder and gives its datacenter's network back when no other unit is left in it. */
export async function releaseUnit(root: string, id: UnitId): Promise<void> {
  await withLock(userFolder, (folder) => {
    removeUnitFolder(root, id);
    if (existsSync(datacenterFolder(root, id.mesh, id.datacenter))) return;
    const rest = Object.entries(readClaims(folder)).filter(([, claim]) => !isOf(claim, id));
    writeClaims(folder, Object.fromEntries(rest));
  });
  removeIfEmpty(userFolder());
}

function claimNumber(folder: string, root: string, id: UnitId): number {
  const claims = readClaims(folder);
  const own = Object.entries(claims).find(([, claim]) => isOf(claim, id));
  if (own && own[1].state === root) return Number(own[0]);
  const running = scanMarked();
  const live = Object.entries(claims).filter(([, claim]) => isLive(claim, running));
  const taken = new Set(live.map(([number]) => Number(number)));
  const before = readUnitRecords(root, id.mesh, id.datacenter).map((record) => networkOf(record.address));
  const number = own ? Number(own[0]) : (before.find((one) => !taken.has(one)) ?? freeNumber(root, taken, running));
  writeClaims(folder, {
    ...Object.fromEntries(live),
    [number]: { mesh: id.mesh, datacenter: id.datacenter, state: root },
  });
  return number;
}

/** A number that no claim, no unit of this state folder, no process of ours and no socket of anybody uses. */
function freeNumber(root: string, claimed: ReadonlySet<number>, running: readonly MarkedProcess[]): number {
  const recorded = subfolders(root).flatMap((mesh) =>
    subfolders(join(root, mesh)).flatMap((datacenter) => readUnitRecords(root, mesh, datacenter)),
  );
  const sockets = parseListeningSockets(readFileSync("/proc/net/tcp", "utf8"));
  const addresses = [...recorded, ...running, ...sockets].map((one) => networkOf(one.address));
  const used = new Set([...claimed, ...addresses]);
  for (let number = 1; number <= lastNumber; number++) if (!used.has(number)) return number;
  throw new MeshError("unavailable", "every loopback network from 127.1 to 127.254 is in use: remove a mesh first");
}

/** A claim counts as long as its folder exists or a process of its datacenter runs. */
function isLive(claim: Claim, running: readonly MarkedProcess[]): boolean {
  return (
    existsSync(datacenterFolder(claim.state, claim.mesh, claim.datacenter)) ||
    running.some((one) => isOf(claim, one.unit))
  );
}

function freeAddress(root: string, id: UnitId, number: number): string {
  if (id.role === "control-plane") return `127.${number}.0.1`;
  const used = new Set(readUnitRecords(root, id.mesh, id.datacenter).map((record) => record.address));
  for (let index = 0; index < addressesPerBlock * addressesPerBlock; index++) {
    const address = `127.${number}.${1 + Math.floor(index / addressesPerBlock)}.${1 + (index % addressesPerBlock)}`;
    if (!used.has(address)) return address;
  }
  throw new MeshError("unavailable", `datacenter ${id.datacenter} has no free loopback address: remove a unit first`);
}

function isOf(claim: Claim, id: UnitId): boolean {
  return claim.mesh === id.mesh && claim.datacenter === id.datacenter;
}

/** The second byte of 127.n.x.y; NaN for any other address. */
function networkOf(address: string): number {
  return Number(/^127\.(\d+)\./.exec(address)?.[1]);
}

function readClaims(folder: string): Claims {
  try {
    return JSON.parse(readFileSync(join(folder, "loopback.json"), "utf8")) as Claims;
  } catch (error) {
    if (isMissing(error)) return {};
    throw error;
  }
}

function writeClaims(folder: string, claims: Claims): void {
  const path = join(folder, "loopback.json");
  if (Object.keys(claims).length === 0) {
    rmSync(path, { force: true });
    return;
  }
  writeFileSync(`${path}.next`, JSON.stringify(claims), { mode: 0o600 });
  renameSync(`${path}.next`, path);
}
