/**
 * A process that the store's tests start and kill: `node store.test.child.ts <database> <writers>`. Each writer changes a
 * pair of records in every transaction and prints `ack <writer> <count>` once that is acknowledged. When the disk
 * refuses it prints `refused <code> <intact>` and tries again until it prints `healed`.
 */
import { writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isMeshError } from "../model/errors.ts";
import { openSqliteStore } from "./sqlite.ts";

const [path, writers] = process.argv.slice(2);
if (!path || !writers) throw new Error("usage: store.test.child.ts <database> <writers>");
const store = openSqliteStore(path);

/** Prints a line; returns once it is in the pipe, however slowly that is read. */
function say(line: string): void {
  for (let rest = Buffer.from(`${line}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}

async function write(writer: number): Promise<never> {
  const key = (half: string) => `pair/${writer}/${half}`;
  const stored = () => Number(store.get("fact", key("a"))?.value.Value.split(" ")[0] ?? 0);
  let refused = false;
  for (let count = stored() + 1; ; count++) {
    const Value = `${count} ${"x".repeat(200)}`;
    const ifIndex = store.get("fact", key("a"))?.modifyIndex ?? 0;
    const written = await store
      .txn([
        { op: "set", kind: "fact", key: key("a"), value: { Value }, ifIndex },
        { op: count % 3 === 0 ? "delete" : "set", kind: "fact", key: key("sometimes"), value: { Value } },
        { op: "set", kind: "fact", key: key("b"), value: { Value } },
      ])
      .catch((error: unknown) => error);
    if (written instanceof Error) {
      count--;
      if (!refused) say(`refused ${isMeshError(written) ? written.code : written.name} ${stored() === count}`);
      refused = true;
      await nextTurn();
      continue;
    }
    say(`ack ${writer} ${count}`);
    if (refused) say("healed");
    refused = false;
  }
}

say("ready");
await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => write(writer)));
