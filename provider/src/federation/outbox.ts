/**
 * Keeps one peer up to date with a publication. It remembers digests of what the peer holds and the ids that may differ,
 * never records: a slow peer gets the newest state later, and memory stays bounded by the number of records.
 */
import type { RecordsMessage } from "./protocol.ts";
import { parseRecordId } from "./protocol.ts";
import type { Publication, PublishedRecord } from "./publication.ts";

export interface Outbox {
  /** Starts sending, with the differences to what the peer says it has: record id to digest. */
  start(have: ReadonlyMap<string, string>): void;
  /** The peer can take more. */
  drained(): void;
  close(): void;
}

/** About how many characters of JSON go into one message. */
const batchChars = 512 * 1024;

/**
 * `visible` says which records the peer may have. `send` returns false when it wants to be left alone until `drained`;
 * the message is taken all the same.
 */
export function createOutbox(
  publication: Publication,
  visible: (record: PublishedRecord) => boolean,
  send: (message: RecordsMessage) => boolean,
): Outbox {
  const dirty = new Set<string>();
  let peerHas: Map<string, string> | undefined;
  let sentIndex = -1;
  let blocked = false;

  /** Takes ids off the list until the message is full. */
  const nextMessage = (has: Map<string, string>): RecordsMessage => {
    const set: RecordsMessage["set"] = [];
    const deleted: RecordsMessage["deleted"] = [];
    let size = 0;
    for (const id of dirty) {
      if (size >= batchChars) break;
      dirty.delete(id);
      const record = publication.records.get(id);
      if (record && visible(record)) {
        if (has.get(id) === record.digest) continue;
        if (size > 0 && size + record.size > batchChars) {
          dirty.add(id);
          break;
        }
        has.set(id, record.digest);
        set.push({ kind: record.kind, key: record.key, value: { ...record.value } });
        size += record.size;
      } else if (has.delete(id)) {
        const { kind, key } = parseRecordId(id);
        deleted.push({ kind, key });
        size += id.length + 32;
      }
    }
    return { type: "records", set, deleted, complete: dirty.size === 0, index: publication.index };
  };

  const flush = (): void => {
    while (peerHas && !blocked && (dirty.size > 0 || sentIndex < publication.index)) {
      const message = nextMessage(peerHas);
      if (message.complete) sentIndex = message.index;
      blocked = !send(message);
    }
  };

  const unsubscribe = publication.subscribe((changed) => {
    if (!peerHas) return;
    for (const id of changed) dirty.add(id);
    flush();
  });

  return {
    start(have) {
      peerHas = new Map(have);
      for (const id of publication.records.keys()) dirty.add(id);
      for (const id of have.keys()) dirty.add(id);
      flush();
    },
    drained() {
      blocked = false;
      flush();
    },
    close() {
      unsubscribe();
      peerHas = undefined;
    },
  };
}
