/** Intention precedence: which intention decides for a pair, and what a destination's rules say about every caller. Pure. */
import type { CallerDecisions } from "./proxy-snapshot.ts";
import type { ServiceIntentionsEntry } from "./records.ts";

const wildcard = "*";

/**
 * Consul's precedence of an intention: the destination's exactness dominates, then the source's (9: exact to exact,
 * 8: `*` to exact, 6: exact to `*`, 5: `*` to `*`). Larger wins; one intention decides.
 */
export function intentionPrecedence(source: string, destination: string): 9 | 8 | 6 | 5 {
  if (destination !== wildcard) return source !== wildcard ? 9 : 8;
  return source !== wildcard ? 6 : 5;
}

/**
 * Decides for every caller of a destination at once.
 * @param exact the entry named after the destination, if any
 * @param any the entry of the destination `*`, if any
 */
export function callerDecisions(
  exact: ServiceIntentionsEntry | undefined,
  any: ServiceIntentionsEntry | undefined,
  defaultPolicy: "allow" | "deny",
): CallerDecisions {
  const actions = new Map<string, { readonly precedence: number; readonly allow: boolean }>();
  for (const entry of [exact, any]) {
    if (!entry) continue;
    for (const source of entry.Sources) {
      const precedence = intentionPrecedence(source.Name, entry.Name);
      const known = actions.get(source.Name);
      if (!known || precedence > known.precedence)
        actions.set(source.Name, { precedence, allow: source.Action === "allow" });
    }
  }
  const everyone = actions.get(wildcard);
  const others = everyone?.allow ?? defaultPolicy === "allow";
  const named: { service: string; allow: boolean }[] = [];
  for (const [service, own] of actions) {
    if (service === wildcard) continue;
    const allow = everyone && everyone.precedence > own.precedence ? everyone.allow : own.allow;
    if (allow !== others) named.push({ service, allow });
  }
  named.sort((a, b) => (a.service < b.service ? -1 : 1));
  return { named, others: others ? "allow" : "deny" };
}

/** What the decisions say about one caller. */
export function isAllowed(decisions: CallerDecisions, source: string): boolean {
  return decisions.named.find((one) => one.service === source)?.allow ?? decisions.others === "allow";
}
