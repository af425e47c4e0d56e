/** Intentions as Consul's older API shows them, one a pair, made of service-intentions entries and back. Pure. */
import { intentionPrecedence } from "../model/intention.ts";
import type { IntentionSource, ServiceIntentionsEntry } from "../model/records.ts";
import type { Stored } from "../store/store.ts";

/** One intention, in Consul's JSON. */
export interface Intention {
  /** Empty unless it was made through the older API, which names intentions by id. */
  readonly ID: string;
  readonly Description: string;
  readonly SourceNS: "default";
  readonly SourceName: string;
  readonly DestinationNS: "default";
  readonly DestinationName: string;
  readonly SourceType: "consul";
  readonly Action: "allow" | "deny";
  readonly Meta: Readonly<Record<string, string>>;
  readonly Precedence: number;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** Intentions of all entries, those that win first: by precedence, then destination and source. */
export function intentionsOf(entries: readonly Stored<"config-entry">[]): readonly Intention[] {
  return entries
    .flatMap((entry) => {
      const { value } = entry;
      return value.Kind === "service-intentions"
        ? value.Sources.map((source) => intentionOf(value, source, entry))
        : [];
    })
    .sort(
      (a, b) =>
        b.Precedence - a.Precedence ||
        compare(a.DestinationName, b.DestinationName) ||
        compare(a.SourceName, b.SourceName),
    );
}

/** The intentions that could decide for a name on the given side, wildcards included, those that win first. */
export function matchingIntentions(
  intentions: readonly Intention[],
  by: "source" | "destination",
  name: string,
): readonly Intention[] {
  return intentions.filter((one) => {
    const side = by === "source" ? one.SourceName : one.DestinationName;
    return side === name || side === "*";
  });
}

/** The one intention that decides for a pair; undefined: the default policy does. */
export function decidingIntention(
  intentions: readonly Intention[],
  source: string,
  destination: string,
): Intention | undefined {
  return matchingIntentions(matchingIntentions(intentions, "destination", destination), "source", source)[0];
}

/** The entry with the source in it, replacing one of the same name; sources sorted by precedence and name. */
export function withSource(
  entry: ServiceIntentionsEntry | undefined,
  destination: string,
  source: IntentionSource,
): ServiceIntentionsEntry {
  const others = (entry?.Sources ?? []).filter((one) => one.Name !== source.Name);
  return normalIntentions({
    ...(entry ?? { Kind: "service-intentions", Name: destination }),
    Sources: [...others, source],
  });
}

/** The entry without the source; undefined when nothing is left of it. */
export function withoutSource(entry: ServiceIntentionsEntry, source: string): ServiceIntentionsEntry | undefined {
  const Sources = entry.Sources.filter((one) => one.Name !== source);
  return Sources.length === 0 ? undefined : { ...entry, Sources };
}

/** Sources with their precedence, those that win first, so that equal entries are equal records. */
export function normalIntentions(entry: ServiceIntentionsEntry): ServiceIntentionsEntry {
  const sources = entry.Sources.map(
    (source): IntentionSource => ({
      ...source,
      Type: "consul",
      Precedence: intentionPrecedence(source.Name, entry.Name),
    }),
  );
  sources.sort((a, b) => (b.Precedence ?? 0) - (a.Precedence ?? 0) || compare(a.Name, b.Name));
  return { ...entry, Sources: sources };
}

function intentionOf(
  entry: ServiceIntentionsEntry,
  source: IntentionSource,
  record: Stored<"config-entry">,
): Intention {
  return {
    ID: source.LegacyID ?? "",
    Description: source.Description ?? "",
    SourceNS: "default",
    SourceName: source.Name,
    DestinationNS: "default",
    DestinationName: entry.Name,
    SourceType: "consul",
    Action: source.Action,
    Meta: entry.Meta ?? {},
    Precedence: intentionPrecedence(source.Name, entry.Name),
    CreateIndex: record.createIndex,
    ModifyIndex: record.modifyIndex,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
