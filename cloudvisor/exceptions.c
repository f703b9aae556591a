/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions in root mode: a #GP at a known instruction is an answer, every other one a bug of ours. */
#include "cloudvisor/log.h"
#include "cloudvisor/cpu.h"

struct exception_frame {
    uint64_t gpr[GPR_COUNT];
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct fixup {
    uint64_t instruction, landing;
};

enum { STUB_COUNT = 32, STUB_BYTES = 16 };
enum { VECTOR_NMI = 2, VECTOR_DF = 8, VECTOR_GP = 13, VECTOR_MC = 18, IST_NMI = 1, IST_FATAL = 2 };
#define GATE_INTERRUPT UINT64_C(0x8e0000000000)

extern const char exception_stubs[STUB_COUNT][STUB_BYTES], nmi_entry[];
extern const struct fixup layer_fixup_start[], layer_fixup_end[];
extern const char layer_start[];

uint64_t cpu_idt[256][2]; /* beyond the stubs nothing is present */

/* SDM "64-Bit Mode IDT": gates of 16 bytes. */
void cpu_init_idt(void)
{
    for (unsigned i = 0; i < STUB_COUNT; i++) {
        uint64_t at = (uint64_t)(i == VECTOR_NMI ? nmi_entry : exception_stubs[i]);
        uint64_t stack = i == VECTOR_NMI ? IST_NMI : i == VECTOR_DF || i == VECTOR_MC ? IST_FATAL : 0;

        cpu_idt[i][0] = (at & 0xffff) | SEL_CODE << 16 | stack << 32 | GATE_INTERRUPT | (at & 0xffff0000) << 32;
        cpu_idt[i][1] = at >> 32;
    }
}

void exception_handle(struct exception_frame *frame);
void exception_handle(struct exception_frame *frame)
{
    for (const struct fixup *f = layer_fixup_start; f < layer_fixup_end; f++) {
        if (frame->vector == VECTOR_GP && f->instruction == frame->rip) {
            frame->rip = f->landing;
            return;
        }
    }
    for (unsigned i = 0; i < GPR_COUNT; i += 4)
        cv_log(LOG_ERROR, "r%u-%u: %16lx %16lx %16lx %16lx", i, i + 3, frame->gpr[i], frame->gpr[i + 1],
               frame->gpr[i + 2], frame->gpr[i + 3]);
    cv_panic("exception %lu error %lx at layer+%lx rsp %lx cr2 %lx", frame->vector, frame->error,
             frame->rip - (uint64_t)layer_start, frame->rsp, hw_read_cr2());
}
