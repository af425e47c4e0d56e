/** The federation as containers; needs a Docker engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { findRuntimes } from "../../provider/src/runtime/open.ts";
import { federationSuite } from "./federation-suite.ts";

const engine = (await findRuntimes()).some((runtime) => runtime.kind === "docker");
if (engine) federationSuite("docker");
else
  test("federation in the docker runtime", { skip: !process.env["CI"] && "no Docker engine answers" }, () =>
    assert.fail("no Docker engine answers"),
  );
