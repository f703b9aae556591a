/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Demotion: the layer's entry is called once on each CPU and returns in VMX non-root mode. Interrupts are off
 * around it; CR0 and CR4 are left to the layer. Runs on application processors: no firmware calls in demote_one().
 */
#include "cloudvisor/loader/demote.h"
#include "cloudvisor/hypercall.h"
#include "cloudvisor/loader/console.h"

struct demote_call {
    const struct layer *layer;
    uint64_t cpu_index;
    uint64_t result; /* enum demote_error */
};

enum stat_index {
#define STAT(name, text) STAT_##name,
#include "cloudvisor/stats.def"
#undef STAT
};

#define RFLAGS_IF UINT64_C(0x200)

static uint64_t interrupts_off(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static void interrupts_restore(uint64_t flags)
{
    if (flags & RFLAGS_IF)
        __asm__ volatile("sti" : : : "memory");
}

static void demote_one(void *argument)
{
    struct demote_call *call = argument;
    uint64_t flags = interrupts_off();

    call->result = call->layer->entry((uintptr_t)call->layer->info, call->cpu_index);
    interrupts_restore(flags);
}

static const char *reason_name(uint64_t reason)
{
    switch (reason) {
    case DEMOTE_BAD_BOOT_INFO: return "DEMOTE_BAD_BOOT_INFO: the layer refuses what the loader told it";
    case DEMOTE_NO_MEMORY: return "DEMOTE_NO_MEMORY: the layer's memory does not suffice";
    case DEMOTE_VMXON_FAILED: return "DEMOTE_VMXON_FAILED: VMXON failed";
    case DEMOTE_VMLAUNCH_FAILED: return "DEMOTE_VMLAUNCH_FAILED: the first VM entry failed";
    case DEMOTE_UNSUITABLE_CPU: return "DEMOTE_UNSUITABLE_CPU: the CPU lacks something that the layer needs";
    case DEMOTE_NO_RANDOM: return "DEMOTE_NO_RANDOM: the CPU gives no usable random numbers";
    case DEMOTE_CRYPTO_FAILED: return "DEMOTE_CRYPTO_FAILED: a page does not come back from encryption as it was";
    default: return "unknown reason";
    }
}

/* One question to the layer. True if it answered; `value` is RBX. Only on a demoted CPU: elsewhere it is #UD. */
static bool ask(uint32_t function, uint64_t operand, uint64_t *value)
{
    uint64_t rax = HYPERCALL_MAGIC | function, rbx = operand, rcx = 0;

    __asm__ volatile("vmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx) : : "memory");
    *value = rbx;
    return rax == 0;
}

static EFI_STATUS verify(const struct cpu_list *cpus)
{
    uint64_t version, count;

    if (!ask(HYPERCALL_VERSION, 0, &version) || version != LAYER_VERSION ||
        !ask(HYPERCALL_STAT, STAT_cpus_demoted, &count)) {
        console_line("CloudVisor: the layer does not answer as it should; build cloudvisor.efi again as a whole");
        return EFI_DEVICE_ERROR;
    }
    if (count != cpus->count) {
        console_line("CloudVisor: the layer counts %lu demoted CPUs, not %u", count, cpus->count);
        return EFI_DEVICE_ERROR;
    }
    return EFI_SUCCESS;
}

EFI_STATUS demote_all(const struct cpu_list *cpus, const struct layer *layer, struct demotion *result)
{
    *result = (struct demotion){ 0 };
    for (uint32_t i = 0; i < cpus->count; i++) {
        struct demote_call call = { .layer = layer, .cpu_index = i };
        EFI_STATUS status = cpus_run(cpus, i, demote_one, &call);

        if (EFI_ERROR(status)) {
            console_line("CloudVisor: CPU %u (APIC id %u): the firmware cannot run the demotion on it: %s", i,
                         cpus->apic_id[i], firmware_status_name(status));
            return status;
        }
        if (call.result != DEMOTE_OK) {
            console_line("CloudVisor: CPU %u (APIC id %u) was not demoted: %s", i, cpus->apic_id[i],
                         reason_name(call.result));
            result->reason = call.result;
            return EFI_DEVICE_ERROR;
        }
        result->done_count++;
    }
    return verify(cpus);
}
