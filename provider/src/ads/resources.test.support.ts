/** Small resources and resource sets for the tests of the protocol; nothing in them means anything. */
import type { EncodedResource, ResourceSet } from "../model/proxy-snapshot.ts";
import type { DeltaResponse, StreamEvent } from "./delta.ts";
import type { DeltaRequest } from "./type-state.ts";

export function resource(typeUrl: string, name: string, version: string): EncodedResource {
  return { typeUrl, name, version, bytes: new TextEncoder().encode(`${name}@${version}`) };
}

/** A set from `{ [type URL]: { [name]: version } }`. */
export function resourceSet(content: Readonly<Record<string, Readonly<Record<string, string>>>>): ResourceSet {
  return new Map(
    Object.entries(content).map(([typeUrl, versions]) => [
      typeUrl,
      new Map(Object.entries(versions).map(([name, version]) => [name, resource(typeUrl, name, version)])),
    ]),
  );
}

/** A request event; what is left out is empty. */
export function request(typeUrl: string, parts: Partial<DeltaRequest> = {}): StreamEvent {
  const empty = { subscribe: [], unsubscribe: [], initialVersions: new Map<string, string>(), nonce: "" };
  return { kind: "request", request: { ...empty, typeUrl, ...parts } };
}

/** `Cluster +a@1 -b`: the short type, what comes and what goes. */
export function describeResponse({ typeUrl, resources, removed }: DeltaResponse): string {
  const parts = [...resources.map(({ name, version }) => `+${name}@${version}`), ...removed.map((name) => `-${name}`)];
  return [typeUrl.slice(typeUrl.lastIndexOf(".") + 1), ...parts].join(" ");
}
