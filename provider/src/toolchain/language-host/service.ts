/** The LanguageRuntime service of the Pulumi engine (v3.200.0): runs programs and plugins written in TypeScript. */
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import type grpc from "@grpc/grpc-js";
import languageService from "@pulumi/pulumi/proto/language_grpc_pb.js";
import type {
  GetRequiredPackagesRequest,
  GetRequiredPackagesResponse,
  RunPluginRequest,
  RunPluginResponse,
  RunRequest,
  RunResponse,
} from "@pulumi/pulumi/proto/language_pb.js";
import languagePb from "@pulumi/pulumi/proto/language_pb.js";
import type { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb.js";
import pluginPb from "@pulumi/pulumi/proto/plugin_pb.js";
import { nodeArguments, type ProgramRun, programArguments, programEnvironment } from "./program.ts";
import { findPackages } from "./required-packages.ts";

/** Version that the host answers with: the engine's that it is written against. */
const HOST_VERSION = "3.200.0";

/** Exit code of a program that has told the user what is wrong; the engine then adds nothing. */
const EXIT_AFTER_USER_ERROR = 32;

/** As the SDK defines it, but for Cancel, whose empty answer is written here as the no bytes that it is. */
const SERVICE: grpc.ServiceDefinition = {
  ...languageService.LanguageRuntimeService,
  cancel: {
    ...languageService.LanguageRuntimeService.cancel,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
  },
};

/** The service for a gRPC server, and the end of every program that still runs. */
export interface LanguageRuntime {
  readonly service: grpc.ServiceDefinition;
  readonly handlers: grpc.UntypedServiceImplementation;
  stopPrograms(): void;
}

/** Makes the service for the engine at `engine` (host:port). */
export function createLanguageRuntime(engine: string): LanguageRuntime {
  const programs = new Set<ChildProcess>();

  const getPluginInfo: grpc.handleUnaryCall<unknown, PluginInfo> = (_call, reply) => {
    reply(null, new pluginPb.PluginInfo().setVersion(HOST_VERSION));
  };

  const getRequiredPackages: grpc.handleUnaryCall<GetRequiredPackagesRequest, GetRequiredPackagesResponse> = (
    call,
    reply,
  ) => {
    const directory = call.request.getInfo()?.getProgramDirectory() ?? "";
    const response = new languagePb.GetRequiredPackagesResponse();
    for (const found of findPackages(directory)) {
      response.addPackages(
        new pluginPb.PackageDependency()
          .setName(found.name)
          .setKind("resource")
          .setVersion(found.version)
          .setServer(found.server),
      );
    }
    reply(null, response);
  };

  const run: grpc.handleUnaryCall<RunRequest, RunResponse> = (call, reply) => {
    const response = new languagePb.RunResponse();
    let child: ChildProcess;
    try {
      const program = programFromRequest(call.request, engine);
      const runner = resolveRunner(
        program.directory,
        process.env["PULUMI_LANGUAGE_NODEJS_RUN_PATH"] ?? "@pulumi/pulumi/cmd/run",
      );
      const args = [...nodeArguments(program.options), runner, ...programArguments(program)];
      child = spawn(process.execPath, args, {
        env: programEnvironment(program, process.env),
        stdio: ["ignore", "inherit", "inherit"],
      });
    } catch (error) {
      reply(null, response.setError(error instanceof Error ? error.message : String(error)));
      return;
    }
    programs.add(child);
    call.on("cancelled", () => child.kill("SIGTERM"));
    child.on("error", (error) => reply(null, response.setError(`cannot start the program: ${error.message}`)));
    child.on("exit", (code, signal) => {
      programs.delete(child);
      if (code === EXIT_AFTER_USER_ERROR) response.setBail(true);
      else if (code !== 0)
        response.setError(`Program exited with ${code === null ? `signal ${signal}` : `non-zero exit code: ${code}`}`);
      reply(null, response);
    });
  };

  const runPlugin: grpc.handleServerStreamingCall<RunPluginRequest, RunPluginResponse> = (call) => {
    const request = call.request;
    const directory = request.getInfo()?.getProgramDirectory() || request.getProgram();
    const env = Object.fromEntries(request.getEnvList().map((entry) => splitOnce(entry, "=")));
    let child: ChildProcess;
    try {
      const runner = resolveRunner(directory, "@pulumi/pulumi/cmd/run-plugin");
      child = spawn(process.execPath, [runner, directory, ...request.getArgsList()], {
        cwd: request.getPwd(),
        env: { ...env, PULUMI_NODEJS_TYPESCRIPT: "true" },
        stdio: ["ignore", "pipe", "pipe"],
      });
    } catch (error) {
      call.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    programs.add(child);
    child.stdout?.on("data", (chunk: Buffer) => call.write(new languagePb.RunPluginResponse().setStdout(chunk)));
    child.stderr?.on("data", (chunk: Buffer) => call.write(new languagePb.RunPluginResponse().setStderr(chunk)));
    call.on("cancelled", () => child.kill("SIGTERM"));
    child.on("error", (error) => call.destroy(error));
    child.on("close", (code) => {
      programs.delete(child);
      call.write(new languagePb.RunPluginResponse().setExitcode(code ?? 1));
      call.end();
    });
  };

  // A plugin is told by the engine itself; ending it here would lose the answers to what it is doing.
  const cancel: grpc.handleUnaryCall<unknown, Uint8Array> = (_call, reply) => {
    reply(null, new Uint8Array());
  };

  return {
    service: SERVICE,
    handlers: { getPluginInfo, getRequiredPackages, run, runPlugin, cancel },
    stopPrograms: () => {
      for (const child of programs) child.kill("SIGTERM");
    },
  };
}

/** Finds one of the SDK's scripts as the program itself would: from its directory upward. */
function resolveRunner(directory: string, script: string): string {
  try {
    return createRequire(join(directory, "program.js")).resolve(script);
  } catch (cause) {
    throw new Error(`${directory}: @pulumi/pulumi is not installed there; run \`npm install\``, { cause });
  }
}

function programFromRequest(request: RunRequest, engine: string): ProgramRun {
  const info = request.getInfo();
  const directory = info?.getProgramDirectory() || request.getPwd();
  const options = info?.getOptions()?.toJavaScript() ?? {};
  return {
    directory,
    rootDirectory: info?.getRootDirectory() ?? "",
    entryPoint: info?.getEntryPoint() || ".",
    options: {
      typescript: options["typescript"] !== false,
      ...(typeof options["nodeargs"] === "string" ? { nodeArgs: options["nodeargs"] } : {}),
      ...(typeof options["tsconfig"] === "string" ? { tsconfig: options["tsconfig"] } : {}),
    },
    monitor: request.getMonitorAddress(),
    engine,
    organization: request.getOrganization(),
    project: request.getProject(),
    stack: request.getStack(),
    dryRun: request.getDryrun(),
    parallel: request.getParallel(),
    config: Object.fromEntries(request.getConfigMap().toArray()),
    secretKeys: request.getConfigsecretkeysList(),
    args: request.getArgsList(),
  };
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
