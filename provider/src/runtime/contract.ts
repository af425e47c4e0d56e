/** What every runtime must do, as tests: run against the real thing, with small Node programs as processes. */
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isMeshError } from "../model/errors.ts";
import { placeholder } from "./process-spec.ts";
import type { DialTarget, Owner, ProcessSpec, Runtime, UnitId } from "./runtime.ts";

/** A runtime with what only its own kind can do to it. */
export interface RuntimeUnderTest {
  readonly runtime: Runtime;
  /** A second one over the same engine or state, as another process would open it. */
  readonly another: Runtime;
  /** Takes away by hand what the runtime finds a unit by, and leaves its processes as they are. */
  readonly loseState: (id: UnitId) => Promise<void>;
  /** Names of whatever is left of a mesh: processes, containers, networks, volumes, folders. */
  readonly remains: (mesh: string) => Promise<readonly string[]>;
}

/** A mesh with a random id, whose units are removed and looked for at the end. */
interface TestMesh {
  readonly id: string;
  readonly unit: (name: string, datacenter?: string, role?: UnitId["role"]) => UnitId;
  readonly owner: (resource: string) => Owner;
}

/** Answers one question a connection; the question ends with the end of the stream. */
const questionServer = `
const net = require("node:net"), fs = require("node:fs");
const boot = Math.random().toString(36).slice(2);
let watched = 0, odd = 0, timer;
const answers = {
  echo: (...words) => words.join(" "),
  boot: () => boot,
  crash: () => { setTimeout(() => process.exit(3), 20); return "bye"; },
  read: (path) => fs.readFileSync(path, "utf8"),
  mode: (path) => { const s = fs.statSync(path); return (s.mode & 0o777).toString(8) + " " + (s.uid === process.getuid()); },
  watch: (path) => {
    timer = setInterval(() => {
      for (let i = 0; i < 50; i++) {
        watched++;
        try { const t = fs.readFileSync(path, "latin1"); if (t.length !== 100000 || t !== t[0].repeat(t.length)) odd++; } catch { odd++; }
      }
    }, 0);
    return "";
  },
  watched: () => { clearInterval(timer); return watched + " " + odd; },
  connect: (host, port) => new Promise((resolve) => {
    const socket = net.connect({ host, port: Number(port), timeout: 1500 });
    socket.once("connect", () => { socket.destroy(); resolve("connected"); });
    socket.once("timeout", () => { socket.destroy(); resolve("refused"); });
    socket.once("error", () => resolve("refused"));
  }),
};
const serve = (socket) => {
  let question = "";
  socket.on("data", (chunk) => (question += chunk)).on("error", () => {});
  socket.on("end", async () => { const [verb, ...rest] = question.split(" "); socket.end(String(await answers[verb]?.(...rest))); });
};
const [port, host, path] = process.argv.slice(1);
process.on("SIGTERM", () => process.exit(0));
fs.rmSync(path, { force: true });
net.createServer({ allowHalfOpen: true }, serve).listen(Number(port), host);
net.createServer({ allowHalfOpen: true }, serve).listen(path, () => console.log("serving " + boot));
`;

/** A process that answers questions on a port and on the socket `<name>.sock`. */
export function questionProcess(name: string, port: number, more: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    name,
    program: { type: "command", command: "node" },
    args: ["-e", questionServer, String(port), placeholder("local"), `${placeholder("directory")}/${name}.sock`],
    env: {},
    revision: "1",
    ...more,
  };
}

/** Asks a process of {@link questionProcess}, until it answers or ten seconds are over. */
export async function ask(runtime: Runtime, id: UnitId, target: DialTarget, question: string): Promise<string> {
  return await eventually(`an answer to "${question}"`, async () => {
    const stream = await runtime.dial(id, target);
    stream.end(question);
    return await text(stream);
  });
}

/** Tries again until it does not throw. */
export async function eventually<T>(what: string, attempt: () => Promise<T>, deadlineMs = 15_000): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`no ${what} in ${deadlineMs} ms`, { cause: error });
      await delay(20);
    }
  }
}

/** Runs a test with a mesh of its own and checks that removing its units leaves nothing. */
export async function withMesh(under: RuntimeUnderTest, body: (mesh: TestMesh) => Promise<void>): Promise<void> {
  const id = randomBytes(5).toString("hex");
  const units = new Map<string, UnitId>();
  try {
    await body({
      id,
      unit: (name, datacenter = "dc1", role = "service") => {
        const unit = { mesh: id, datacenter, role, name };
        units.set(JSON.stringify(unit), unit);
        return unit;
      },
      owner: (resource) => ({ project: "contract", stack: "test", resource, mesh: id }),
    });
  } finally {
    await Promise.all([...units.values()].map((unit) => under.runtime.remove(unit)));
  }
  assert.deepEqual(await under.remains(id), []);
  assert.deepEqual(await under.runtime.list(id), []);
}

/** Registers the suite. */
export function runtimeContract(name: string, open: () => Promise<RuntimeUnderTest>): void {
  describe(`${name} runtime`, () => {
    const inMesh = (title: string, body: (under: RuntimeUnderTest, mesh: TestMesh) => Promise<void>) =>
      test(title, { timeout: 120_000 }, async () => {
        const under = await open();
        await withMesh(under, (mesh) => body(under, mesh));
      });

    inMesh("making a unit twice gives the same place, also to another process", async ({ runtime, another }, mesh) => {
      const id = mesh.unit("web");
      const first = await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      assert.match(first.lan, /^\d+\.\d+\.\d+\.\d+$/);
      assert.deepEqual(await another.ensureUnit(id, mesh.owner("web"), { wan: false }), first);
      assert.deepEqual((await another.inspect(id))?.placement, first);
      assert.deepEqual((await another.inspect(id))?.owner, mesh.owner("web"));
      const [one, two] = await Promise.all([
        runtime.ensureUnit(mesh.unit("a"), mesh.owner("a"), { wan: false }),
        another.ensureUnit(mesh.unit("b"), mesh.owner("b"), { wan: false }),
      ]);
      assert.equal(new Set([first.lan, one.lan, two.lan]).size, 3);
      assert.equal((await runtime.list(mesh.id)).length, 3);
    });

    inMesh("a unit of somebody else is refused with its owner's name", async ({ runtime }, mesh) => {
      const id = mesh.unit("web");
      await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      for (const key of ["project", "stack", "resource", "mesh"] as const) {
        const stranger = { ...mesh.owner("web"), [key]: "other" };
        await assert.rejects(runtime.ensureUnit(id, stranger, { wan: false }), (error) => {
          assert.ok(isMeshError(error) && error.code === "already_exists");
          assert.match(error.message, /resource "web" of stack "test" in project "contract"/);
          return true;
        });
      }
    });

    inMesh("what is not there says so", async ({ runtime }, mesh) => {
      const id = mesh.unit("web");
      assert.equal(await runtime.inspect(id), undefined);
      await assert.rejects(runtime.ensureProcess(id, questionProcess("app", 8080)), /is not there/);
      await runtime.removeProcess(id, "app");
      await runtime.remove(id);
      await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      for (const target of [{ port: 9 }, { socket: "none.sock" }]) {
        await assert.rejects(runtime.dial(id, target), (error) => isMeshError(error) && error.code === "unavailable");
      }
      await assert.rejects(runtime.putFiles(id, [{ path: "../out", content: "" }]), /inside|relative/);
    });

    inMesh("a process answers on its port and socket, shows its listeners and logs", async ({ runtime }, mesh) => {
      const id = mesh.unit("web");
      const placement = await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      const { local } = placement;
      const spec = questionProcess("app", 8080);
      const state = await runtime.ensureProcess(id, spec);
      assert.equal(state.running, true);
      assert.equal(await runtime.digest(placement, spec), state.digest);
      assert.notEqual(await runtime.digest(placement, { ...spec, revision: "another" }), state.digest);
      const long = randomBytes(100_000).toString("hex");
      assert.equal(await ask(runtime, id, { port: 8080 }, `echo ${long}`), long);
      assert.equal(await ask(runtime, id, { socket: "app.sock" }, "echo socket"), "socket");
      assert.deepEqual(await runtime.listeners(id), [{ address: local, port: 8080 }]);
      assert.match(await runtime.logs(id, "app", 1), /^serving \w+$/);
      assert.deepEqual(await runtime.ensureProcess(id, spec), state);
    });

    inMesh("files are the unit user's alone and are replaced whole", async ({ runtime }, mesh) => {
      const id = mesh.unit("web");
      await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      const put = (letter: string) =>
        runtime.putFiles(id, [{ path: "secrets/key.pem", content: letter.repeat(100_000) }]);
      await put("a");
      await runtime.ensureProcess(id, questionProcess("app", 8080));
      const app = { port: 8080 };
      assert.equal(await ask(runtime, id, app, "mode secrets/key.pem"), "600 true");
      assert.equal(await ask(runtime, id, app, "mode secrets"), "700 true");
      await ask(runtime, id, app, "watch secrets/key.pem");
      for (const letter of "bcdef") await put(letter);
      assert.match(await ask(runtime, id, app, "watched"), /^[1-9]\d* 0$/);
      assert.equal((await ask(runtime, id, app, "read secrets/key.pem"))[0], "f");
    });

    inMesh("a crashed process is started again, the other one of its unit is left alone", async ({ runtime }, mesh) => {
      const id = mesh.unit("web");
      await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      await runtime.ensureProcess(id, questionProcess("app", 8080));
      await runtime.ensureProcess(id, questionProcess("proxy", 8081));
      const [app, proxy] = [{ socket: "app.sock" }, { socket: "proxy.sock" }];
      const [appBoot, proxyBoot] = [await ask(runtime, id, app, "boot"), await ask(runtime, id, proxy, "boot")];
      const open = await runtime.dial(id, { port: 8081 });
      await ask(runtime, id, app, "crash");
      await eventually("restart", async () => assert.notEqual(await ask(runtime, id, app, "boot"), appBoot));
      assert.equal(await ask(runtime, id, proxy, "boot"), proxyBoot);
      open.destroy();
      const states = (await runtime.inspect(id))?.processes ?? [];
      assert.deepEqual(
        states.map(({ name, running, restarts }) => ({ name, running, restarts })),
        [
          { name: "app", running: true, restarts: 1 },
          { name: "proxy", running: true, restarts: 0 },
        ],
      );
    });

    inMesh("a changed spec starts only its own process anew", async ({ runtime, another }, mesh) => {
      const id = mesh.unit("web");
      await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      const app = questionProcess("app", 8080);
      await runtime.ensureProcess(id, app);
      await runtime.ensureProcess(id, questionProcess("proxy", 8081));
      const boots = async () => [
        await ask(another, id, { socket: "app.sock" }, "boot"),
        await ask(another, id, { socket: "proxy.sock" }, "boot"),
      ];
      const before = await boots();
      await another.ensureProcess(id, app);
      assert.deepEqual(await boots(), before);
      await another.ensureProcess(id, { ...app, revision: "2" });
      const after = await boots();
      assert.notEqual(after[0], before[0]);
      assert.equal(after[1], before[1]);
      await runtime.removeProcess(id, "app");
      assert.deepEqual(
        (await runtime.inspect(id))?.processes.map((one) => one.name),
        ["proxy"],
      );
      await assert.rejects(runtime.dial(id, { port: 8080 }), /nothing listens/);
    });

    inMesh("a unit joins and leaves the WAN in place", async ({ runtime }, mesh) => {
      const id = mesh.unit("web");
      const first = await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      assert.equal(first.wan, undefined);
      await assert.rejects(
        runtime.ensureProcess(id, questionProcess("app", 8080, { env: { WAN: placeholder("wan") } })),
        /join the WAN/,
      );
      await runtime.ensureProcess(id, questionProcess("app", 8080));
      const boot = await ask(runtime, id, { port: 8080 }, "boot");
      const joined = await runtime.ensureUnit(id, mesh.owner("web"), { wan: true });
      assert.equal(joined.lan, first.lan);
      assert.match(joined.wan ?? "", /^\d+\.\d+\.\d+\.\d+$/);
      const left = await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      assert.deepEqual(left, first);
      assert.equal(await ask(runtime, id, { port: 8080 }, "boot"), boot);
    });

    inMesh("what was taken away by hand is healed", async ({ runtime, loseState }, mesh) => {
      const id = mesh.unit("web");
      const owner = mesh.owner("web");
      await runtime.ensureUnit(id, owner, { wan: true });
      await runtime.ensureProcess(id, questionProcess("app", 8080));
      const boot = await ask(runtime, id, { port: 8080 }, "boot");
      await loseState(id);
      assert.ok((await runtime.inspect(id))?.processes.every((one) => !one.running) ?? true);
      assert.equal((await runtime.list(mesh.id)).length, 1, "what is left still shows");
      await assert.rejects(runtime.ensureUnit(id, { ...owner, stack: "other" }, { wan: true }), /belongs to/);
      await runtime.ensureUnit(id, owner, { wan: true });
      const healed = await runtime.ensureProcess(id, questionProcess("app", 8080));
      assert.equal(healed.running, true);
      assert.notEqual(await ask(runtime, id, { port: 8080 }, "boot"), boot);
    });

    inMesh("removing leaves nothing, even when the state was lost", async ({ runtime, loseState, remains }, mesh) => {
      for (const name of ["web", "db"]) {
        await runtime.ensureUnit(mesh.unit(name), mesh.owner(name), { wan: true });
        await runtime.ensureProcess(mesh.unit(name), questionProcess("app", 8080));
        await ask(runtime, mesh.unit(name), { port: 8080 }, "boot");
      }
      await loseState(mesh.unit("web"));
      await runtime.remove(mesh.unit("web"));
      assert.equal(await ask(runtime, mesh.unit("db"), { port: 8080 }, "echo db"), "db");
      await runtime.remove(mesh.unit("db"));
      assert.deepEqual(await remains(mesh.id), []);
    });

    inMesh("two meshes live side by side", async (under, mesh) => {
      const id = mesh.unit("web");
      const { runtime } = under;
      await withMesh(under, async (twin) => {
        const places = await Promise.all([
          runtime.ensureUnit(id, mesh.owner("web"), { wan: true }),
          under.another.ensureUnit(twin.unit("web"), twin.owner("web"), { wan: true }),
        ]);
        assert.notEqual(places[0].lan, places[1].lan);
        for (const one of [id, twin.unit("web")]) await runtime.ensureProcess(one, questionProcess("app", 8080));
        const boots = [
          await ask(runtime, id, { port: 8080 }, "boot"),
          await ask(runtime, twin.unit("web"), { port: 8080 }, "boot"),
        ];
        assert.notEqual(boots[0], boots[1]);
      });
      assert.equal(await ask(runtime, id, { port: 8080 }, `echo ${mesh.id}`), mesh.id);
    });

    inMesh("a command that ends at once is seen to fail, with its last lines", async ({ runtime }, mesh) => {
      const id = mesh.unit("web");
      await runtime.ensureUnit(id, mesh.owner("web"), { wan: false });
      const reason = randomUUID();
      const args = ["-e", `console.error("${reason}"); process.exit(7)`];
      await runtime.ensureProcess(id, { ...questionProcess("app", 8080), args });
      await eventually("exit code", async () => {
        const [state] = (await runtime.inspect(id))?.processes ?? [];
        assert.equal(state?.exitCode, 7);
      });
      assert.match(await runtime.logs(id, "app", 3), new RegExp(reason));
    });
  });
}
