/** What the user has set is used; what is not set comes from the project. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pulumiEnvironment, usesOwnBackend } from "./pulumi-environment.ts";

const INPUT = {
  directory: "/p/.isthmus",
  passphraseFile: "/p/.isthmus/passphrase",
  pulumi: { binary: "/cache/pulumi/pulumi", source: "built" },
  node: "/node/bin/node",
} as const;

const ROWS: readonly {
  readonly name: string;
  readonly base: NodeJS.ProcessEnv;
  readonly expected: Record<string, string | undefined>;
}[] = [
  {
    name: "nothing set",
    base: { PATH: "/usr/bin:/bin" },
    expected: {
      PATH: "/cache/pulumi:/node/bin:/usr/bin:/bin",
      PULUMI_BACKEND_URL: "file:///p/.isthmus/backend",
      PULUMI_HOME: "/p/.isthmus/pulumi-home",
      PULUMI_CONFIG_PASSPHRASE_FILE: "/p/.isthmus/passphrase",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    },
  },
  {
    name: "own backend and passphrase",
    base: { PULUMI_BACKEND_URL: "s3://x", PULUMI_CONFIG_PASSPHRASE: "p" },
    expected: { PULUMI_BACKEND_URL: "s3://x", PULUMI_HOME: undefined, PULUMI_CONFIG_PASSPHRASE_FILE: undefined },
  },
  {
    name: "an access token means Pulumi Cloud",
    base: { PULUMI_ACCESS_TOKEN: "t" },
    expected: {
      PULUMI_BACKEND_URL: undefined,
      PULUMI_HOME: undefined,
      PULUMI_CONFIG_PASSPHRASE_FILE: "/p/.isthmus/passphrase",
    },
  },
  {
    name: "an empty passphrase is a passphrase, an empty backend is none",
    base: { PULUMI_CONFIG_PASSPHRASE: "", PULUMI_BACKEND_URL: "" },
    expected: {
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
      PULUMI_BACKEND_URL: "file:///p/.isthmus/backend",
    },
  },
];

for (const row of ROWS) {
  test(`environment: ${row.name}`, () => {
    const env = pulumiEnvironment({ ...INPUT, base: row.base });
    for (const [key, value] of Object.entries(row.expected)) assert.equal(env[key], value, key);
  });
}

test("the user's backend is theirs", () => {
  assert.equal(usesOwnBackend({}), true);
  assert.equal(usesOwnBackend({ PULUMI_ACCESS_TOKEN: "t" }), false);
  assert.equal(usesOwnBackend({ PULUMI_BACKEND_URL: "file://x" }), false);
});
