/**
 * The bytes of delta discovery: requests decoded field by field, responses put together around resources that are
 * encoded already. A request's node (61 KB of Envoy's extensions) is skipped but for its id, so that even a client that
 * repeats it with every answer costs little.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { MeshError } from "../model/errors.ts";
import type { DeltaResponse } from "./delta.ts";
import type { DeltaRequest } from "./type-state.ts";

/** Longest resource name, type URL, version or nonce that is taken from a client, in characters. */
const maxNameLength = 2048;

/** A request and who sent it. */
export interface DecodedRequest extends DeltaRequest {
  /** Empty when the request carries no node, as all but the first may do. */
  readonly nodeId: string;
}

/**
 * Decodes an `envoy.service.discovery.v3.DeltaDiscoveryRequest`.
 * @throws {MeshError} `invalid` for bytes that are none.
 */
export function decodeDeltaRequest(bytes: Uint8Array): DecodedRequest {
  try {
    return readDeltaRequest(new BinaryReader(bytes));
  } catch (error) {
    throw new MeshError("invalid", "the message is not a DeltaDiscoveryRequest", { cause: error });
  }
}

function readDeltaRequest(reader: BinaryReader): DecodedRequest {
  let nodeId = "";
  let typeUrl = "";
  let nonce = "";
  let error: DeltaRequest["error"];
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const initialVersions = new Map<string, string>();
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, field);
      continue;
    }
    switch (field) {
      case 1:
        nodeId = readStrings(reader.bytes())[0];
        break;
      case 2:
        typeUrl = readName(reader);
        break;
      case 3:
        subscribe.push(readName(reader));
        break;
      case 4:
        unsubscribe.push(readName(reader));
        break;
      case 5: {
        const [name, version] = readStrings(reader.bytes());
        initialVersions.set(name, version);
        break;
      }
      case 6:
        nonce = readName(reader);
        break;
      case 7:
        error = readStatus(reader.bytes());
        break;
      default:
        reader.skip(wireType, field);
    }
  }
  return { nodeId, typeUrl, subscribe, unsubscribe, initialVersions, nonce, ...(error ? { error } : {}) };
}

function readName(reader: BinaryReader): string {
  const name = reader.string();
  if (name.length > maxNameLength) throw new RangeError(`a name is longer than ${maxNameLength} characters`);
  return name;
}

/** Fields 1 and 2 of a message where they are strings: key and value of a map's entry; the first is a node's id. */
function readStrings(bytes: Uint8Array): [string, string] {
  const reader = new BinaryReader(bytes);
  const strings: [string, string] = ["", ""];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited && (field === 1 || field === 2)) strings[field - 1] = readName(reader);
    else reader.skip(wireType, field);
  }
  return strings;
}

/** `google.rpc.Status` without its details. */
function readStatus(bytes: Uint8Array): { readonly code: number; readonly message: string } {
  const reader = new BinaryReader(bytes);
  let code = 0;
  let message = "";
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.Varint) code = reader.int32();
    else if (field === 2 && wireType === WireType.LengthDelimited) message = reader.string();
    else reader.skip(wireType, field);
  }
  return { code, message };
}

/** Encodes an `envoy.service.discovery.v3.DeltaDiscoveryResponse`; resources go in as the bytes they are. */
export function encodeDeltaResponse(response: DeltaResponse): Buffer {
  const parts: Uint8Array[] = [];
  for (const { bytes } of response.resources) {
    parts.push(new BinaryWriter().tag(2, WireType.LengthDelimited).uint32(bytes.length).finish(), bytes);
  }
  const rest = new BinaryWriter();
  const version = response.resources.at(-1)?.version;
  if (version !== undefined) rest.tag(1, WireType.LengthDelimited).string(version);
  rest.tag(4, WireType.LengthDelimited).string(response.typeUrl);
  rest.tag(5, WireType.LengthDelimited).string(response.nonce);
  for (const name of response.removed) rest.tag(6, WireType.LengthDelimited).string(name);
  parts.push(rest.finish());
  return Buffer.concat(parts);
}
