/** Regular expressions for every service name except a given few. RE2 has no lookahead, so they are spelled out. */

const alphabet = "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/** Matches one character of a service name: all of the alphabet. */
const anyCharacter = "[\\w.\\-]";

/** Matches every name that a service can have. */
export const anyName = `${anyCharacter}+`;

interface TrieNode {
  readonly children: Map<string, TrieNode>;
  /** One of the names ends here. */
  end: boolean;
  /** Nodes below. */
  size: number;
}

/**
 * The largest part of the trie that one pattern covers. The time that RE2 takes to compile a pattern grows faster than the
 * pattern: a single one for 3000 names took Envoy 10 s, one for 6000 was refused.
 */
const maxNodesPerPattern = 256;

/**
 * Patterns, each to be matched in full, of which one matches every non-empty string of service name characters that is
 * none of the names, and none matches one of the names.
 *
 * They follow the names' trie: at each node a string is outside the set when it stops where no name ends, goes on with a
 * character that no name has there, or goes on with one and is outside the set below it. For `ab`:
 * `(?:a(?:b[…]+|[… but b][…]*)?|[… but a][…]*)`.
 *
 * Names with other characters belong to no service and are left out.
 */
export function everyNameExcept(names: readonly string[]): readonly string[] {
  const root: TrieNode = { children: new Map(), end: false, size: 0 };
  for (const name of new Set(names)) {
    if ([...name].every((character) => alphabet.includes(character))) insert(root, name);
  }
  return root.size === 0 ? [anyName] : patterns("", root);
}

function insert(root: TrieNode, name: string): void {
  const path = [root];
  let node = root;
  for (const character of name) {
    let next = node.children.get(character);
    if (!next) {
      next = { children: new Map(), end: false, size: 0 };
      node.children.set(character, next);
      for (const above of path) above.size++;
    }
    path.push(next);
    node = next;
  }
  node.end = true;
}

/** Patterns for the strings that begin with the prefix and are outside the set; the node is where the prefix leads. */
function patterns(prefix: string, node: TrieNode): readonly string[] {
  if (node.size === 0) return [`${prefix}${anyName}`];
  const mayStop = prefix === "" || node.end ? "" : "?";
  if (node.size <= maxNodesPerPattern) return [`${prefix}${outside(node)}${mayStop}`];
  const others = elsewhere(node);
  const here = others === undefined ? (mayStop ? [prefix] : []) : [`${prefix}(?:${others})${mayStop}`];
  return [
    ...here,
    ...sortedChildren(node).flatMap(([character, child]) => patterns(prefix + literal(character), child)),
  ];
}

/** A pattern for the non-empty strings below a node that are outside the set. */
function outside(node: TrieNode): string {
  const branches = sortedChildren(node).map(([character, child]) => {
    if (child.size === 0) return `${literal(character)}${anyName}`;
    return `${literal(character)}${outside(child)}${child.end ? "" : "?"}`;
  });
  const others = elsewhere(node);
  return `(?:${[...branches, ...(others === undefined ? [] : [others])].join("|")})`;
}

/** A pattern for the strings that go on with a character that no name has here; undefined when every one is taken. */
function elsewhere(node: TrieNode): string | undefined {
  const others = [...alphabet].filter((character) => !node.children.has(character));
  return others.length === 0 ? undefined : `${characterClass(others)}${anyCharacter}*`;
}

function sortedChildren(node: TrieNode): readonly [string, TrieNode][] {
  return [...node.children].sort(([a], [b]) => (a < b ? -1 : 1));
}

function literal(character: string): string {
  return character === "." ? "\\." : character;
}

/** A class of these characters, which are in the alphabet's order; neighbours of one kind become ranges. */
function characterClass(characters: readonly string[]): string {
  const ranges: [first: string, last: string][] = [];
  for (const character of characters) {
    const range = ranges.at(-1);
    if (range && character.charCodeAt(0) === range[1].charCodeAt(0) + 1) range[1] = character;
    else ranges.push([character, character]);
  }
  const escaped = (character: string) => (character === "-" ? "\\-" : character);
  return `[${ranges.map(([first, last]) => (first === last ? escaped(first) : `${escaped(first)}-${escaped(last)}`)).join("")}]`;
}
