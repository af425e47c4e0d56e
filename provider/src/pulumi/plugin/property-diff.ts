/** What differs between two sets of properties, path by path, as Pulumi shows it. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { Props } from "../context.ts";

/** One difference. The path is Pulumi's: `connect.sidecarService.proxy.upstreams[0].localBindPort`. */
export interface PropertyChange {
  readonly path: string;
  /** The top-level property that it lies in. */
  readonly property: string;
  readonly kind: "add" | "delete" | "update";
}

function step(path: string, key: string): string {
  if (!/^[A-Za-z_$][\w$-]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

function isObject(value: unknown): value is Props {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function changes(before: unknown, after: unknown, path: string, property: string): readonly PropertyChange[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (before === undefined) return [{ path, property, kind: "add" }];
  if (after === undefined) return [{ path, property, kind: "delete" }];
  if (Array.isArray(before) && Array.isArray(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, index) =>
      changes(before[index], after[index], `${path}[${index}]`, property),
    ).flat();
  }
  if (isObject(before) && isObject(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .sort()
      .flatMap((key) => changes(before[key], after[key], step(path, key), property));
  }
  return [{ path, property, kind: "update" }];
}

/** The differences in these top-level properties, in their order. */
export function propertyChanges(before: Props, after: Props, properties: readonly string[]): readonly PropertyChange[] {
  return properties.flatMap((property) => changes(before[property], after[property], property, property));
}
