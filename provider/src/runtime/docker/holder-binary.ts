/**
 * The program that keeps a unit's network namespace open: a static ELF file of a few hundred bytes, written here byte by byte,
 * for x86-64 and arm64. Pure.
 *
 * Alone it blocks SIGTERM and SIGINT, waits for one of them and exits 0 (as PID 1 it would not get them otherwise). With
 * arguments it renames the first to the second, the third to the fourth and so on, and exits 1 at the first failure: that is
 * how files that were uploaded beside each other take their places, without a shell.
 */

/** Machines that images are made for. */
export type Architecture = "x64" | "arm64";

const headerBytes = 64 + 56;
const loadAddress = 0x400000n;

/** SIGINT (2) and SIGTERM (15) as a signal set: bit n-1 for signal n. */
const signalSet = Buffer.from([0x02, 0x40, 0, 0, 0, 0, 0, 0]);

/** The whole file. */
export function holderBinary(architecture: Architecture): Buffer {
  const code = architecture === "x64" ? x64Code : arm64Code;
  const size = headerBytes + code.length + signalSet.length;
  const header = Buffer.alloc(headerBytes);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(2, 16); // e_type: executable
  header.writeUInt16LE(architecture === "x64" ? 62 : 183, 18); // e_machine
  header.writeUInt32LE(1, 20); // e_version
  header.writeBigUInt64LE(loadAddress + BigInt(headerBytes), 24); // e_entry
  header.writeBigUInt64LE(64n, 32); // e_phoff
  header.writeUInt16LE(64, 52); // e_ehsize
  header.writeUInt16LE(56, 54); // e_phentsize
  header.writeUInt16LE(1, 56); // e_phnum
  header.writeUInt32LE(1, 64); // p_type: PT_LOAD
  header.writeUInt32LE(5, 68); // p_flags: read and execute
  header.writeBigUInt64LE(loadAddress, 80); // p_vaddr
  header.writeBigUInt64LE(loadAddress, 88); // p_paddr
  header.writeBigUInt64LE(BigInt(size), 96); // p_filesz
  header.writeBigUInt64LE(BigInt(size), 104); // p_memsz
  header.writeBigUInt64LE(0x10000n, 112); // p_align: pages of up to 64 KB
  return Buffer.concat([header, code, signalSet]);
}

/** The signal set follows the code at once. Starts with the argument count at the stack pointer (System V ABI). */
const x64Code = Buffer.from(
  [
    "488b1c24", // mov rbx, [rsp]
    "4c8d642410", // lea r12, [rsp+0x10]
    "83fb01", // cmp ebx, 0x1
    "762b", // jbe wait
    // next:
    "83eb02", // sub ebx, 0x2
    "7c1c", // jl done
    "b852000000", // mov eax, 0x52 (rename)
    "498b3c24", // mov rdi, [r12]
    "498b742408", // mov rsi, [r12+0x8]
    "0f05", // syscall
    "4983c410", // add r12, 0x10
    "85c0", // test eax, eax
    "74e3", // je next
    "6a01", // push 0x1
    "eb02", // jmp exit
    // done:
    "6a00", // push 0x0
    // exit:
    "5f", // pop rdi
    "b8e7000000", // mov eax, 0xe7 (exit_group)
    "0f05", // syscall
    // wait:
    "b80e000000", // mov eax, 0xe (rt_sigprocmask)
    "31ff", // xor edi, edi
    "488d3522000000", // lea rsi, [rip+set]
    "31d2", // xor edx, edx
    "41ba08000000", // mov r10d, 0x8
    "0f05", // syscall
    // again:
    "b880000000", // mov eax, 0x80 (rt_sigtimedwait)
    "488d3d0c000000", // lea rdi, [rip+set]
    "31f6", // xor esi, esi
    "31d2", // xor edx, edx
    "0f05", // syscall
    "85c0", // test eax, eax
    "78ea", // js again
    "ebc6", // jmp done
  ].join(""),
  "hex",
);

/** The same, with the system calls that arm64 has. */
const arm64Code = Buffer.from(
  [
    "e90340f9", // ldr x9, [sp]
    "ea430091", // add x10, sp, #0x10
    "3f0500f1", // cmp x9, #1
    "09020054", // b.ls wait
    // next:
    "290900f1", // subs x9, x9, #2
    "6b010054", // b.lt done
    "600c8092", // mov x0, #-0x64
    "410140f9", // ldr x1, [x10]
    "620c8092", // mov x2, #-0x64
    "430540f9", // ldr x3, [x10, #8]
    "c80480d2", // mov x8, #0x26 (renameat)
    "010000d4", // svc #0
    "4a410091", // add x10, x10, #0x10
    "e0feff34", // cbz w0, next
    "200080d2", // mov x0, #1
    "02000014", // b exit
    // done:
    "000080d2", // mov x0, #0
    // exit:
    "c80b80d2", // mov x8, #0x5e (exit_group)
    "010000d4", // svc #0
    // wait:
    "000080d2", // mov x0, #0
    "a1010010", // adr x1, set
    "020080d2", // mov x2, #0
    "030180d2", // mov x3, #8
    "e81080d2", // mov x8, #0x87 (rt_sigprocmask)
    "010000d4", // svc #0
    // again:
    "00010010", // adr x0, set
    "010080d2", // mov x1, #0
    "020080d2", // mov x2, #0
    "030180d2", // mov x3, #8
    "281180d2", // mov x8, #0x89 (rt_sigtimedwait)
    "010000d4", // svc #0
    "40ffff37", // tbnz w0, #0x1f, again
    "f0ffff17", // b done
  ].join(""),
  "hex",
);
