/**
 * Entry of `pulumi-resource-isthmus`, which the Pulumi engine starts with its own address. It serves until the engine stops it
 * or has gone.
 */
import { createRequire } from "node:module";
import grpc from "@grpc/grpc-js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { processContext } from "../process-context.ts";
import { connectEngine } from "./engine.ts";
import { createProviderService } from "./service.ts";
import { projectMesh } from "./urn.ts";

const maxMessageBytes = 400 * 1024 * 1024;

/** How often it looks whether the engine that started it is still there, in milliseconds. */
const parentMs = 1_000;

/** How long what is under way may take to fail after a signal, in milliseconds. */
const graceMs = 3_000;

const address = process.argv.slice(2).findLast((argument) => !argument.startsWith("-"));
if (address === undefined) {
  console.error("pulumi-resource-isthmus: the engine's address is missing; it is started by pulumi, not by hand");
  process.exit(1);
}

const { version } = createRequire(import.meta.url)("../../../package.json") as { readonly version: string };
const { handlers, cancel } = createProviderService({
  version,
  context: processContext(() => {}),
  engine: connectEngine(address),
  connectEngine,
  projectMesh: () => projectMesh(process.cwd()),
});
const server = new grpc.Server({
  "grpc.max_receive_message_length": maxMessageBytes,
  "grpc.max_send_message_length": -1,
});
server.addService(providerService.ResourceProviderService, handlers);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${port}\n`);
});

function stop(): void {
  cancel();
  server.tryShutdown(() => process.exit(0));
  setTimeout(() => process.exit(0), graceMs).unref();
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);

const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) stop();
}, parentMs).unref();
