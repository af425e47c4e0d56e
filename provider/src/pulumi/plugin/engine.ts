/** The engine's log, so that what an operation says is shown at its resource; a plugin's own output is not shown. */
import grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import enginePb from "@pulumi/pulumi/proto/engine_pb.js";

export interface Engine {
  /** Shows a line at the resource. A line that cannot be sent is lost. */
  log(urn: string, line: string): void;
}

/** A client of the engine at `address` (host:port); nothing is dialled before the first line. */
export function connectEngine(address: string): Engine {
  const client = new engineService.EngineClient(address, grpc.credentials.createInsecure());
  return {
    log(urn, line) {
      const request = new enginePb.LogRequest();
      request.setSeverity(enginePb.LogSeverity.INFO);
      request.setUrn(urn);
      request.setMessage(line);
      client.log(request, () => {});
    },
  };
}
