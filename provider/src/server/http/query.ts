/** Query parameters that every path has, or that this mesh cannot honour. */
import { MeshError } from "../../model/errors.ts";

/** Parameters of Consul that would change an answer here if they were ignored. */
const refused: Readonly<Record<string, string>> = {
  token: "a token in a query ends up in logs; send it in the X-Consul-Token header",
  filter: "filtering is not supported; filter the answer yourself",
  "merge-central-config": "merging is not supported; read /v1/config yourself",
  peer: "there are no peers; datacenters are federated",
  sg: "there are no sameness groups",
};

/** @throws {MeshError} `invalid` for a parameter that cannot be honoured. */
export function checkQuery(query: URLSearchParams): void {
  for (const [name, why] of Object.entries(refused)) {
    if (query.get(name)) throw new MeshError("invalid", `query parameter "${name}": ${why}`);
  }
  for (const name of ["ns", "partition"]) {
    const value = query.get(name);
    if (value && value !== "default") {
      throw new MeshError("invalid", `query parameter "${name}": must be "default" or absent: there is only one`);
    }
  }
}
