/** The federation as local processes. */
import { federationSuite } from "./federation-suite.ts";

federationSuite("local");
