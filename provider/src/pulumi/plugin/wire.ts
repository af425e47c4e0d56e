/** Property values as they travel: secrets and unknowns of Pulumi's wire format to plain JSON with a list of secret paths, and back. Pure. */
import { unknownValue } from "@isthmus/sdk/spec";
import type { Props } from "../context.ts";

/** Where a value lies among properties: names, and indices as text. */
export type Path = readonly string[];

/** Properties as handlers take them, and which of them were secret. */
export interface Decoded {
  readonly props: Props;
  readonly secrets: readonly Path[];
}

/** The property by which Pulumi marks objects that stand for something else, and what they can stand for. */
const mark = "4dabf18193072939515e22adb298388d";
const secretMark = "1b47061264138c4ac30d75fd1eb44270";
const outputMark = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/** Texts that stand for a value that is not known yet, one for each type that it may come to have. */
const unknowns = new Set([
  unknownValue,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/**
 * Properties of a request. What is not known becomes {@link unknownValue}; nulls and what belongs to the engine or to the
 * dynamic front end (`__…`) are left out.
 */
export function decode(wire: Props | undefined): Decoded {
  const secrets: Path[] = [];
  const object = (value: Props, path: Path): Props =>
    Object.fromEntries(
      Object.entries(value)
        .filter(([key, item]) => item !== null && item !== undefined && !key.startsWith("__"))
        .map(([key, item]) => [key, plain(item, [...path, key])]),
    );
  const plain = (value: unknown, path: Path): unknown => {
    if (typeof value === "string") return unknowns.has(value) ? unknownValue : value;
    if (Array.isArray(value)) return value.map((item, index) => plain(item, [...path, String(index)]));
    if (typeof value !== "object" || value === null) return value;
    const marked = value as Props;
    if (marked[mark] === secretMark) {
      secrets.push(path);
      return plain(marked["value"], path);
    }
    if (marked[mark] === outputMark) {
      if (marked["secret"] === true) secrets.push(path);
      return "value" in marked ? plain(marked["value"], path) : unknownValue;
    }
    return object(marked, path);
  };
  return { props: object(wire ?? {}, []), secrets };
}

/** Properties for an answer, in which what lies at one of the paths is secret. */
export function encode(props: Props, secrets: readonly Path[]): Record<string, unknown> {
  const secret = new Set(secrets.map((path) => JSON.stringify(path)));
  const marked = (value: unknown, path: Path): unknown =>
    secret.has(JSON.stringify(path)) ? { [mark]: secretMark, value: wire(value, path) } : wire(value, path);
  const wire = (value: unknown, path: Path): unknown => {
    if (Array.isArray(value)) return value.map((item, index) => marked(item ?? null, [...path, String(index)]));
    return typeof value === "object" && value !== null ? object(value as Props, path) : value;
  };
  const object = (value: Props, path: Path): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => [key, marked(item, [...path, key])]),
    );
  return object(props, []);
}
