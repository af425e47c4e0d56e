/** The federation's life in one runtime, with the real engine, Envoy and processes: each step stands on the one before. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openRuntime } from "../../provider/src/runtime/open.ts";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";
import { admin, counter } from "../support/admin.ts";
import { createProject, type Project } from "../support/project.ts";
import { converse, listen, say } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";

const nothingChanged = /[1-9][0-9]* (created|updated|replaced|deleted)/;

export interface Federation {
  readonly runtime: Runtime;
  readonly project: Project;
  readonly unit: (datacenter: string, role: UnitId["role"], name: string) => UnitId;
}

export function federationSuite(kind: "docker" | "local", extra?: (federation: () => Federation) => void): void {
  let project: Project;
  let runtime: Runtime;
  const unit = (datacenter: string, role: UnitId["role"], name: string): UnitId => ({
    mesh: project.mesh,
    datacenter,
    role,
    name,
  });
  const web = () => unit("dc2", "service", "web");
  const socat = () => unit("dc1", "service", "socat");
  const gateway = (datacenter: string, name: string) => unit(datacenter, "mesh-gateway", name);
  const kill = async (id: UnitId, name: string): Promise<number> => {
    const process_ = (await runtime.inspect(id))?.processes.find((one) => one.name === name);
    assert.ok(process_?.pid, `${name} of ${id.name} runs`);
    process.kill(process_.pid, "SIGKILL");
    return process_.pid;
  };
  const runsAgain = (id: UnitId, name: string, formerPid: number) =>
    eventually(`${name} of ${id.name} runs again`, async () => {
      const state = (await runtime.inspect(id))?.processes.find((one) => one.name === name);
      return state?.running && state.pid !== formerPid;
    });
  const echoes = (text: string) =>
    eventually(
      `"${text}" comes back`,
      async () => (await say(runtime, web(), 8181, text)).text === `${text}\n`,
      20_000,
    );

  describe(`federation in the ${kind} runtime`, { timeout: 600_000 }, () => {
    before(async () => {
      runtime = await openRuntime(kind);
      project = await createProject({ runtime: kind, log: (line) => console.log(line) });
    });
    after(async () => {
      for (const state of await runtime.list(project.mesh)) await runtime.remove(state.id);
      await project[Symbol.asyncDispose]();
    });

    test("up brings it up and a line echoes through both gateways", async () => {
      await project.up();
      const before = await Promise.all(
        [gateway("dc1", "gateway-primary"), gateway("dc2", "gateway-secondary")].map((id) =>
          counter(runtime, id, /^tcp\..*downstream_cx_total$/),
        ),
      );
      assert.deepEqual(await say(runtime, web(), 8181, "hello"), { text: "hello\n", ended: false });
      const after = await Promise.all(
        [gateway("dc1", "gateway-primary"), gateway("dc2", "gateway-secondary")].map((id) =>
          counter(runtime, id, /^tcp\..*downstream_cx_total$/),
        ),
      );
      assert.deepEqual(
        after.map((count, index) => count - before[index]!),
        [1, 1],
      );
    });

    test("a second up changes nothing", async () => {
      const { output } = await project.up();
      assert.doesNotMatch(output, nothingChanged);
      assert.match(output, /unchanged/);
    });

    test("an up after refresh changes nothing", async () => {
      const refresh = await project.pulumi(["refresh", "--yes", "--skip-preview"]);
      assert.equal(refresh.exitCode, 0, refresh.output);
      assert.doesNotMatch((await project.up()).output, nothingChanged);
    });

    test("a caller that no intention allows gets not one byte, of a server that speaks first neither", async () => {
      assert.deepEqual(await listen(runtime, web(), 8182), { text: "", ended: true });
      assert.equal((await say(runtime, web(), 8182, "hello")).text, "");
    });

    test("a gateway holds no key and no route but the exact ones", async () => {
      const dump = await admin(runtime, gateway("dc1", "gateway-primary"), "/config_dump?include_eds");
      assert.ok(!dump.includes("PRIVATE KEY"), "a private key is in the gateway's config dump");
      const keys = [...dump.matchAll(/"private_key": \{\s*"inline_\w+": "([^"]*)"/g)].map((match) => match[1]!);
      // The one key that it has is that of its own control channel.
      assert.deepEqual(
        keys.map((key) => (key.startsWith("[") ? key : Buffer.from(key, "base64").toString())),
        ["[redacted]"],
      );
      const chains = filterChains(JSON.parse(dump));
      assert.ok(chains.some((names) => names[0]?.startsWith("socat.default.dc1.internal.")));
      for (const names of chains) {
        assert.equal(names.length, 1);
        assert.match(names[0]!, /^([a-z0-9-]+\.default\.dc1|\*\.dc2)\.internal\.[0-9a-f-]{36}\.consul$/);
      }
    });

    test("denying the intention ends and refuses connections, allowing it lets them pass", async () => {
      const talk = await converse(runtime, web(), 8181);
      await project.up({ intention: "deny" });
      await eventually("the open connection ends", () => talk.broken() !== undefined, 3_000);
      assert.deepEqual(await say(runtime, web(), 8181, "denied"), { text: "", ended: true });
      await project.up();
      await echoes("allowed");
    });

    test("the control plane is killed and restarted under traffic, and no connection breaks", async () => {
      const talk = await converse(runtime, web(), 8181);
      for (const datacenter of ["dc1", "dc2"]) {
        const id = unit(datacenter, "control-plane", datacenter);
        await runsAgain(id, "control-plane", await kill(id, "control-plane"));
      }
      const lines = talk.lines();
      await eventually("the conversation goes on", () => talk.lines() > lines + 20);
      assert.equal(talk.broken(), undefined);
      talk.close();
      await project.up({ intention: "deny" });
      assert.deepEqual(await say(runtime, web(), 8181, "denied"), { text: "", ended: true });
      await project.up();
      await echoes("after restart");
    });

    test("a second gateway is added and used; one of two is killed and new connections pass", async () => {
      await project.up({ secondGateway: true });
      const second = gateway("dc2", "gateway-secondary-2");
      for (let count = 0; count < 8; count += 1) await echoes(`both ${count}`);
      assert.ok((await counter(runtime, second, /^tcp\..*downstream_cx_total$/)) > 0);
      const first = gateway("dc2", "gateway-secondary");
      const pid = await kill(first, "proxy");
      for (let count = 0; count < 8; count += 1) {
        assert.equal((await say(runtime, web(), 8181, `one ${count}`)).text, `one ${count}\n`);
      }
      await runsAgain(first, "proxy", pid);
      await project.up();
      assert.equal(await runtime.inspect(second), undefined);
      await echoes("one gateway again");
    });

    test("app and sidecar are killed in turn and the other's connections stay", async () => {
      const direct = await converse(runtime, socat(), 8181);
      await runsAgain(socat(), "proxy", await kill(socat(), "proxy"));
      const lines = direct.lines();
      await eventually("the app's own connection goes on", () => direct.lines() > lines + 5);
      assert.equal(direct.broken(), undefined);
      direct.close();
      await echoes("after the sidecar's restart");
      const sidecar = (await runtime.inspect(socat()))?.processes.find((one) => one.name === "proxy");
      await runsAgain(socat(), "app", await kill(socat(), "app"));
      await echoes("after the app's restart");
      const same = (await runtime.inspect(socat()))?.processes.find((one) => one.name === "proxy");
      assert.deepEqual([same?.pid, same?.restarts], [sidecar?.pid, sidecar?.restarts]);
    });

    test("what was removed by hand is shown by refresh and put back by a plain up", async () => {
      await runtime.remove(gateway("dc1", "gateway-primary"));
      const refresh = await project.pulumi(["refresh", "--preview-only", "--diff"]);
      assert.equal(refresh.exitCode, 0, refresh.output);
      assert.match(refresh.output, /gateway-primary/);
      await project.up();
      await echoes("healed");
    });

    test("an in-place edit of a Datacenter plans exactly one update", async () => {
      const { output, exitCode } = await project.preview({ defaultPolicy: "allow" });
      assert.equal(exitCode, 0, output);
      assert.match(output, /~ 1 to update/);
      assert.doesNotMatch(output, /to (create|delete|replace)/);
    });

    extra?.(() => ({ runtime, project, unit }));

    test("a second mesh lives beside it; its teardown leaves the first one's echo alone", async () => {
      await using other = await createProject({ runtime: kind });
      await other.up();
      const otherWeb: UnitId = { mesh: other.mesh, datacenter: "dc2", role: "service", name: "web" };
      assert.equal((await say(runtime, otherWeb, 8181, "other")).text, "other\n");
      const talk = await converse(runtime, web(), 8181);
      await other.destroy();
      assert.deepEqual(await runtime.list(other.mesh), []);
      assert.equal(talk.broken(), undefined);
      talk.close();
      await echoes("still here");
    });

    test("destroy leaves nothing", async () => {
      await project.destroy();
      assert.deepEqual(await runtime.list(project.mesh), []);
    });
  });
}

/** Server names of every filter chain of every listener in a config dump; an empty list is a catch-all. */
function filterChains(dump: {
  readonly configs: readonly {
    readonly dynamic_listeners?: readonly {
      readonly active_state: {
        readonly listener: {
          readonly filter_chains: readonly {
            readonly filter_chain_match?: { readonly server_names?: readonly string[] };
          }[];
          readonly default_filter_chain?: unknown;
        };
      };
    }[];
  }[];
}): readonly (readonly string[])[] {
  const listeners = dump.configs.flatMap((config) => config.dynamic_listeners ?? []);
  return listeners.flatMap(({ active_state: { listener } }) => [
    ...listener.filter_chains.map((chain) => chain.filter_chain_match?.server_names ?? []),
    ...(listener.default_filter_chain ? [[]] : []),
  ]);
}
