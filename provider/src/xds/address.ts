/** Addresses as Envoy takes them, and the test for a literal one. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AddressSchema } from "../gen/envoy/config/core/v3/address_pb.ts";

/** A TCP address. */
export function socketAddress(address: string, port: number): MessageInitShape<typeof AddressSchema> {
  return {
    address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: port } } },
  };
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** True for an IPv4 or IPv6 address without a zone, the only kind that Envoy dials without asking DNS. */
export function isIpLiteral(address: string): boolean {
  if (ipv4.test(address)) return true;
  return /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(address) && URL.canParse(`http://[${address}]/`);
}
