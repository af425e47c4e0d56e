/** Handlers of Intention: one pair of source and destination. */
import { type IntentionSpec, intentionSchema } from "@isthmus/sdk/spec";
import { orUndefined } from "../api-client.ts";
import type { Handler } from "../context.ts";
import { sharedHandler } from "../shared-record.ts";

/** Consul's form of an intention, as far as it is used here. */
interface IntentionJson {
  readonly SourceName: string;
  readonly DestinationName: string;
  readonly Action: "allow" | "deny";
  readonly Description?: string;
}

function pathOf(spec: IntentionSpec): string {
  return `/v1/connect/intentions/exact?${new URLSearchParams({ source: spec.source, destination: spec.destination })}`;
}

/** Handlers of the Intention resource. */
export const intention: Handler = sharedHandler<IntentionSpec>({
  schema: intentionSchema,
  identity: ["source", "destination"],
  idOf: (spec) => `${spec.source}/${spec.destination}`,
  async find(api, spec) {
    const found = await orUndefined(api.get<IntentionJson>(pathOf(spec)));
    return found && { action: found.Action, description: found.Description ?? "" };
  },
  async write(api, spec) {
    const body: IntentionJson = {
      SourceName: spec.source,
      DestinationName: spec.destination,
      Action: spec.action,
      Description: spec.description,
    };
    await api.put(pathOf(spec), body);
    return {};
  },
  async remove(api, spec) {
    await orUndefined(api.delete(pathOf(spec)));
  },
});
