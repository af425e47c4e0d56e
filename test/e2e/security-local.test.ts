/** Security of the federation as local processes. */
import { securitySuite } from "./security-suite.ts";

securitySuite("local", () => {});
