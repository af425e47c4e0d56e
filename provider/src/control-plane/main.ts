/** The control plane's process: reads its configuration, starts, and stops on SIGTERM or SIGINT. */
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import pino from "pino";
import { toMeshError } from "../model/errors.ts";
import { readConfig } from "./config.ts";
import { startControlPlane } from "./control-plane.ts";

const { values } = parseArgs({ options: { config: { type: "string" } } });
const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });

try {
  if (!values.config) throw new Error("usage: control-plane --config FILE");
  const config = await readConfig(values.config);
  const controlPlane = await startControlPlane(config, dirname(values.config), log);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      log.info({ signal }, "stopping");
      void controlPlane.close().then(() => process.exit(0));
    });
  }
} catch (error) {
  log.fatal({ error: toMeshError(error).message }, "the control plane cannot start");
  process.exit(1);
}
