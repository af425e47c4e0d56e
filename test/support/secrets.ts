/** The secrets that a running mesh really has, and a search for them in whatever form they may have leaked. */
import { createPrivateKey } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openApi } from "../../provider/src/pulumi/api-client.ts";
import type { Runtime } from "../../provider/src/runtime/runtime.ts";
import type { ReadFolder } from "./unit-folder.ts";

export interface Secret {
  /** What it is; never a part of it. */
  readonly what: string;
  /** Texts that give it away. */
  readonly forms: readonly string[];
}

/** A token, a passphrase or any other text. */
export function textSecret(what: string, text: string): Secret {
  return { what, forms: [...new Set([normal(text), text.replaceAll("-", ""), ...encoded(Buffer.from(text))])] };
}

/** A private key in PEM. */
export function keySecret(what: string, pem: string): Secret {
  const scalar = Buffer.from(String(createPrivateKey(pem).export({ format: "jwk" }).d), "base64url");
  const body = pem.indexOf("-----\n") + 6;
  // Of the PEM text itself the end of its first line: before that all keys of a kind are equal.
  const line = encoded(Buffer.from(pem.slice(body + 48, body + 88)));
  return { what, forms: [...new Set([normal(scalar.toString("latin1")), ...encoded(scalar), ...line])] };
}

/** Which of the secrets the text holds. */
export function findSecrets(secrets: readonly Secret[], hay: string | Buffer): readonly string[] {
  const text = normal(typeof hay === "string" ? hay : hay.toString("latin1"));
  const lower = text.toLowerCase();
  return secrets
    .filter(({ forms }) => forms.some((form) => text.includes(form) || lower.includes(form)))
    .map(({ what }) => what);
}

/** Every token, private key and other secret of the mesh's units and control planes. */
export async function collectSecrets(runtime: Runtime, mesh: string, read: ReadFolder): Promise<readonly Secret[]> {
  const secrets: Secret[] = [];
  for (const { id } of await runtime.list(mesh)) {
    const where = `${id.datacenter}/${id.role}/${id.name}`;
    const files = await read(id);
    for (const [path, content] of files) {
      const pems = content.toString("latin1").replaceAll("\\n", "\n").match(privateKey) ?? [];
      if (!path.startsWith("state.db")) secrets.push(...pems.map((pem) => keySecret(`key in ${where}/${path}`, pem)));
    }
    if (id.role !== "control-plane") continue;
    for (const { kind, key, value } of await readRecords(files)) {
      if (value.PrivateKey) secrets.push(keySecret(`${kind} ${key} of ${where}`, value.PrivateKey));
    }
    const { join: joined } = JSON.parse(files.get("config.json")!.toString()) as { join?: { token: string } };
    if (joined) secrets.push(textSecret(`replication token in ${where}/config.json`, joined.token));
    using api = openApi(runtime, mesh, id.datacenter);
    for (const token of await api.get<readonly Token[]>("/v1/acl/tokens")) {
      if (token.SecretID === "anonymous") continue;
      secrets.push(textSecret(`token "${token.Description}" of ${id.datacenter}`, token.SecretID));
    }
  }
  return secrets;
}

/** Chain and key of a record that a control plane keeps to itself; its folder as it was read. */
export async function readPair(
  files: ReadonlyMap<string, Buffer>,
  kind: "leaf" | "signer",
  key: string,
): Promise<{ readonly cert: string; readonly key: string }> {
  const record = (await readRecords(files)).find((one) => one.kind === kind && one.key === key);
  if (!record?.value.PrivateKey) throw new Error(`no ${kind} "${key}" in the database`);
  return { cert: (record.value.Chain ?? []).join("\n"), key: record.value.PrivateKey };
}

interface Token {
  readonly Description: string;
  readonly SecretID: string;
}

interface KeyRecord {
  readonly kind: string;
  readonly key: string;
  readonly value: { readonly PrivateKey?: string; readonly Chain?: readonly string[] };
}

const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----\n[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/g;

/** Reads a copy of the database, since its owner keeps it locked. */
async function readRecords(files: ReadonlyMap<string, Buffer>): Promise<readonly KeyRecord[]> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-state-"));
  try {
    for (const name of ["state.db", "state.db-wal"]) {
      const content = files.get(name);
      if (content) await writeFile(join(folder, name), content, { mode: 0o600 });
    }
    const database = new DatabaseSync(join(folder, "state.db"));
    const rows = database.prepare("SELECT kind, key, value FROM record WHERE kind IN ('signer', 'leaf')").all();
    database.close();
    return rows.map(({ kind, key, value }) => ({
      kind: String(kind),
      key: String(key),
      value: JSON.parse(String(value)) as KeyRecord["value"],
    }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Line ends do not tell two texts apart, neither real ones nor those that JSON writes. */
function normal(text: string): string {
  return text.replace(/\\[nr]|[\r\n]/g, "");
}

/** Hex, and base64 at each of the three places that bytes can have in a longer text. */
function encoded(bytes: Buffer): readonly string[] {
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const whole = (before + bytes.length) % 3 === 0 ? text.length : text.length - 1;
    return text.slice([0, 2, 3][before], whole);
  });
  const url = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  return [bytes.toString("hex"), ...base64, ...url];
}
