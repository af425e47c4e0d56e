"""Writes every protobuf file descriptor of an xds-protos wheel, as one FileDescriptorSet, to a file.

Reads the modules' text and never imports them, so neither the wheel nor a protobuf runtime has to be installed.
Usage: read-descriptors.py WHEEL OUTPUT
"""

import ast
import re
import sys
import zipfile

SERIALIZED = re.compile(r"AddSerializedFile\((b(['\"]).*\2)\)$", re.MULTILINE)


def varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def main(wheel: str, output: str) -> None:
    files = bytearray()
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith("_pb2.py"):
                continue
            found = SERIALIZED.search(archive.read(name).decode())
            if found is None:
                sys.exit(f"{wheel}: {name} carries no descriptor; this wheel is of another kind than expected")
            descriptor = ast.literal_eval(found.group(1))
            # FileDescriptorSet.file: field 1, length-delimited.
            files += b"\x0a" + varint(len(descriptor)) + descriptor
    with open(output, "wb") as target:
        target.write(files)


main(sys.argv[1], sys.argv[2])
