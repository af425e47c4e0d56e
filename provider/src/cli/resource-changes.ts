/** What a run of `pulumi up` changed: read from the engine's event log, told in one line. Pure. */

/** How many resources each operation touched: `create`, `update`, `replace`, `delete`, `same`. */
export type ResourceChanges = Readonly<Record<string, number>>;

/** The summary in the engine's event log: one JSON object a line, the last of which holds the counts. */
export function changesFromEvents(log: string): ResourceChanges {
  for (const line of log.trimEnd().split("\n").reverse()) {
    if (!line.includes('"summaryEvent"')) continue;
    const event = JSON.parse(line) as { summaryEvent?: { resourceChanges?: ResourceChanges } };
    if (event.summaryEvent?.resourceChanges !== undefined) return event.summaryEvent.resourceChanges;
  }
  return {};
}

/** `no changes (9 resources as declared)` or `changed: 8 create, 1 same`. Pure. */
export function describeChanges(changes: ResourceChanges): string {
  const changed = Object.entries(changes).filter(([operation, count]) => operation !== "same" && count > 0);
  if (changed.length === 0) return `no changes (${changes["same"] ?? 0} resources as declared)`;
  return `changed: ${changed.map(([operation, count]) => `${count} ${operation}`).join(", ")}`;
}
