/**
 * Entry of `pulumi-language-nodejs`, which the Pulumi engine starts to run TypeScript programs. Bundled into one file
 * that stands alone, because it lives beside the engine in the tool cache and outlives the clone that put it there.
 */
import grpc from "@grpc/grpc-js";
import { createLanguageRuntime } from "./service.ts";

const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;

/** How often it looks whether the engine that started it is still there; an engine that is killed says no good-bye. */
const engineWatchMs = 1_000;

/** The engine's address: the last argument that is not a flag. */
function engineAddress(args: readonly string[]): string {
  const address = args.findLast((arg) => !arg.startsWith("-"));
  if (address === undefined)
    throw new Error("pulumi-language-nodejs: the engine's address is missing (it is started by pulumi, not by hand)");
  return address;
}

const runtime = createLanguageRuntime(engineAddress(process.argv.slice(2)));
const server = new grpc.Server({
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": -1,
});
server.addService(runtime.service, runtime.handlers);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`${port}\n`);
});

function stop(): void {
  runtime.stopPrograms();
  process.exit(0);
}

const engine = process.ppid;
setInterval(() => {
  if (process.ppid !== engine) stop();
}, engineWatchMs).unref();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
