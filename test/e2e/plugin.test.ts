/**
 * The provider plugin with the real engine: a program that ran on dynamic resources moves to it, and everything that only the
 * plugin can do is done. Each step stands on the one before.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { openApi } from "../../provider/src/pulumi/api-client.ts";
import { openRuntime } from "../../provider/src/runtime/open.ts";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";
import { createProject, type Project } from "../support/project.ts";
import { say } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";
import type { Variant } from "./program/variant.ts";

/** Where the plugin lies among the packages of a project. */
const pluginFolder = join(import.meta.dirname, "../../node_modules/@isthmus/provider/plugin");

const nothingChanged = /[1-9][0-9]* (created|updated|replaced|deleted)/;

/** One step of `pulumi preview --json`, as far as it is read here. */
interface Step {
  readonly op: string;
  readonly urn: string;
  readonly detailedDiff?: Readonly<Record<string, { readonly kind: string; readonly inputDiff: boolean }>>;
}

/** From dynamic resources to the plugin: the import and three lines of Pulumi.yaml. */
async function moveToPlugin(directory: string): Promise<void> {
  const index = join(directory, "index.ts");
  await writeFile(index, (await readFile(index, "utf8")).replace('"@isthmus/sdk"', '"@isthmus/sdk/plugin"'));
  const exported =
    '\nexport const accessor = bannerToken ? bannerToken.accessorId : "none";\nexport const proxy = web.proxyId;\n';
  await writeFile(index, `${await readFile(index, "utf8")}${exported}`);
  const project = join(directory, "Pulumi.yaml");
  const lines = ["plugins:", "  providers:", `    - { name: isthmus, path: ${relative(directory, pluginFolder)} }`, ""];
  await writeFile(project, `${await readFile(project, "utf8")}${lines.join("\n")}`);
}

describe("the provider plugin", { timeout: 300_000 }, () => {
  let project: Project;
  let runtime: Runtime;
  const unit = (datacenter: string, role: UnitId["role"], name: string): UnitId => ({
    mesh: project.mesh,
    datacenter,
    role,
    name,
  });
  const web = () => unit("dc2", "service", "web");
  const echoes = (text: string) =>
    eventually(
      `"${text}" comes back`,
      async () => (await say(runtime, web(), 8181, text)).text === `${text}\n`,
      20_000,
    );
  const pids = async () =>
    Object.fromEntries(
      (await runtime.list(project.mesh)).flatMap(({ id, processes }) =>
        processes.map(({ name, pid }) => [`${id.datacenter}/${id.name}/${name}`, pid]),
      ),
    );
  const good = async (args: readonly string[], variant?: Partial<Variant>): Promise<string> => {
    const { exitCode, output } = await project.pulumi(args, variant);
    assert.equal(exitCode, 0, output);
    return output;
  };
  const plan = async (variant: Partial<Variant>): Promise<readonly Step[]> => {
    const output = await good(["preview", "--json"], variant);
    const { steps } = JSON.parse(output.slice(output.indexOf("{"))) as { readonly steps: readonly Step[] };
    return steps.filter((step) => step.op !== "same");
  };

  before(async () => {
    runtime = await openRuntime("local");
    project = await createProject({ runtime: "local", log: (line) => console.log(line) });
  });
  after(async () => {
    for (const state of await runtime.list(project.mesh)) await runtime.remove(state.id);
    await project[Symbol.asyncDispose]();
  });

  test("a program of dynamic resources moves to the plugin and nothing changes", async () => {
    await project.up();
    await echoes("dynamic");
    const before = await pids();
    await moveToPlugin(project.directory);
    const { output, changes } = await project.up();
    assert.doesNotMatch(output, nothingChanged);
    assert.equal(changes["unchanged"], 10, output);
    assert.deepEqual(await pids(), before);
    const state = await good(["stack", "export"]);
    assert.match(state, /isthmus:index:Datacenter::dc1/);
    assert.doesNotMatch(state, /pulumi-nodejs:dynamic/);
    await echoes("plugin");
    // The compiler has seen the program once.
    project.env["PULUMI_NODEJS_TRANSPILE_ONLY"] = "true";
  });

  test("a second up changes nothing, and one after a refresh neither", async () => {
    assert.doesNotMatch((await project.up()).output, nothingChanged);
    assert.doesNotMatch(await good(["refresh", "--yes", "--skip-preview"]), nothingChanged);
    assert.doesNotMatch((await project.up()).output, nothingChanged);
  });

  test("a preview names every property that changes, and shows outputs that are known", async () => {
    const steps = await plan({ tags: ["one"], defaultPolicy: "allow", secret: "canary" });
    const step = (name: string) => steps.find((one) => one.urn.endsWith(`::${name}`))!;
    assert.deepEqual(steps.map((one) => `${one.op} ${one.urn.split("::").at(-1)}`).sort(), [
      "create banner",
      "update banner",
      "update dc1",
      "update socat",
    ]);
    assert.deepEqual(step("dc1").detailedDiff, { "acl.defaultPolicy": { kind: "update", inputDiff: true } });
    assert.deepEqual(step("socat").detailedDiff, { "tags[0]": { kind: "add", inputDiff: true } });
    const shown = await good(["preview", "--diff"], { secret: "canary" });
    assert.match(shown, /accessor: "none" => "[0-9a-f-]{36}"/, "the accessor of a token that is not made yet");
    assert.doesNotMatch(shown, /canary/);
  });

  test("secrets are encrypted in the state", async () => {
    const canary = "canary-6d0c1f";
    await project.up({ secret: canary });
    const token = (await good(["stack", "export"])).match(/"secretId": \{[^}]*\}/)?.[0];
    assert.match(String(token), /ciphertext/);
    assert.doesNotMatch(await good(["stack", "export"]), new RegExp(canary));
    await project.up();
  });

  test("refresh shows what was changed by hand, property by property, and up puts it back", async () => {
    using api = openApi(runtime, project.mesh, "dc1");
    await api.put("/v1/connect/intentions/exact?source=web&destination=socat", {
      SourceName: "web",
      DestinationName: "socat",
      Action: "deny",
    });
    await runtime.remove(unit("dc1", "mesh-gateway", "gateway-primary"));
    const seen = await good(["refresh", "--preview-only", "--diff"]);
    assert.match(seen, /action\s*: "allow" => "deny"/);
    assert.match(seen, /- isthmus:index:MeshGateway.*\s*\[id=dc1\/mesh-gateway\/gateway-primary\]/);
    const { output } = await project.up();
    assert.match(output, /2 updated/);
    await echoes("repaired");
    assert.doesNotMatch((await project.up()).output, nothingChanged);
  });

  test("of a state that was lost everything but programs is imported by its ID, and programs are found again", async () => {
    const before = await pids();
    const state = JSON.parse(await good(["stack", "export"])) as {
      readonly deployment: {
        resources: readonly { readonly type: string; readonly urn: string; readonly id: string }[];
      };
    };
    const { resources } = state.deployment;
    state.deployment.resources = resources.filter(({ type }) => type === "pulumi:pulumi:Stack");
    await writeFile(join(project.directory, "state.json"), JSON.stringify(state));
    await good(["stack", "import", "--file", "state.json"]);
    const lost = resources
      .filter(({ type }) => type.startsWith("isthmus:index:") && !type.endsWith("ServiceRegistration"))
      .map(({ type, urn, id }) => ({ type, name: urn.split("::").at(-1), id }));
    await writeFile(join(project.directory, "lost.json"), JSON.stringify({ resources: lost }));
    const options = ["--generate-code=false", "--protect=false", "--yes", "--skip-preview"];
    assert.match(await good(["import", "--file", "lost.json", ...options]), /= 6 imported/);
    const { output } = await project.up();
    assert.match(output, /gateway-secondary updated .*\[diff: ~certificate\]/);
    assert.match(output, /\+ 3 created\n\s*~ 2 updated/);
    assert.deepEqual(await pids(), before);
    assert.doesNotMatch((await project.up()).output, nothingChanged);
  });

  test("an ID that is none, and what cannot be read back, is refused with the reason", async () => {
    const refused = async (noun: string, id: string): Promise<string> => {
      const args = ["import", `isthmus:index:${noun}`, "x", id, "--generate-code=false", "--yes", "--skip-preview"];
      const { exitCode, output } = await project.pulumi(args);
      assert.notEqual(exitCode, 0, output);
      return output;
    };
    assert.match(await refused("MeshGateway", "gateway"), /IDs have the form <datacenter>\/mesh-gateway\/<name>/);
    assert.match(await refused("ServiceRegistration", "dc2/service/web"), /cannot be read back/);
    assert.match(await refused("MeshGateway", "dc2/mesh-gateway/none"), /does not exist/);
  });

  test("Ctrl-C, and the engine's sudden death, while something is made leave a state that the next up heals", async () => {
    const variant = { secondGateway: true };
    const up = () => {
      const child = spawn("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive"], {
        cwd: project.directory,
        env: { ...project.env, E2E: JSON.stringify(variant) },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk));
      const ended = new Promise((resolve) => child.once("close", resolve));
      return { child, ended, output: () => output };
    };
    const control = (await runtime.inspect(unit("dc2", "control-plane", "dc2")))!.processes[0]!;
    process.kill(control.pid!, "SIGSTOP");
    try {
      const first = up();
      await eventually("the other gateway to be made", () => /gateway-primary-2 created/.test(first.output()), 30_000);
      const start = performance.now();
      first.child.kill("SIGINT");
      assert.notEqual(await first.ended, 0);
      assert.ok(performance.now() - start < 10_000, "it ends soon");
      assert.match(first.output(), /control plane of "dc2" has not answered: cancelled/);
      const second = up();
      await eventually(
        "it to be tried again",
        () => /gateway-secondary-2 (creat|updat)ing/.test(second.output()),
        30_000,
      );
      second.child.kill("SIGKILL");
      await second.ended;
    } finally {
      process.kill(control.pid!, "SIGCONT");
    }
    await good(["cancel", "--yes"]);
    await project.up(variant);
    assert.doesNotMatch((await project.up(variant)).output, nothingChanged);
    const gateways = (await runtime.list(project.mesh)).filter(({ id }) => id.role === "mesh-gateway");
    assert.equal(gateways.length, 4);
    await echoes("healed");
  });

  test("destroy needs neither the program nor its packages where the plugin is on the PATH, and leaves nothing", async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), "isthmus-elsewhere-"));
    try {
      await writeFile(join(elsewhere, "Pulumi.yaml"), "name: e2e\nruntime: nodejs\n");
      const env = { ...project.env, PATH: `${pluginFolder}${delimiter}${project.env["PATH"]}` };
      const args = ["destroy", "--stack", "test", "--yes", "--skip-preview", "--non-interactive"];
      await promisify(execFile)("pulumi", args, { cwd: elsewhere, env });
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
    assert.deepEqual(await runtime.list(project.mesh), []);
  });
});
