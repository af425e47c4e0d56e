/** The version that the API and status show. */
import { createRequire } from "node:module";

declare const ISTHMUS_VERSION: string | undefined;

/** Written in by the bundler; read from the package when running from source. */
export const version: string =
  typeof ISTHMUS_VERSION === "string"
    ? ISTHMUS_VERSION
    : (createRequire(import.meta.url)("../../package.json") as { version: string }).version;
