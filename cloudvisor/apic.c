/* SPDX-License-Identifier: GPL-2.0-only */
/* SDM "Advanced Programmable Interrupt Controller (APIC)": interrupt command register, logical destinations. */
#include "cloudvisor/apic.h"
#include "cloudvisor/log.h"

enum { APIC_ID = 0x20, APIC_LDR = 0xd0, APIC_DFR = 0xe0, APIC_ICR_LOW = 0x300, APIC_ICR_HIGH = 0x310 };
#define ICR_MODE(icr)      ((uint32_t)((icr) >> 8) & 7u)
#define ICR_LOGICAL        (UINT64_C(1) << 11)
#define ICR_PENDING        (UINT64_C(1) << 12)
#define ICR_ASSERT         (UINT64_C(1) << 14)
#define ICR_LEVEL          (UINT64_C(1) << 15)
#define ICR_SHORTHAND(icr) ((uint32_t)((icr) >> 18) & 3u)
#define ICR_COMMAND        UINT32_C(0xc7ff) /* vector, mode, assert, trigger: physical destination, no shorthand */
enum { MODE_NMI = 4, MODE_INIT = 5, MODE_SIPI = 6 };
enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };
enum { ICR_PATIENCE = 1000000 };

/* A register in the xAPIC's page. */
static volatile uint32_t *xapic(uint32_t offset)
{
    return phys_to_virt(hpa(APIC_PAGE + offset));
}

static bool x2apic_mode(void)
{
    return (hw_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC) != 0;
}

static void wait_idle(void)
{
    for (unsigned i = 0; i < ICR_PATIENCE; i++) {
        if ((*xapic(APIC_ICR_LOW) & ICR_PENDING) == 0)
            return;
        hw_pause();
    }
}

/* Sends `command` to one CPU and restores the host's destination. */
static void send(uint32_t apic_id, uint32_t command)
{
    uint32_t high;

    if (x2apic_mode()) {
        hw_wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | command);
        return;
    }
    wait_idle();
    high = *xapic(APIC_ICR_HIGH);
    *xapic(APIC_ICR_HIGH) = apic_id << 24;
    *xapic(APIC_ICR_LOW) = command;
    wait_idle();
    *xapic(APIC_ICR_HIGH) = high;
}

void apic_send_nmi(uint32_t apic_id)
{
    send(apic_id, MODE_NMI << 8 | ICR_ASSERT);
}

void apic_read_logical_id(struct cpu *cpu)
{
    if (x2apic_mode())
        return;
    cpu->apic_ldr = *xapic(APIC_LDR);
    cpu->apic_dfr = *xapic(APIC_DFR);
}

static bool logical_match(const struct cpu *cpu, uint32_t destination, bool x2apic)
{
    uint32_t ldr = cpu->apic_ldr >> 24;

    if (x2apic)
        return destination >> 16 == cpu->apic_id >> 4 && (destination >> (cpu->apic_id & 15) & 1) != 0;
    if (cpu->apic_dfr >> 28 == 0xf)
        return (ldr & destination) != 0;
    return ldr >> 4 == destination >> 4 && (ldr & destination & 0xf) != 0;
}

static bool is_target(const struct cpu *self, unsigned index, uint64_t icr, bool x2apic)
{
    const struct cpu *cpu = cpus[index];
    uint32_t destination = (uint32_t)(x2apic ? icr >> 32 : icr >> 56);

    switch (ICR_SHORTHAND(icr)) {
    case SHORTHAND_SELF: return cpu == self;
    case SHORTHAND_ALL: return true;
    case SHORTHAND_OTHERS: return cpu != self;
    default: break;
    }
    if (destination == (x2apic ? UINT32_MAX : 0xff))
        return true;
    if ((icr & ICR_LOGICAL) != 0)
        return cpu != NULL && logical_match(cpu, destination, x2apic);
    return boot->apic_id[index] == destination;
}

/* Posts what `icr` asks for to one CPU, which sees it before its next entry. */
static void post(struct cpu *self, struct cpu *cpu, uint64_t icr)
{
    switch (ICR_MODE(icr)) {
    case MODE_NMI: cpu->host_nmi = 1; break;
    case MODE_INIT:
        cpu->sipi_request = 0;
        cpu->init_request = 1;
        break;
    default:
        if (!cpu->init_request && !cpu->waits_for_sipi)
            return;
        cpu->sipi_request = 0x100 | (uint32_t)(icr & 0xff);
    }
    if (cpu == self)
        cpu->attention = 1;
    else
        cpu_kick(self, cpu);
}

/* True if the layer carried out the command; false if it is an ordinary interrupt for the hardware to send. */
static bool host_icr(struct cpu *self, uint64_t icr, bool x2apic)
{
    uint32_t mode = ICR_MODE(icr);

    if (mode != MODE_NMI && mode != MODE_INIT && mode != MODE_SIPI)
        return false;
    if (mode == MODE_INIT && (icr & ICR_LEVEL) != 0 && (icr & ICR_ASSERT) == 0)
        return true; /* the de-assert of old processors */
    layer_lock();
    for (unsigned i = 0; i < boot->cpu_count; i++) {
        if (!is_target(self, i, icr, x2apic))
            continue;
        if (cpus[i] != NULL)
            post(self, cpus[i], icr);
        else /* the loader is still at work: this CPU has yet to be demoted */
            send(boot->apic_id[i], (uint32_t)icr & ICR_COMMAND);
    }
    layer_unlock();
    return true;
}

void apic_host_write(struct cpu *cpu, uint32_t offset, uint32_t value)
{
    if ((offset & 15) != 0 || offset == APIC_ID)
        return; /* undefined, and the layer's kicks need the id as it is */
    if (offset == APIC_LDR)
        cpu->apic_ldr = value;
    if (offset == APIC_DFR)
        cpu->apic_dfr = value;
    if (offset == APIC_ICR_LOW) {
        uint64_t high = *xapic(APIC_ICR_HIGH);

        if (host_icr(cpu, high << 32 | value, false))
            return;
    }
    *xapic(offset) = value;
}

bool apic_host_x2apic_icr(struct cpu *cpu, uint64_t value)
{
    return host_icr(cpu, value, true) || hw_wrmsr_safe(MSR_X2APIC_ICR, value);
}
