/** The pure parts of the runtimes: specs, names, the kernel's socket tables, the engine's frames, the holder's program. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createDemultiplexer } from "./docker/exec-stream.ts";
import { holderBinary } from "./docker/holder-binary.ts";
import { createKeyedQueue } from "./keyed-queue.ts";
import { parseListeningSockets } from "./listening-sockets.ts";
import { placeholder, resolveSpec, specDigest } from "./process-spec.ts";
import type { ProcessSpec } from "./runtime.ts";
import { checkFilePath, checkUnitId, parseUnitKey, unitKey } from "./unit-id.ts";

const other = `\${other}`;
const spec: ProcessSpec = {
  name: "proxy",
  program: { type: "envoy" },
  args: ["-c", `${placeholder("directory")}/x`, other],
  env: { A: "1", B: placeholder("lan") },
  revision: "1",
};
const placement = { lan: "10.0.0.2", local: "127.0.0.1", directory: "/unit" };

test("placeholders are filled in, other text stays", () => {
  const resolved = resolveSpec(spec, placement);
  assert.deepEqual(resolved.args, ["-c", "/unit/x", other]);
  assert.deepEqual(resolved.env, { A: "1", B: "10.0.0.2" });
  assert.throws(() => resolveSpec({ ...spec, args: [placeholder("wan")] }, placement), /WAN/);
});

test("the digest follows every part of the spec and no order of keys", () => {
  const digest = specDigest(spec, "");
  assert.equal(specDigest({ ...spec, env: { B: spec.env["B"]!, A: "1" } }, ""), digest);
  const others: ProcessSpec[] = [
    { ...spec, name: "app" },
    { ...spec, program: { type: "command", command: "envoy" } },
    { ...spec, args: ["-c"] },
    { ...spec, env: { A: "2" } },
    { ...spec, revision: "2" },
  ];
  const all = [digest, specDigest(spec, "bundle"), ...others.map((one) => specDigest(one, ""))];
  assert.equal(new Set(all).size, all.length);
});

test("unit keys and names", () => {
  const id = { mesh: "m", datacenter: "dc1", role: "service", name: "web" } as const;
  assert.deepEqual(parseUnitKey(unitKey(id)), id);
  for (const key of ["", "m/dc1/service", "m/dc1/other/web", "m/dc1/service/web/app"]) {
    assert.equal(parseUnitKey(key), undefined);
  }
  for (const name of ["", "a/b", "..", "-x", "a b", "x".repeat(200)]) assert.throws(() => checkUnitId({ ...id, name }));
  for (const path of ["a", "a/b.json", ".hidden"]) checkFilePath(path);
  for (const path of ["", "/a", "../a", "a/../b", "a//b", ".", "a/", "a\0b"]) assert.throws(() => checkFilePath(path));
});

test("listening sockets of the kernel's tables", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0101007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532        0 4711 1 0 100 0 0 10 0
   1: 0101007F:1F90 0101007F:C350 01 00000000:00000000 00:00000000 00000000 65532        0 4712 1 0 20 4 30 10 -1
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1`;
  assert.deepEqual(parseListeningSockets(table), [
    { address: "127.0.1.1", port: 8080, inode: "4711" },
    { address: "::", port: 80, inode: "4713" },
    { address: "::1", port: 81, inode: "4714" },
  ]);
});

test("frames are put together however they are cut", () => {
  const frame = (type: number, text: string) => {
    const header = Buffer.alloc(8);
    header[0] = type;
    header.writeUInt32BE(text.length, 4);
    return Buffer.concat([header, Buffer.from(text)]);
  };
  const bytes = Buffer.concat([frame(1, "hello"), frame(2, "oops"), frame(1, ""), frame(1, "world")]);
  for (let size = 1; size <= bytes.length; size++) {
    const demultiplex = createDemultiplexer();
    let [output, error] = ["", ""];
    for (let at = 0; at < bytes.length; at += size) {
      for (const part of demultiplex(bytes.subarray(at, at + size))) {
        if (part.type === 1) output += part.bytes;
        else error += part.bytes;
      }
    }
    assert.deepEqual([output, error], ["helloworld", "oops"]);
  }
});

test("tasks of one key take turns, a failure does not stop the next", async () => {
  const queue = createKeyedQueue();
  const order: string[] = [];
  const failing = queue("a", async () => {
    await new Promise((resolve) => setImmediate(resolve));
    order.push("first");
    throw new Error("first");
  });
  const second = queue("a", async () => order.push("second"));
  await queue("b", async () => order.push("other"));
  await assert.rejects(failing, /first/);
  await second;
  assert.deepEqual(order, ["other", "first", "second"]);
});

test("the holder's program renames pairs, waits, and ends on SIGTERM", async (context) => {
  for (const architecture of ["x64", "arm64"] as const) assert.ok(holderBinary(architecture).length < 300);
  if (process.platform !== "linux" || (process.arch !== "x64" && process.arch !== "arm64")) {
    context.skip("runs on Linux with x64 or arm64");
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), "isthmus-holder-"));
  try {
    const holder = join(folder, "holder");
    await writeFile(holder, holderBinary(process.arch), { mode: 0o755 });
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => join(folder, name)) as [string, string, string, string];
    await writeFile(a, "");
    await writeFile(c, "");
    assert.equal(spawnSync(holder, [a, b, c, d]).status, 0);
    assert.deepEqual([a, b, c, d].map(existsSync), [false, true, false, true]);
    assert.equal(spawnSync(holder, [a, b]).status, 1);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const child = spawn(holder, { stdio: "ignore" });
      const ended = new Promise((resolve) => child.once("exit", (code, killedBy) => resolve(code ?? killedBy)));
      await waitUntilBlocked(child.pid ?? 0);
      child.kill(signal);
      assert.equal(await ended, 0);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** Until the kernel shows the program itself, asleep: it has blocked the signals by then. */
async function waitUntilBlocked(pid: number): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (Date.now() < deadline) {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    if (/^Name:\tholder$/m.test(status) && /^State:\tS/m.test(status)) return;
  }
}
