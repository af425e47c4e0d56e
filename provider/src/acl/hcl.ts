/**
 * A reader of HCL (version 1, as Consul's files use it) and of JSON, with positions. Pure.
 *
 *   key = value      key "label" "label" { … }      # // and block comments      <<EOF and <<-EOF heredocs
 *
 * `:` may stand for `=`. Interpolation is not evaluated: `${…}` stays as written.
 */
import { MeshError } from "../model/errors.ts";

/** Both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type HclValue =
  | { readonly type: "scalar"; readonly value: string | number | boolean | null; readonly at: Position }
  | { readonly type: "list"; readonly items: readonly HclValue[]; readonly at: Position }
  | HclObject;

/** Items in the order of the text. */
export interface HclObject {
  readonly type: "object";
  readonly items: readonly HclItem[];
  readonly at: Position;
}

/** `key = value` (assigned, no labels) or `key "label" … { … }`. */
export interface HclItem {
  readonly key: string;
  readonly labels: readonly string[];
  readonly assigned: boolean;
  readonly value: HclValue;
  readonly at: Position;
}

const maxDepth = 64;

/** The error for a fault at a place of the text: `line 3, column 5: …`. */
export function hclError(at: Position, message: string): MeshError {
  return new MeshError("invalid", `line ${at.line}, column ${at.column}: ${message}`);
}

/**
 * Reads a text into its tree. A text that begins with `{` is one JSON object.
 * @throws {MeshError} `invalid` with the position of the first fault.
 */
export function readHcl(text: string): HclObject {
  let next = text.startsWith("\uFEFF") ? 1 : 0;
  const lineStarts = [0, ...Array.from(text.matchAll(/\n/g), (found) => found.index + 1)];

  function positionOf(offset: number): Position {
    let low = 0;
    let high = lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - lineStarts[low]! + 1 };
  }

  function fail(message: string, offset = next): never {
    throw hclError(positionOf(offset), message);
  }

  function skipBlank(): void {
    for (;;) {
      const rest = /[^\s]|$/g;
      rest.lastIndex = next;
      next = rest.exec(text)?.index ?? text.length;
      if (text[next] === "#" || text.startsWith("//", next)) {
        const end = text.indexOf("\n", next);
        next = end < 0 ? text.length : end;
      } else if (text.startsWith("/*", next)) {
        const end = text.indexOf("*/", next + 2);
        if (end < 0) fail("this comment is not closed");
        next = end + 2;
      } else return;
    }
  }

  function describeNext(): string {
    return next >= text.length ? "the end of the text" : JSON.stringify(String.fromCodePoint(text.codePointAt(next)!));
  }

  function match(pattern: RegExp): string | undefined {
    pattern.lastIndex = next;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) next += found.length;
    return found;
  }

  function readEscape(): string {
    const start = next;
    const letter = text[next + 1] ?? "";
    const simple: Readonly<Record<string, string>> = {
      '"': '"',
      "\\": "\\",
      "/": "/",
      b: "\b",
      f: "\f",
      n: "\n",
      r: "\r",
      t: "\t",
    };
    next += 2;
    if (Object.hasOwn(simple, letter)) return simple[letter]!;
    const digits = letter === "u" ? match(/[0-9a-fA-F]{4}/y) : letter === "U" ? match(/[0-9a-fA-F]{8}/y) : undefined;
    const code = Number.parseInt(digits ?? "", 16);
    if (digits === undefined || code > 0x10ffff) return fail(`"\\${letter}" is not an escape`, start);
    return letter === "u" ? String.fromCharCode(code) : String.fromCodePoint(code);
  }

  function readString(): string {
    const start = next;
    next++;
    let value = "";
    for (;;) {
      value += match(/[^"\\\n]+/y) ?? "";
      if (text[next] === "\\") value += readEscape();
      else if (text[next] === '"') break;
      else fail("this string is not closed", start);
    }
    next++;
    return value;
  }

  function readHeredoc(): string {
    const start = next;
    const head = match(/<<-?[A-Za-z_][A-Za-z0-9_]*[ \t]*\r?\n/y);
    if (head === undefined) return fail('a heredoc begins with "<<" or "<<-", a word and a new line');
    const word = head.replace(/^<<-?/, "").trim();
    const lines: string[] = [];
    for (;;) {
      if (next >= text.length) fail(`this heredoc is not closed by a line "${word}"`, start);
      const end = text.indexOf("\n", next);
      const line = text.slice(next, end < 0 ? text.length : end);
      if (line.trim() === word) {
        next += line.length;
        break;
      }
      next += line.length + 1;
      lines.push(line.replace(/\r$/, ""));
    }
    const indents = lines.filter((line) => line.trim() !== "").map((line) => /^[ \t]*/.exec(line)![0].length);
    const indent = head.startsWith("<<-") ? indents.reduce((a, b) => Math.min(a, b), Infinity) : 0;
    return lines.map((line) => `${line.slice(indent)}\n`).join("");
  }

  function readValue(depth: number): HclValue {
    if (depth > maxDepth) fail(`nested deeper than ${maxDepth} levels`);
    skipBlank();
    const at = positionOf(next);
    const first = text[next];
    if (first === "{") return readObject(depth);
    if (first === "[") return { type: "list", items: readList(depth), at };
    if (first === '"') return { type: "scalar", value: readString(), at };
    if (first === "<") return { type: "scalar", value: readHeredoc(), at };
    const number = match(/-?(?:0x[0-9a-fA-F]+|(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![\w.])/y);
    if (number !== undefined) {
      const value = number.startsWith("-") ? -Number(number.slice(1)) : Number(number);
      return { type: "scalar", value, at };
    }
    const word = match(/(?:true|false|null)(?![\w.-])/y);
    if (word !== undefined) return { type: "scalar", value: word === "null" ? null : word === "true", at };
    return fail(`a value is expected here, not ${describeNext()}`);
  }

  function readList(depth: number): HclValue[] {
    const start = next;
    next++;
    const items: HclValue[] = [];
    for (;;) {
      skipBlank();
      if (text[next] === "]") break;
      if (next >= text.length) fail('this list is not closed by "]"', start);
      items.push(readValue(depth + 1));
      skipBlank();
      if (text[next] === ",") next++;
      else if (text[next] !== "]") fail(`"," or "]" is expected here, not ${describeNext()}`);
    }
    next++;
    return items;
  }

  function readObject(depth: number): HclObject {
    const start = next;
    next++;
    const items = readItems(depth);
    if (text[next] !== "}") fail('this block is not closed by "}"', start);
    next++;
    return { type: "object", items, at: positionOf(start) };
  }

  function readKey(): string | undefined {
    skipBlank();
    return text[next] === '"' ? readString() : match(/[A-Za-z_][\w.-]*/y);
  }

  function readItem(depth: number): HclItem {
    skipBlank();
    const at = positionOf(next);
    const key = readKey() ?? fail(`a name is expected here, not ${describeNext()}`);
    const labels: string[] = [];
    for (let label = readKey(); label !== undefined; label = readKey()) labels.push(label);
    const assigned = text[next] === "=" || text[next] === ":";
    if (assigned) {
      if (labels.length > 0) fail(`"${key}" has a label, so a block "{ … }" follows, not "${text[next]}"`);
      next++;
      return { key, labels, assigned, value: readValue(depth + 1), at };
    }
    if (text[next] !== "{") fail(`"=" or "{" is expected after "${labels.at(-1) ?? key}", not ${describeNext()}`);
    return { key, labels, assigned, value: readValue(depth + 1), at };
  }

  /** Items up to a closing brace or the end of the text. */
  function readItems(depth: number): HclItem[] {
    const items: HclItem[] = [];
    const assignedOf = new Map<string, boolean>();
    for (;;) {
      skipBlank();
      if (next >= text.length || text[next] === "}") return items;
      const item = readItem(depth);
      const before = assignedOf.get(item.key);
      if (before === true || (before === false && item.assigned)) throw hclError(item.at, `"${item.key}" is set twice`);
      assignedOf.set(item.key, item.assigned);
      items.push(item);
      skipBlank();
      if (text[next] === ",") next++;
    }
  }

  skipBlank();
  if (text[next] !== "{") {
    const items = readItems(0);
    if (next < text.length) fail('this "}" closes nothing');
    return { type: "object", items, at: { line: 1, column: 1 } };
  }
  const root = readObject(0);
  skipBlank();
  if (text[next] === "{") fail("a second object begins here; a file holds one: put both into the same braces");
  if (next < text.length) fail(`nothing may follow the object, and here is ${describeNext()}`);
  return root;
}

/** An own property of that name, whatever the name means to JavaScript. */
function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
}

function plainValue(value: HclValue): unknown {
  if (value.type === "scalar") return value.value;
  if (value.type === "list") return value.items.map(plainValue);
  const result: Record<string, unknown> = {};
  const blocks = new Map<string, unknown[]>();
  for (const item of value.items) {
    if (item.assigned) {
      setOwn(result, item.key, plainValue(item.value));
      continue;
    }
    const block = item.labels.reduceRight<unknown>((inner, label) => {
      const outer: Record<string, unknown> = {};
      setOwn(outer, label, inner);
      return outer;
    }, plainValue(item.value));
    const same = [...(blocks.get(item.key) ?? []), block];
    blocks.set(item.key, same);
    setOwn(result, item.key, same.length === 1 ? block : same);
  }
  return result;
}

/**
 * Reads HCL or JSON into plain objects. A label becomes an object (`service "web" {}` is `{ service: { web: {} } }`);
 * blocks of the same name become a list.
 * @throws {MeshError} `invalid` with the position of the first fault.
 */
export function parseHcl(text: string): Record<string, unknown> {
  return plainValue(readHcl(text)) as Record<string, unknown>;
}
