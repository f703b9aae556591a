/* SPDX-License-Identifier: GPL-2.0-only */
/* The embedded files; blobs.h says which. */
#define BLOB(name, file)     \
    .balign 16;              \
name##_bytes:                \
    .incbin file;            \
name##_bytes_end:            \
    .balign 8;               \
    .global name;            \
name:                        \
    .quad name##_bytes;      \
    .quad name##_bytes_end - name##_bytes

    .section .data.rel.ro, "aw"
BLOB(blob_stub, "build/bundle/stub.bin")
BLOB(blob_dsdt_microvm, "build/bundle/microvm.aml")
BLOB(blob_dsdt_pc, "build/bundle/pc.aml")
BLOB(blob_dsdt_q35, "build/bundle/q35.aml")

    .section .note.GNU-stack, "", @progbits
