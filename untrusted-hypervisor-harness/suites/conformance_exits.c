/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family exit: which instructions of a guest exit under which controls, and what the exit says; what those that don't
 * exit do. Every case runs its code in each of its modes. Code that ends without an exit runs into VMCALL; an
 * exception that is not intercepted ends in a handler, whose vector and stack frame are printed.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

enum {
    L = 1 << MODE_LONG,
    C = 1 << MODE_COMPAT,
    A = 1 << MODE_PAE,
    P = 1 << MODE_PAGED,
    U = 1 << MODE_PROTECTED,
    R = 1 << MODE_REAL,
    V = 1 << MODE_V86,
    M32 = C | A | P | U,
    ALL = L | M32 | R | V,
};

enum { SHOW_RAX = 1, USER = 2 };

struct exit_case {
    const char *name;
    const char *code; /* see vcpu_set_code() */
    unsigned modes;
    unsigned flags;
    struct change change[CASE_CHANGES];
};

static struct vcpu vcpu;

#define PROC(bits)      SET_BITS(PROCESSOR_BASED_CONTROLS, bits)
#define NOT_PROC(bits)  CLEAR_BITS(PROCESSOR_BASED_CONTROLS, bits)
#define SECONDARY(bits) SET_BITS(SECONDARY_CONTROLS, bits)
#define INTERCEPT(bits) SET(EXCEPTION_BITMAP, bits)

static const struct exit_case cases[] = {
    { "cpuid", "0f a2", ALL, 0, { { 0 } } },
    { "cpuid.user", "0f a2", L | P, USER, { { 0 } } },
    { "hlt", "f4", ALL, 0, { { 0 } } },
    { "hlt.user", "f4", L | P, USER, { { 0 } } },
    { "hlt.off", "f4", L | P | R, 0, { NOT_PROC(PROC_HLT_EXITING) } },
    { "invd", "0f 08", L | P | R | V, 0, { { 0 } } },
    { "invd.user", "0f 08", L, USER, { { 0 } } },
    { "wbinvd.off", "0f 09", L | P | R, 0, { { 0 } } },
    { "wbinvd", "0f 09", L | P | R | V, 0, { SECONDARY(SEC_WBINVD_EXITING) } },
    { "invlpg.off", "0f 01 3f", L | P, 0, { { 0 } } },
    { "invlpg", "0f 01 3f", L | C | P, 0, { PROC(PROC_INVLPG_EXITING) } },
    { "invlpg.user", "0f 01 3f", L, USER, { PROC(PROC_INVLPG_EXITING) } },
    { "invlpg.fs", "64 0f 01 3f", L | P, 0, { PROC(PROC_INVLPG_EXITING), SET(GUEST_FS_BASE, 0x1000) } },
    { "rdpmc", "0f 33", L | P | R, 0, { PROC(PROC_RDPMC_EXITING) } },
    { "rdpmc.off", "b9 00 00 00 80 0f 33", L, 0, { { 0 } } },
    { "rdtsc", "0f 31", L | P | R | V, 0, { PROC(PROC_RDTSC_EXITING) } },
    { "rdtsc.off", "0f 31", L | P | R | V, 0, { { 0 } } },
    { "rdtsc.tsd.user", "0f 31", L | P, USER, { PROC(PROC_RDTSC_EXITING), SET_BITS(GUEST_CR4, CR4_TSD) } },
    { "rdtscp.disabled", "0f 01 f9", L | P, 0, { { 0 } } },
    { "rdtscp.disabled.rdtsc-exiting", "0f 01 f9", L, 0, { PROC(PROC_RDTSC_EXITING) } },
    { "rdtscp", "0f 01 f9", L | P | R, 0, { SECONDARY(SEC_RDTSCP), PROC(PROC_RDTSC_EXITING) } },
    { "rdtscp.off", "0f 01 f9", L | P, 0, { SECONDARY(SEC_RDTSCP) } },
    { "rsm", "0f aa", L | R, 0, { { 0 } } },
    { "vmcall", "0f 01 c1", ALL, 0, { { 0 } } },
    { "vmcall.user", "0f 01 c1", L | P, USER, { { 0 } } },
    { "vmlaunch", "0f 01 c2", ALL, 0, { { 0 } } },
    { "vmlaunch.user", "0f 01 c2", L | P, USER, { { 0 } } },
    { "vmresume", "0f 01 c3", ALL, 0, { { 0 } } },
    { "vmxoff", "0f 01 c4", ALL, 0, { { 0 } } },
    { "vmclear", "66 0f c7 37", L | C | P | R, 0, { { 0 } } },
    { "vmptrld", "0f c7 37", L | C | P | R, 0, { { 0 } } },
    { "vmptrld.user", "0f c7 37", L, USER, { { 0 } } },
    { "vmptrld.sib", "0f c7 74 b3 12", L | P, 0, { { 0 } } },
    { "vmptrld.rip-relative", "0f c7 35 10 00 00 00", L, 0, { { 0 } } },
    { "vmptrld.disp32-negative", "0f c7 b7 f0 ff ff ff", L | P, 0, { { 0 } } },
    { "vmptrld.r15", "41 0f c7 37", L, 0, { { 0 } } },
    { "vmptrld.gs.r12-r13", "65 43 0f c7 74 ec 08", L, 0, { { 0 } } },
    { "vmptrld.addr32", "67 0f c7 37", L, 0, { { 0 } } },
    { "vmptrst", "0f c7 3f", L | C | P | R, 0, { { 0 } } },
    { "vmread.reg", "0f 78 d8", L | C | P | R, 0, { { 0 } } },
    { "vmread.mem", "0f 78 1f", L | P, 0, { { 0 } } },
    { "vmread.r9-r10", "45 0f 78 ca", L, 0, { { 0 } } },
    { "vmwrite.reg", "0f 79 d8", L | P, 0, { { 0 } } },
    { "vmwrite.mem", "0f 79 1f", L | P, 0, { { 0 } } },
    { "vmxon", "f3 0f c7 37", L | P | R, 0, { { 0 } } },
    { "invept", "66 0f 38 80 07", L | P, 0, { { 0 } } },
    { "invvpid", "66 0f 38 81 07", L | P, 0, { { 0 } } },
    { "vmfunc", "0f 01 d4", L | P, 0, { { 0 } } },
    { "getsec", "0f 37", L | P, 0, { { 0 } } },
    { "cr0.write.same", "0f 20 c0 0f 22 c0", L | C | P, SHOW_RAX, { { 0 } } },
    { "cr0.write.masked.same", "0f 20 c0 0f 22 c0", L | P | R, 0,
      { SET(CR0_GUEST_HOST_MASK, 0xffffffff), SET(CR0_READ_SHADOW, 0x80050033) } },
    { "cr0.write.masked.changed", "0f 20 c0 83 f0 08 0f 22 c0", L | P, 0,
      { SET(CR0_GUEST_HOST_MASK, 0xffffffff), SET(CR0_READ_SHADOW, 0x80050033) } },
    { "cr0.write.ts.unmasked", "0f 20 c0 83 c8 08 0f 22 c0 0f 20 c0", L | P, SHOW_RAX, { { 0 } } },
    { "cr0.write.from-rbx", "0f 22 c3", L | P, 0, { SET(CR0_GUEST_HOST_MASK, 0xffffffff) } },
    { "cr0.write.from-r9", "41 0f 22 c1", L, 0, { SET(CR0_GUEST_HOST_MASK, 0xffffffff) } },
    { "cr0.write.clear-pg", "0f 20 c0 25 ff ff ff 7f 0f 22 c0", L | P, 0, { { 0 } } },
    { "cr0.write.clear-pe", "0f 20 c0 25 fe ff ff 7f 0f 22 c0", P, 0, { { 0 } } },
    { "cr0.write.clear-ne", "0f 20 c0 83 e0 df 0f 22 c0", L | P | U | R, SHOW_RAX, { { 0 } } },
    { "cr0.write.nw-without-cd", "0f 20 c0 0d 00 00 00 20 0f 22 c0", L | P, 0, { { 0 } } },
    { "cr0.read.shadow", "0f 20 c0", L | P | R, SHOW_RAX, { SET(CR0_GUEST_HOST_MASK, 0x8000ff0f), SET(CR0_READ_SHADOW, 0x12345678) } },
    { "cr0.smsw.shadow", "0f 01 e0", L | P | R, SHOW_RAX, { SET(CR0_GUEST_HOST_MASK, 0xff0f), SET(CR0_READ_SHADOW, 0x12345678) } },
    { "clts", "0f 06 0f 20 c0", L | P | R, SHOW_RAX, { SET_BITS(GUEST_CR0, CR0_TS) } },
    { "clts.masked.shadow-1", "0f 06 0f 20 c0", L | P | R, SHOW_RAX,
      { SET_BITS(GUEST_CR0, CR0_TS), SET(CR0_GUEST_HOST_MASK, 8), SET(CR0_READ_SHADOW, 8) } },
    { "clts.masked.shadow-0", "0f 06 0f 20 c0", L | P, SHOW_RAX,
      { SET_BITS(GUEST_CR0, CR0_TS), SET(CR0_GUEST_HOST_MASK, 8), SET(CR0_READ_SHADOW, 0) } },
    { "clts.user", "0f 06", L, USER, { SET(CR0_GUEST_HOST_MASK, 8), SET(CR0_READ_SHADOW, 8) } },
    { "lmsw.reg.masked", "b0 0f 0f 01 f0", L | P | R, 0, { SET(CR0_GUEST_HOST_MASK, 0xf), SET(CR0_READ_SHADOW, 1) } },
    { "lmsw.mem.masked", "66 c7 07 0f 00 0f 01 37", L | P, 0, { SET(CR0_GUEST_HOST_MASK, 0xf), SET(CR0_READ_SHADOW, 1) } },
    { "lmsw.masked.same", "b0 01 0f 01 f0", L | P, 0, { SET(CR0_GUEST_HOST_MASK, 0xf), SET(CR0_READ_SHADOW, 1) } },
    { "lmsw.clear-pe", "b0 00 0f 01 f0 0f 20 c0", L | P, SHOW_RAX, { SET(CR0_GUEST_HOST_MASK, 1), SET(CR0_READ_SHADOW, 1) } },
    { "lmsw.unmasked", "b0 0f 0f 01 f0 0f 20 c0", L | P | R, SHOW_RAX, { { 0 } } },
    { "cr3.write.off", "0f 20 d8 0f 22 d8", L | A | P, SHOW_RAX, { NOT_PROC(PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING) } },
    { "cr3.read", "0f 20 d8", L | P | R, 0, { PROC(PROC_CR3_STORE_EXITING) } },
    { "cr3.read.rbx", "0f 20 db", L | P, 0, { PROC(PROC_CR3_STORE_EXITING) } },
    { "cr3.write", "0f 20 d8 0f 22 d8", L | P | R, 0, { PROC(PROC_CR3_LOAD_EXITING), NOT_PROC(PROC_CR3_STORE_EXITING) } },
    { "cr3.write.target", "b8 00 30 12 00 0f 22 d8", L | P, 0,
      { PROC(PROC_CR3_LOAD_EXITING), SET(CR3_TARGET_COUNT, 4), SET(CR3_TARGET_VALUE_3, 0x124000) } },
    { "cr3.write.target.hit", "31 c0 0f 22 d8", U, 0,
      { PROC(PROC_CR3_LOAD_EXITING), SET(CR3_TARGET_COUNT, 1), SET(CR3_TARGET_VALUE_0, 0) } },
    { "cr3.write.target.hit-beyond-count", "31 c0 0f 22 d8", U, 0,
      { PROC(PROC_CR3_LOAD_EXITING), SET(CR3_TARGET_COUNT, 1), SET(CR3_TARGET_VALUE_0, 0x1000), SET(CR3_TARGET_VALUE_1, 0) } },
    { "cr3.write.user", "0f 22 d8", L, USER, { PROC(PROC_CR3_LOAD_EXITING) } },
    { "cr3.write.reserved", "48 b8 00 00 00 00 00 00 10 00 0f 22 d8", L, 0, { NOT_PROC(PROC_CR3_LOAD_EXITING) } },
    { "cr4.write.same", "0f 20 e0 0f 22 e0", L | P | R, SHOW_RAX, { { 0 } } },
    { "cr4.write.vmxe-clear", "0f 20 e0 80 e4 df 0f 22 e0", L | P | R, 0, { { 0 } } },
    { "cr4.write.vmxe-masked", "0f 20 e0 0f 22 e0 0f 20 e0", L | P | R, SHOW_RAX, { SET(CR4_GUEST_HOST_MASK, CR4_VMXE) } },
    { "cr4.write.vmxe-masked.set", "0f 20 e0 80 cc 20 0f 22 e0", L | P | R, 0, { SET(CR4_GUEST_HOST_MASK, CR4_VMXE) } },
    { "cr4.write.pge", "0f 20 e0 0c 80 0f 22 e0 0f 20 e0", L | P, SHOW_RAX, { { 0 } } },
    { "cr4.write.reserved", "0f 20 e0 0d 00 00 00 80 0f 22 e0", L | P, 0, { { 0 } } },
    { "cr4.write.clear-pae", "0f 20 e0 24 df 0f 22 e0", L, 0, { { 0 } } },
    { "cr4.read.shadow", "0f 20 e0", L | P | R, SHOW_RAX, { SET(CR4_GUEST_HOST_MASK, 0xffffffff), SET(CR4_READ_SHADOW, 0x1234) } },
    { "cr8.read", "44 0f 20 c0", L, 0, { PROC(PROC_CR8_STORE_EXITING) } },
    { "cr8.write", "44 0f 22 c0", L, 0, { PROC(PROC_CR8_LOAD_EXITING) } },
    { "cr8.write.rbx", "44 0f 22 c3", L, 0, { PROC(PROC_CR8_LOAD_EXITING) } },
    { "cr8.off", "b0 05 44 0f 22 c0 44 0f 20 c3 31 c0 44 0f 22 c0 88 d8", L, SHOW_RAX, { { 0 } } },
    { "cr1.read", "0f 20 c8", L | P, 0, { { 0 } } },
    { "cr2.write", "0f 22 d0", L | P, 0, { { 0 } } },
    { "dr7.read", "0f 21 f8", L | P | R, SHOW_RAX, { { 0 } } },
    { "dr7.read.exiting", "0f 21 f8", L | P | R, 0, { PROC(PROC_MOV_DR_EXITING) } },
    { "dr0.write.exiting", "0f 23 c3", L | P, 0, { PROC(PROC_MOV_DR_EXITING) } },
    { "dr6.write.exiting.rdi", "0f 23 f7", L | P, 0, { PROC(PROC_MOV_DR_EXITING) } },
    { "dr4.de", "0f 21 e0", L | P, 0, { SET_BITS(GUEST_CR4, CR4_DE) } },
    { "dr4.de.exiting", "0f 21 e0", L | P, 0, { SET_BITS(GUEST_CR4, CR4_DE), PROC(PROC_MOV_DR_EXITING) } },
    { "dr4.no-de.exiting", "0f 21 e0", L, 0, { PROC(PROC_MOV_DR_EXITING) } },
    { "dr7.gd", "0f 21 f8", L | P, 0, { SET_BITS(GUEST_DR7, 0x2000) } },
    { "dr7.gd.exiting", "0f 21 f8", L | P, 0, { SET_BITS(GUEST_DR7, 0x2000), PROC(PROC_MOV_DR_EXITING) } },
    { "dr7.user.exiting", "0f 21 f8", L, USER, { PROC(PROC_MOV_DR_EXITING) } },
    { "in.imm8", "e4 80", L | P | R, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "in.imm32", "e5 81", L | P, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "in.dx8", "ec", L | P | R | V, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "in.dx16", "66 ed", L | P, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "out.dx32", "ef", L | P, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "out.imm16", "66 e7 82", L | P, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "ins8", "6c", L | P | R, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "rep.ins32", "b1 05 f3 6d", L | P | R, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "outs8", "6e", L | P | R, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "outs8.fs", "64 6e", L | P, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING), SET(GUEST_FS_BASE, 0x1000) } },
    { "rep.outs16", "b1 03 66 f3 6f", L | P, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "rep.outs16.addr32", "b1 03 67 66 f3 6f", L, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "rep.outs.count-0", "31 c9 f3 6e", L | P, 0, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "in.user.iopl-0", "ec", L | P, USER, { PROC(PROC_UNCONDITIONAL_IO_EXITING) } },
    { "in.user.iopl-3", "ec", L | P, USER, { PROC(PROC_UNCONDITIONAL_IO_EXITING), SET_BITS(GUEST_RFLAGS, 0x3000) } },
    { "in.off", "e4 80", L | P | R, 0, { { 0 } } },
    { "monitor", "89 f8 0f 01 c8", L | P, 0, { PROC(PROC_MONITOR_EXITING) } },
    { "mwait", "0f 01 c9", L | P, 0, { PROC(PROC_MWAIT_EXITING) } },
    { "mwait.armed", "48 89 f8 0f 01 c8 31 c0 0f 01 c9", L, 0, { PROC(PROC_MWAIT_EXITING) } },
    { "pause", "f3 90", L | P | R, 0, { PROC(PROC_PAUSE_EXITING) } },
    { "pause.off", "f3 90", L | P, 0, { { 0 } } },
    { "pause-loop.first", "f3 90", L, 0, { SECONDARY(SEC_PAUSE_LOOP_EXITING), SET(PLE_GAP, 0), SET(PLE_WINDOW, 0) } },
    { "pause-loop.exits", "f3 90 f3 90 f3 90 f3 90 f3 90 f3 90 f3 90 f3 90", L, 0,
      { SECONDARY(SEC_PAUSE_LOOP_EXITING), SET(PLE_GAP, 1000), SET(PLE_WINDOW, 1) } },
    { "sgdt", "0f 01 07", L | P | R, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sidt", "0f 01 0f", L | P | R, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "lgdt", "0f 01 17", L | P | R, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "lidt", "0f 01 1f", L | P | R, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "lgdt.user", "0f 01 17", L, USER, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sgdt.user", "0f 01 07", L, USER, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sgdt.sib", "0f 01 44 b3 12", L | P, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sgdt.rip-relative", "0f 01 05 20 00 00 00", L, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sldt.reg", "0f 00 c0", L | P, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sldt.mem", "0f 00 07", L | P, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "str.reg", "0f 00 c9", L | P, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "lldt.reg", "0f 00 d3", L | P, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "ltr.reg", "0f 00 d9", L | P, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "ltr.mem", "0f 00 1f", L | P, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sldt.real", "0f 00 c0", R, 0, { SECONDARY(SEC_DESCRIPTOR_EXITING) } },
    { "sgdt.off", "0f 01 07 8b 07", L | P, SHOW_RAX, { { 0 } } },
    { "lgdt.off", "0f 01 07 0f 01 17", L | P, 0, { { 0 } } },
    { "str.off", "0f 00 c8", L | P, SHOW_RAX, { { 0 } } },
    { "rdrand", "0f c7 f0", L | P | R, 0, { SECONDARY(SEC_RDRAND_EXITING) } },
    { "rdrand.16", "66 0f c7 f3", L | P, 0, { SECONDARY(SEC_RDRAND_EXITING) } },
    { "rdrand.64", "49 0f c7 f1", L, 0, { SECONDARY(SEC_RDRAND_EXITING) } },
    { "rdrand.off", "0f c7 f0", L | P, 0, { { 0 } } },
    { "rdseed", "0f c7 f8", L | P, 0, { SECONDARY(SEC_RDSEED_EXITING) } },
    { "rdseed.64", "49 0f c7 f9", L, 0, { SECONDARY(SEC_RDSEED_EXITING) } },
    { "invpcid.disabled", "66 0f 38 82 07", L | P, 0, { PROC(PROC_INVLPG_EXITING) } },
    { "invpcid", "66 0f 38 82 07", L | P, 0, { SECONDARY(SEC_INVPCID), PROC(PROC_INVLPG_EXITING) } },
    { "invpcid.off", "b0 02 66 0f 38 82 07", L | P, 0, { SECONDARY(SEC_INVPCID) } },
    { "invpcid.off.bad-type", "b0 05 66 0f 38 82 07", L, 0, { SECONDARY(SEC_INVPCID) } },
    { "xsetbv.no-osxsave", "0f 01 d1", L | P, 0, { { 0 } } },
    { "xsetbv", "0f 01 d1", L | P | R, 0, { SET_BITS(GUEST_CR4, CR4_OSXSAVE) } },
    { "xsetbv.user", "0f 01 d1", L, USER, { SET_BITS(GUEST_CR4, CR4_OSXSAVE) } },
    { "xgetbv", "0f 01 d0", L | P, SHOW_RAX, { SET_BITS(GUEST_CR4, CR4_OSXSAVE) } },
    { "xsaves.disabled", "0f c7 2f", L, 0, { SET_BITS(GUEST_CR4, CR4_OSXSAVE) } },
    { "ud2", "0f 0b", ALL, 0, { { 0 } } },
    { "ud2.intercepted", "0f 0b", ALL, 0, { INTERCEPT(BIT32(6)) } },
    { "int3", "cc", ALL, 0, { { 0 } } },
    { "int3.intercepted", "cc", ALL, 0, { INTERCEPT(BIT32(3)) } },
    { "int1", "f1", L | P, 0, { { 0 } } },
    { "int1.intercepted", "f1", L | P, 0, { INTERCEPT(BIT32(1)) } },
    { "int-50", "cd 50", ALL, 0, { { 0 } } },
    { "int-3.intercepted", "cd 03", L | P, 0, { INTERCEPT(BIT32(3)) } },
    { "into.intercepted", "b0 7f 04 01 ce", P | R, 0, { INTERCEPT(BIT32(4)) } },
    { "into", "b0 7f 04 01 ce", P | R, 0, { { 0 } } },
    { "divide", "f6 f1", L | P | R, 0, { { 0 } } },
    { "divide.intercepted", "f6 f1", L | P | R, 0, { INTERCEPT(BIT32(0)) } },
    { "fpu.nm", "db e3", L | P, 0, { SET_BITS(GUEST_CR0, CR0_TS) } },
    { "fpu.nm.intercepted", "db e3", L | P, 0, { SET_BITS(GUEST_CR0, CR0_TS), INTERCEPT(BIT32(7)) } },
    { "np.intercepted", "b8 58 00 00 00 8e d8", L | P, 0, { INTERCEPT(BIT32(11)) } },
    { "np", "b8 58 00 00 00 8e d8", L | P, 0, { { 0 } } },
    { "gp.selector", "b8 f0 ff 00 00 8e d8", L | P, 0, { { 0 } } },
    { "gp.intercepted", "b8 f0 ff 00 00 8e d8", L | P, 0, { INTERCEPT(BIT32(13)) } },
    { "ss.intercepted", "b8 5b 00 00 00 8e d0", L | P, 0, { INTERCEPT(BIT32(12) | BIT32(13)) } },
    { "gp.non-canonical", "48 b8 00 00 00 00 00 80 00 00 8b 00", L, 0, { { 0 } } },
    { "single-step", "90 90", L | P | R, 0, { SET_BITS(GUEST_RFLAGS, RFLAGS_TF) } },
    { "single-step.intercepted", "90 90", L | P | R, 0, { SET_BITS(GUEST_RFLAGS, RFLAGS_TF), INTERCEPT(BIT32(1)) } },
    { "single-step.into-cpuid", "0f a2", L, 0, { SET_BITS(GUEST_RFLAGS, RFLAGS_TF) } },
    { "pf.read", "be 00 00 03 00 8b 06", L | P, 0, { { 0 } } },
    { "pf.read.intercepted", "be 00 00 03 00 8b 06", L | P, 0, { INTERCEPT(BIT32(14)) } },
    { "pf.write.read-only", "be 00 80 03 00 89 06", L | P, 0, { INTERCEPT(BIT32(14)) } },
    { "pf.user.supervisor-page", "be 00 90 03 00 8b 06", L | P, USER, { INTERCEPT(BIT32(14)) } },
    { "pf.fetch", "be 00 00 03 00 ff e6", L | P, 0, { INTERCEPT(BIT32(14)) } },
    { "pf.mask.match", "be 00 00 03 00 8b 06", L, 0,
      { INTERCEPT(BIT32(14)), SET(PAGE_FAULT_ERROR_CODE_MASK, 2), SET(PAGE_FAULT_ERROR_CODE_MATCH, 0) } },
    { "pf.mask.no-match", "be 00 00 03 00 8b 06", L, 0,
      { INTERCEPT(BIT32(14)), SET(PAGE_FAULT_ERROR_CODE_MASK, 2), SET(PAGE_FAULT_ERROR_CODE_MATCH, 2) } },
    { "pf.mask.no-match.bitmap-0", "be 00 00 03 00 8b 06", L, 0,
      { INTERCEPT(0), SET(PAGE_FAULT_ERROR_CODE_MASK, 2), SET(PAGE_FAULT_ERROR_CODE_MATCH, 2) } },
    { "pf.mask.match.bitmap-0", "be 00 00 03 00 8b 06", L, 0,
      { INTERCEPT(0), SET(PAGE_FAULT_ERROR_CODE_MASK, 0), SET(PAGE_FAULT_ERROR_CODE_MATCH, 1) } },
    { "double-fault", "be 00 00 03 00 8b 06", L | P, 0, { SET(GUEST_IDTR_LIMIT, 0x7f) } },
    { "double-fault.intercepted", "be 00 00 03 00 8b 06", L, 0, { SET(GUEST_RSP, 0x10), SET(GUEST_IDTR_LIMIT, 0xdf), INTERCEPT(BIT32(8)) } },
    { "gp-in-delivery.intercepted", "cd 50", L | P, 0, { SET(GUEST_IDTR_LIMIT, 0xff), INTERCEPT(BIT32(13)) } },
    { "gp-in-delivery.of-ud.intercepted", "0f 0b", L | P, 0, { SET(GUEST_IDTR_LIMIT, 0x2f), INTERCEPT(BIT32(13)) } },
    { "pf-in-delivery.intercepted", "cd 50", L | P, 0, { SET(GUEST_RSP, 0x31000), INTERCEPT(BIT32(14)) } },
    { "triple-fault", "0f 0b", ALL & ~R, 0, { SET(GUEST_IDTR_LIMIT, 0) } },
    { "sti.interrupt-window", "fb 90 90", L | P | R, 0, { PROC(PROC_INTERRUPT_WINDOW_EXITING) } },
    { "interrupt-window.at-entry", "90", L | P | R, 0, { PROC(PROC_INTERRUPT_WINDOW_EXITING), SET_BITS(GUEST_RFLAGS, RFLAGS_IF) } },
    { "interrupt-window.sti-blocking", "90 90", L, 0,
      { PROC(PROC_INTERRUPT_WINDOW_EXITING), SET_BITS(GUEST_RFLAGS, RFLAGS_IF), SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI) } },
    { "interrupt-window.mov-ss-blocking", "90 90", L, 0,
      { PROC(PROC_INTERRUPT_WINDOW_EXITING), SET_BITS(GUEST_RFLAGS, RFLAGS_IF), SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS) } },
    { "interrupt-window.hlt", "f4", L, 0,
      { PROC(PROC_INTERRUPT_WINDOW_EXITING), SET_BITS(GUEST_RFLAGS, RFLAGS_IF), SET(GUEST_ACTIVITY_STATE, 1) } },
    { "interrupt-window.off.if-clear", "90", L, 0, { PROC(PROC_INTERRUPT_WINDOW_EXITING) } },
    { "nmi-window", "90", L | P, 0,
      { PROC(PROC_NMI_WINDOW_EXITING), SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS) } },
    { "nmi-window.blocked", "90", L, 0,
      { PROC(PROC_NMI_WINDOW_EXITING), SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS),
        SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI) } },
    { "preemption-timer.0", "eb fe", L | P | R, 0, { SET(PREEMPTION_TIMER_VALUE, 0) } },
    { "preemption-timer.1", "eb fe", L, 0, { SET(PREEMPTION_TIMER_VALUE, 1) } },
    { "preemption-timer.loop", "eb fe", L | P | R, 0, { { 0 } } },
    { "preemption-timer.hlt", "f4", L | P, 0, { NOT_PROC(PROC_HLT_EXITING), SET(PREEMPTION_TIMER_VALUE, 3000) } },
    { "preemption-timer.enough", "90", L, 0, { SET(PREEMPTION_TIMER_VALUE, 100000) } },
    { "preemption-timer.0.sti-blocking", "90", L, 0,
      { SET(PREEMPTION_TIMER_VALUE, 0), SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI), SET_BITS(GUEST_RFLAGS, RFLAGS_IF) } },
    { "task-switch.jmp", "ea 00 00 00 00 68 00", P, 0, { { 0 } } },
    { "task-switch.call", "9a 00 00 00 00 68 00", P, 0, { { 0 } } },
    { "task-switch.iret", "cf", P, 0, { SET_BITS(GUEST_RFLAGS, 0x4000) } },
    { "popf.nt-vm", "9c 81 0c 24 00 40 00 00 9d 9c 58", L | P, SHOW_RAX, { { 0 } } },
    { "iret.unblocks-virtual-nmi", "48 89 e0 6a 10 50 9c 6a 08 48 8d 05 03 00 00 00 50 48 cf", L, 0,
      { SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS), SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI) } },
    { "mov-ss.then-vmcall", "8c d0 8e d0", L | P | R, 0, { { 0 } } },
    { "sti.then-vmcall", "fb", L | P | R, 0, { { 0 } } },
    { "fault.mov-ss-blocking.ud", "8c d0 8e d0 0f 0b", L | P, 0, { INTERCEPT(BIT32(6)) } },
    { "swapgs", "0f 01 f8", L, 0, { { 0 } } },
    { "syscall.disabled", "0f 05", L, 0, { { 0 } } },
    { "sysenter.cs-0", "0f 34", L | P, 0, { { 0 } } },
    { "clflush", "0f ae 3f", L | P, 0, { { 0 } } },
    { "lock-ud", "f0 90", L | P, 0, { { 0 } } },
    { "length-15", "66 66 66 66 66 66 66 66 66 66 66 66 66 0f a2", L | P, 0, { { 0 } } },
    { "length-16", "66 66 66 66 66 66 66 66 66 66 66 66 66 66 0f a2", L | P, 0, { { 0 } } },
};

static void make_user(struct vcpu *v)
{
    bool is_long = v->mode == MODE_LONG;

    vcpu_set(v, FIELD_GUEST_CS_SELECTOR, is_long ? GUEST_USER_CODE64 : GUEST_USER_CODE32);
    vcpu_set(v, FIELD_GUEST_CS_ACCESS_RIGHTS, v->field[FIELD_GUEST_CS_ACCESS_RIGHTS] | 0x60);
    vcpu_set(v, FIELD_GUEST_SS_SELECTOR, GUEST_USER_DATA);
    vcpu_set(v, FIELD_GUEST_SS_ACCESS_RIGHTS, v->field[FIELD_GUEST_SS_ACCESS_RIGHTS] | 0x60);
    for (unsigned field = FIELD_GUEST_DS_ACCESS_RIGHTS; field <= FIELD_GUEST_GS_ACCESS_RIGHTS; field++)
        vcpu_set(v, field, v->field[field] | 0x60);
    vcpu_set(v, FIELD_GUEST_ES_ACCESS_RIGHTS, v->field[FIELD_GUEST_ES_ACCESS_RIGHTS] | 0x60);
}

static void run_case(const struct exit_case *c)
{
    bool comparable;
    struct outcome o;

    vcpu_set_code(&vcpu, c->code);
    if ((c->flags & USER) != 0)
        make_user(&vcpu);
    if (check_apply(&vcpu, c->change, &comparable)) {
        print("exit.%s.%s ", guest_mode_names[vcpu.mode], c->name);
        o = vcpu_run(&vcpu);
        run_print(&vcpu, o);
        if ((c->flags & SHOW_RAX) != 0)
            print(" rax=%lx", vcpu.reg[REG_RAX]);
        print_end_of_result();
    }
    vcpu_revert(&vcpu);
}

static const struct {
    uint8_t mode, kind;
} guests[] = {
    { MODE_LONG, MEMORY_DIRECT },      { MODE_COMPAT, MEMORY_OFFSET_4K }, { MODE_PAE, MEMORY_OFFSET_4K },
    { MODE_PAGED, MEMORY_OFFSET_2M },  { MODE_PROTECTED, MEMORY_OFFSET_4K }, { MODE_REAL, MEMORY_OFFSET_4K },
    { MODE_V86, MEMORY_IDENTITY_4K },
};

void conformance_exits(void)
{
    vmx_enable();
    for (unsigned g = 0; g < ARRAY_COUNT(guests); g++) {
        if (!vcpu_supported(guests[g].mode, guests[g].kind))
            continue;
        vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), guests[g].mode, guests[g].kind);
        for (unsigned i = 0; i < ARRAY_COUNT(cases); i++)
            if ((cases[i].modes & 1u << guests[g].mode) != 0)
                run_case(&cases[i]);
    }
    vmx_disable();
}
