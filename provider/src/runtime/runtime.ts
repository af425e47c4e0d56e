/**
 * How a unit of work runs: the interface of the docker and the local runtime. A unit is one network namespace (docker: a
 * holder container; local: one loopback address) with a private folder and the processes in it. Every call is
 * idempotent; units are found again by their identity, never by a name alone.
 */
import type { Duplex } from "node:stream";

/** What a unit is. Exactly these four make it ours. */
export interface Owner {
  readonly project: string;
  readonly stack: string;
  /** Logical name of the resource. */
  readonly resource: string;
  /** The mesh's random id. */
  readonly mesh: string;
}

export interface UnitId {
  readonly mesh: string;
  readonly datacenter: string;
  readonly role: "control-plane" | "mesh-gateway" | "service";
  /** Service or gateway name; the datacenter's name for a control plane. */
  readonly name: string;
}

/** Where a unit can be reached and where its processes find their files. */
export interface Placement {
  /** Address in its datacenter's network. */
  readonly lan: string;
  /** Address in the WAN network, when the unit has joined it. */
  readonly wan?: string;
  /** Address for what only the unit itself may dial: 127.0.0.1 in a namespace of its own, else equal to lan. */
  readonly local: string;
  /** The unit's private folder as its processes see it. */
  readonly directory: string;
}

/** Which program a process runs. */
export type Program =
  | { readonly type: "envoy" }
  /** Node with the control plane's bundle. */
  | { readonly type: "control-plane" }
  /** A user's command; runs in our Node image (docker) or on the host (local). `node` means our Node. */
  | { readonly type: "command"; readonly command: string }
  /** A user's image (docker only). */
  | { readonly type: "image"; readonly image: string };

export interface ProcessSpec {
  /** `control-plane`, `proxy` or `app`. */
  readonly name: string;
  readonly program: Program;
  readonly args: readonly string[];
  /** Public; never a secret. */
  readonly env: Readonly<Record<string, string>>;
  /** Any text; the process is started anew when it differs (version of its configuration files). */
  readonly revision: string;
}

export interface ProcessState {
  readonly name: string;
  readonly running: boolean;
  /** Digest of the ProcessSpec that it was started with. */
  readonly digest: string;
  /** Of its last run; only while it does not run. */
  readonly exitCode?: number;
  /** How often it was started again after a crash. */
  readonly restarts: number;
  readonly pid?: number;
}

export interface UnitState {
  readonly id: UnitId;
  readonly owner: Owner;
  readonly placement: Placement;
  readonly processes: readonly ProcessState[];
}

/** A file for a unit's folder; mode 0600 and owned by the unit's user. The path is relative and may have folders. */
export interface UnitFile {
  readonly path: string;
  readonly content: string | Uint8Array;
}

/** A place inside a unit: a Unix socket in its folder, or a TCP port on its local address. */
export type DialTarget = { readonly socket: string } | { readonly port: number };

export interface Runtime {
  readonly kind: "docker" | "local";
  /**
   * Makes (or adopts) the unit's namespace, address and folder; starts no process. `wan` joins or leaves the WAN network
   * in place.
   * @throws {MeshError} `already_exists` naming the owner when the unit belongs to somebody else.
   */
  ensureUnit(id: UnitId, owner: Owner, networks: { readonly wan: boolean }): Promise<Placement>;
  /** Writes files by rename, so that a reader sees the old or the new one, whole. */
  putFiles(id: UnitId, files: readonly UnitFile[]): Promise<void>;
  /** Starts the process, or starts it anew if its spec's digest differs or it is not running; leaves it alone otherwise. */
  ensureProcess(id: UnitId, spec: ProcessSpec): Promise<ProcessState>;
  /**
   * The digest that the process would have if `ensureProcess` started it now in a unit with this placement; one that runs
   * with another is out of date.
   */
  digest(placement: Placement, spec: ProcessSpec): Promise<string>;
  /** Stops and removes one process; absence is success. */
  removeProcess(id: UnitId, name: string): Promise<void>;
  /** Undefined when there is no such unit. */
  inspect(id: UnitId): Promise<UnitState | undefined>;
  /** Every unit of a mesh. */
  list(mesh: string): Promise<readonly UnitState[]>;
  /** The last lines a process printed. */
  logs(id: UnitId, process: string, lines: number): Promise<string>;
  /** A stream to a place inside the unit. @throws {MeshError} `unavailable` when nothing listens there. */
  dial(id: UnitId, target: DialTarget): Promise<Duplex>;
  /** TCP sockets that listen in the unit: address and port. */
  listeners(id: UnitId): Promise<readonly { readonly address: string; readonly port: number }[]>;
  /** Stops and removes the unit with all that belongs to it, networks without members included; absence is success. */
  remove(id: UnitId): Promise<void>;
}
