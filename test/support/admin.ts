/** A unit's Envoy, asked through its admin socket. */
import { request } from "node:http";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";

/** GET of an admin path; the body as text. */
export async function admin(runtime: Runtime, unit: UnitId, path: string): Promise<string> {
  const stream = await runtime.dial(unit, { socket: "admin.sock" });
  try {
    return await new Promise((resolve, reject) => {
      const call = request({ createConnection: () => stream as never, path, host: "admin" }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve(Buffer.concat(chunks).toString()));
        response.on("error", reject);
      });
      call.on("error", reject);
      call.end();
    });
  } finally {
    stream.destroy();
  }
}

/** Sum of the counters whose name matches. */
export async function counter(runtime: Runtime, unit: UnitId, name: RegExp): Promise<number> {
  const { stats } = JSON.parse(await admin(runtime, unit, "/stats?format=json")) as {
    stats: { name?: string; value?: number }[];
  };
  return stats.filter((one) => one.name && name.test(one.name)).reduce((sum, one) => sum + (one.value ?? 0), 0);
}
