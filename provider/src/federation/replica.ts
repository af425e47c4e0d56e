/** The receiving end: whose stream is accepted, and what a message changes in the store. Pure. */

import { digestOf } from "../model/digest.ts";
import { MeshError } from "../model/errors.ts";
import type { Change, Store } from "../store/store.ts";
import type { HaveMessage, RecordsMessage, WelcomeMessage } from "./protocol.ts";
import { isLocal, parseImportedService, recordId, replicatedKinds } from "./protocol.ts";

/** How far a secondary has followed its primary; kept as fact `replication`, in the transaction with what it describes. */
export interface ReplicationState {
  readonly ClusterId: string;
  readonly Epoch: number;
  readonly Index: number;
}

/** The state that the store holds; undefined before the first snapshot was complete. */
export function storedState(store: Store): ReplicationState | undefined {
  const value = store.get("fact", "replication")?.value.Value;
  return value === undefined ? undefined : (JSON.parse(value) as ReplicationState);
}

/**
 * Checks who answered. A primary's history may only go forward, compared by epoch and then by index.
 * @throws {MeshError} `conflict` for another mesh, another datacenter, or a primary whose state is older than ours.
 */
export function acceptWelcome(
  welcome: WelcomeMessage,
  held: { readonly state: ReplicationState | undefined; readonly clusterId: string; readonly primary: string },
): void {
  const { state, clusterId, primary } = held;
  if (welcome.datacenter !== primary) {
    throw new MeshError(
      "conflict",
      `the federation link of "${primary}" was answered by datacenter "${welcome.datacenter}": check the join address`,
    );
  }
  const known = state?.ClusterId ?? clusterId;
  if (known !== "" && known !== welcome.clusterId) {
    throw new MeshError(
      "conflict",
      `datacenter "${primary}" now has cluster id ${welcome.clusterId}, this datacenter belongs to ${known}: nothing was taken over; create this datacenter anew to join the new primary`,
    );
  }
  const older =
    state && (welcome.epoch < state.Epoch || (welcome.epoch === state.Epoch && welcome.index < state.Index));
  if (older) {
    throw new MeshError(
      "conflict",
      `datacenter "${primary}" offers an older state (epoch ${welcome.epoch}, index ${welcome.index}) than this datacenter has (epoch ${state.Epoch}, index ${state.Index}): nothing was taken over; if it was restored from a backup, raise its epoch`,
    );
  }
}

/** Record ids and digests of all that the store has from the primary. */
export function heldFromPrimary(store: Store, datacenter: string): ReadonlyMap<string, string> {
  const held = new Map<string, string>();
  for (const kind of replicatedKinds) {
    for (const { key, value } of store.list(kind)) {
      if (isLocal(kind, value) || (kind === "imported-service" && key.startsWith(`${datacenter}/`))) continue;
      held.set(recordId(kind, key), digestOf(value).digest);
    }
  }
  return held;
}

/** Record ids and digests of what the store has from one secondary. */
export function heldFromSecondary(store: Store, datacenter: string): ReadonlyMap<string, string> {
  return new Map(
    store
      .list("imported-service", `${datacenter}/`)
      .map(({ key, value }) => [recordId("imported-service", key), digestOf(value).digest]),
  );
}

/** The digests as messages of bounded size; at least one. */
export function haveMessages(held: ReadonlyMap<string, string>): readonly HaveMessage[] {
  const items = [...held];
  const messages: HaveMessage[] = [];
  do {
    const part = items.splice(0, 2_000).map(([id, digest]): [string, string] => [id, digest]);
    messages.push({ type: "have", items: part, last: items.length === 0 });
  } while (items.length > 0);
  return messages;
}

/**
 * What a message of the primary changes in a secondary; with it the new state, when the message completes one.
 * @throws {MeshError} `conflict` when a record is this datacenter's own business.
 */
export function changesFromPrimary(
  message: RecordsMessage,
  datacenter: string,
  state: ReplicationState | undefined,
): readonly Change[] {
  const changes: Change[] = [];
  for (const { kind, key } of [...message.set, ...message.deleted]) {
    if (kind === "imported-service" && key.startsWith(`${datacenter}/`)) {
      throw new MeshError("conflict", `the primary sent "${key}", which is datacenter "${datacenter}"'s own`);
    }
  }
  for (const { kind, key, value } of message.set) {
    // The primary is the authority over these kinds: it checked them when they were written.
    changes.push({ op: "set", kind, key, value } as unknown as Change);
  }
  for (const { kind, key } of message.deleted) changes.push({ op: "delete", kind, key });
  if (state) changes.push({ op: "set", kind: "fact", key: "replication", value: { Value: JSON.stringify(state) } });
  return changes;
}

/**
 * What a message of a secondary changes in the primary: that datacenter's exports and nothing else.
 * @throws {MeshError} `permission_denied` when it touches anything else, `invalid` for a malformed record.
 */
export function changesFromSecondary(message: RecordsMessage, datacenter: string): readonly Change[] {
  const own = ({ kind, key }: { readonly kind: string; readonly key: string }): string => {
    if (kind !== "imported-service" || !key.startsWith(`${datacenter}/`)) {
      throw new MeshError(
        "permission_denied",
        `datacenter "${datacenter}" sent "${kind}:${key}": a secondary may publish its own services only`,
      );
    }
    return key;
  };
  return [
    ...message.set.map((record): Change => {
      const key = own(record);
      const value = parsed(record.value, key);
      if (value.Datacenter !== datacenter || key !== `${datacenter}/${value.Service}`) {
        throw new MeshError(
          "permission_denied",
          `datacenter "${datacenter}" sent a record of "${value.Datacenter}/${value.Service}" as "${key}"`,
        );
      }
      return { op: "set", kind: "imported-service", key, value };
    }),
    ...message.deleted.map((record): Change => ({ op: "delete", kind: "imported-service", key: own(record) })),
  ];
}

function parsed(value: unknown, key: string): ReturnType<typeof parseImportedService> {
  try {
    return parseImportedService(value);
  } catch (error) {
    throw new MeshError("invalid", `the published service "${key}" is malformed`, { cause: error });
  }
}
