/* SPDX-License-Identifier: GPL-2.0-only */
/* A processor that only remembers. See fake/hw.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "hw.h"

enum { VMCS_MAX = 256, VMCS_FIELDS = 0x8000, MSR_MAX = 256, CR_MAX = 5, FORBIDDEN_MAX = 64 };

struct fake_vmcs {
    uint64_t pa;
    bool launched;
    bool active;
    unsigned active_on;
    uint64_t fields[VMCS_FIELDS];
};

uint8_t *fake_ram;

static struct fake_vmcs *vmcs[VMCS_MAX];
static struct fake_vmcs *loaded, *loaded_elsewhere[FAKE_CPU_MAX];
static unsigned cpu_index;
static bool vmx_on;
static struct {
    uint32_t msr;
    uint64_t value;
} msrs[MSR_MAX];
static size_t msr_count;
static uint64_t crs[CR_MAX];
static uint64_t breakpoints[4], dr6, xcr0;
static uint64_t forbidden[FORBIDDEN_MAX];
static size_t forbidden_count;

void (*fake_on_read)(hpa_t pa);
void (*fake_on_cmpxchg)(hpa_t pa);
struct hw_cpuid (*fake_cpuid)(uint32_t leaf, uint32_t subleaf);
struct cpu *fake_cpu;
uint64_t fake_tsc;
struct fake_vectors fake_vectors;
struct fake_counts fake_counts;

#define DR6_FIXED     UINT64_C(0xffff0ff0)
#define DR6_VARIABLE  UINT64_C(0xe00f)
#define MXCSR_INITIAL UINT32_C(0x1f80)
#define FCW_INITIAL   UINT16_C(0x37f)

#define DIE(...) (fprintf(stderr, "fake hardware: " __VA_ARGS__), fputc('\n', stderr), abort())

void fake_reset(void)
{
    if (fake_ram == NULL) {
        fake_ram = mmap(NULL, FAKE_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                        0);
        if (fake_ram == MAP_FAILED)
            DIE("no memory");
    }
    if (madvise(fake_ram, FAKE_RAM_BYTES, MADV_DONTNEED) != 0)
        DIE("madvise");
    for (size_t i = 0; i < VMCS_MAX; i++) {
        free(vmcs[i]);
        vmcs[i] = NULL;
    }
    loaded = NULL;
    memset(loaded_elsewhere, 0, sizeof(loaded_elsewhere));
    cpu_index = 0;
    vmx_on = false;
    msr_count = 0;
    forbidden_count = 0;
    memset(crs, 0, sizeof(crs));
    memset(breakpoints, 0, sizeof(breakpoints));
    dr6 = DR6_FIXED;
    xcr0 = 1;
    fake_vectors = (struct fake_vectors){ .mxcsr = MXCSR_INITIAL, .fcw = FCW_INITIAL };
    fake_on_read = NULL;
    fake_on_cmpxchg = NULL;
    fake_cpuid = NULL;
    fake_cpu = NULL;
    fake_tsc = 0;
    fake_counts = (struct fake_counts){ 0 };
}

void fake_forbid(hpa_t page)
{
    if (forbidden_count == FORBIDDEN_MAX)
        DIE("too many forbidden pages");
    forbidden[forbidden_count++] = page.raw & ~UINT64_C(0xfff);
}

void *phys_to_virt(hpa_t pa)
{
    if (fake_ram == NULL)
        fake_reset();
    if (pa.raw >= FAKE_RAM_BYTES)
        DIE("access to %#llx, which is not RAM", (unsigned long long)pa.raw);
    for (size_t i = 0; i < forbidden_count; i++)
        if (forbidden[i] == (pa.raw & ~UINT64_C(0xfff)))
            DIE("access to %#llx, which is forbidden", (unsigned long long)pa.raw);
    return fake_ram + pa.raw;
}

uint64_t phys_read64(hpa_t pa)
{
    if (fake_on_read != NULL)
        fake_on_read(pa);
    fake_counts.reads++;
    return *(const uint64_t *)phys_to_virt(pa);
}

void phys_write64(hpa_t pa, uint64_t value)
{
    fake_counts.writes++;
    *(uint64_t *)phys_to_virt(pa) = value;
}

bool phys_cmpxchg64(hpa_t pa, uint64_t expected, uint64_t value)
{
    uint64_t *where = phys_to_virt(pa);

    if (fake_on_cmpxchg != NULL)
        fake_on_cmpxchg(pa);
    if (*where != expected)
        return false;
    fake_counts.writes++;
    *where = value;
    return true;
}

static uint64_t *field_of(uint64_t field)
{
    if (loaded == NULL)
        DIE("VMREAD or VMWRITE without a current VMCS");
    if (field >= VMCS_FIELDS)
        DIE("VMREAD or VMWRITE of field %#llx", (unsigned long long)field);
    return &loaded->fields[field];
}

uint64_t hw_vmread(uint64_t field)
{
    fake_counts.vmreads++;
    return *field_of(field);
}

void hw_vmwrite(uint64_t field, uint64_t value)
{
    unsigned width = (unsigned)(field >> 13) & 3;

    fake_counts.vmwrites++;
    if (field & 1)
        DIE("VMWRITE of a high half");
    *field_of(field) = width == 0 ? value & UINT16_MAX : width == 2 ? value & UINT32_MAX : value;
}

static struct fake_vmcs **slot_of(hpa_t pa)
{
    struct fake_vmcs **empty = NULL;

    if ((pa.raw & 0xfff) != 0)
        DIE("misaligned VMCS");
    for (size_t i = 0; i < VMCS_MAX; i++) {
        if (vmcs[i] != NULL && vmcs[i]->pa == pa.raw)
            return &vmcs[i];
        if (vmcs[i] == NULL && empty == NULL)
            empty = &vmcs[i];
    }
    if (empty == NULL)
        DIE("too many VMCSs");
    return empty;
}

bool hw_vmptrld(hpa_t pa)
{
    struct fake_vmcs **slot = slot_of(pa);

    fake_counts.vmptrld++;
    if (*slot == NULL) {
        *slot = calloc(1, sizeof(**slot));
        (*slot)->pa = pa.raw;
    }
    if ((*slot)->active && (*slot)->active_on != cpu_index)
        DIE("VMPTRLD of a VMCS that is active on another CPU");
    (*slot)->active = true;
    (*slot)->active_on = cpu_index;
    loaded = *slot;
    return true;
}

bool hw_vmclear(hpa_t pa)
{
    struct fake_vmcs *v = *slot_of(pa);

    fake_counts.vmclear++;
    if (v != NULL)
        v->launched = v->active = false;
    if (loaded != NULL && loaded->pa == pa.raw)
        loaded = NULL;
    return true;
}

void fake_switch_cpu(unsigned index, struct cpu *cpu)
{
    loaded_elsewhere[cpu_index] = loaded;
    cpu_index = index;
    loaded = loaded_elsewhere[index];
    fake_cpu = cpu;
}

hpa_t fake_loaded_vmcs(void)
{
    return hpa(loaded != NULL ? loaded->pa : 0);
}

bool *fake_launched(void)
{
    if (loaded == NULL)
        DIE("no current VMCS");
    return &loaded->launched;
}

uint64_t *fake_vmcs_field(hpa_t pa, uint32_t encoding)
{
    struct fake_vmcs *v = *slot_of(pa);

    if (v == NULL || encoding >= VMCS_FIELDS)
        DIE("no VMCS at %#llx, or no field %#x", (unsigned long long)pa.raw, encoding);
    return &v->fields[encoding];
}

bool fake_vmcs_active(hpa_t pa)
{
    const struct fake_vmcs *v = *slot_of(pa);

    return v != NULL && v->active;
}

bool hw_vmxon(hpa_t region)
{
    if ((region.raw & 0xfff) != 0 || vmx_on)
        return false;
    vmx_on = true;
    return true;
}

void hw_invept(enum hw_invalidate type, uint64_t eptp)
{
    if (type == HW_INVEPT_SINGLE)
        fake_counts.invept_single++;
    else
        fake_counts.invept_all++;
    fake_counts.last_eptp = eptp;
}

void hw_invvpid(enum hw_invalidate type, uint16_t vpid, uint64_t linear)
{
    (void)linear;
    if (type != HW_INVVPID_ALL && vpid == 0)
        DIE("INVVPID of VPID 0");
    fake_counts.invvpid++;
}

void fake_msr_set(uint32_t msr, uint64_t value)
{
    for (size_t i = 0; i < msr_count; i++)
        if (msrs[i].msr == msr) {
            msrs[i].value = value;
            return;
        }
    if (msr_count == MSR_MAX)
        DIE("too many MSRs");
    msrs[msr_count].msr = msr;
    msrs[msr_count++].value = value;
}

bool hw_rdmsr_safe(uint32_t msr, uint64_t *value)
{
    for (size_t i = 0; i < msr_count; i++)
        if (msrs[i].msr == msr) {
            *value = msrs[i].value;
            return true;
        }
    return false;
}

bool hw_wrmsr_safe(uint32_t msr, uint64_t value)
{
    uint64_t old;

    if (!hw_rdmsr_safe(msr, &old))
        return false;
    fake_counts.wrmsr++;
    fake_msr_set(msr, value);
    return true;
}

uint64_t hw_rdmsr(uint32_t msr)
{
    uint64_t value = 0;

    if (!hw_rdmsr_safe(msr, &value))
        DIE("RDMSR of %#x raises #GP", msr);
    return value;
}

uint64_t fake_msr_get(uint32_t msr)
{
    return hw_rdmsr(msr);
}

void hw_wrmsr(uint32_t msr, uint64_t value)
{
    if (!hw_wrmsr_safe(msr, value))
        DIE("WRMSR of %#x raises #GP", msr);
}

/* SDM "XSETBV": what raises #GP. */
bool hw_xsetbv_safe(uint32_t index, uint64_t value)
{
    uint64_t avx512 = value & 0xe0;

    if (index != 0 || (value & 1) == 0 || (value & ~(uint64_t)hw_cpuid(0xd, 0).eax) != 0 || (value & 6) == 4)
        return false;
    if (avx512 != 0 && (avx512 != 0xe0 || (value & 4) == 0))
        return false;
    xcr0 = value;
    return true;
}

uint64_t hw_xgetbv(uint32_t index)
{
    if (index != 0)
        DIE("XGETBV of register %u", index);
    return xcr0;
}

/* Where the word of a component lies: ST0, XMM0, or the component's first bytes. */
static uint64_t *component_word(const uint8_t *area, unsigned i)
{
    return (uint64_t *)(uintptr_t)(area + (i == 0 ? 32 : i == 1 ? 160 : hw_cpuid(0xd, i).ebx));
}

/* SDM "Operation of XSAVE". */
void hw_xsave(void *area, uint64_t features)
{
    uint8_t *bytes = area;
    uint64_t *header = (uint64_t *)(bytes + 512);

    if (((uintptr_t)area & 63) != 0)
        DIE("misaligned XSAVE area");
    features &= xcr0;
    for (unsigned i = 0; i < FAKE_COMPONENTS; i++) {
        if ((features >> i & 1) == 0)
            continue;
        *component_word(bytes, i) = fake_vectors.component[i];
        *header = (*header & ~(UINT64_C(1) << i)) | (uint64_t)(fake_vectors.component[i] != 0) << i;
    }
    if ((features & 1) != 0)
        memcpy(bytes, &fake_vectors.fcw, sizeof(fake_vectors.fcw));
    if (fake_vectors.fcw != FCW_INITIAL)
        *header |= features & 1;
    if ((features & 6) != 0)
        memcpy(bytes + 24, &fake_vectors.mxcsr, sizeof(fake_vectors.mxcsr));
}

/* SDM "Operation of XRSTOR", standard format. */
void hw_xrstor(const void *area, uint64_t features)
{
    const uint8_t *bytes = area;
    const uint64_t *header = (const uint64_t *)(bytes + 512);

    if (((uintptr_t)area & 63) != 0 || (header[0] & ~xcr0) != 0 || header[1] != 0 || header[2] != 0)
        DIE("XRSTOR raises #GP");
    features &= xcr0;
    for (unsigned i = 0; i < FAKE_COMPONENTS; i++)
        if ((features >> i & 1) != 0)
            fake_vectors.component[i] = (header[0] >> i & 1) != 0 ? *component_word(bytes, i) : 0;
    if ((features & 1) != 0) {
        fake_vectors.fcw = FCW_INITIAL;
        if ((header[0] & 1) != 0)
            memcpy(&fake_vectors.fcw, bytes, sizeof(fake_vectors.fcw));
    }
    if ((features & 6) != 0)
        memcpy(&fake_vectors.mxcsr, bytes + 24, sizeof(fake_vectors.mxcsr));
}

struct hw_cpuid hw_cpuid(uint32_t leaf, uint32_t subleaf)
{
    return fake_cpuid != NULL ? fake_cpuid(leaf, subleaf) : (struct hw_cpuid){ 0 };
}

struct cpu *hw_this_cpu(void)
{
    if (fake_cpu == NULL)
        DIE("no CPU");
    return fake_cpu;
}

uint64_t hw_rdtsc(void)
{
    return fake_tsc += 100;
}

#define FAKE_CR(n)                                                                                                     \
    uint64_t hw_read_cr##n(void)                                                                                       \
    {                                                                                                                  \
        return crs[n];                                                                                                 \
    }                                                                                                                  \
    void hw_write_cr##n(uint64_t value)                                                                                \
    {                                                                                                                  \
        crs[n] = value;                                                                                                \
    }
FAKE_CR(0)
FAKE_CR(2)
FAKE_CR(4)

uint64_t hw_read_dr7(void)
{
    return 0x400;
}

void hw_write_dr7(uint64_t value)
{
    if (value != 0x400)
        DIE("root mode has breakpoints");
}

uint64_t hw_read_dr6(void)
{
    return dr6;
}

void hw_write_dr6(uint64_t value)
{
    if (value >> 32 != 0)
        DIE("MOV to DR6 raises #GP");
    fake_counts.dr_writes++;
    dr6 = (value & DR6_VARIABLE) | DR6_FIXED;
}

void hw_read_breakpoints(uint64_t dr[4])
{
    memcpy(dr, breakpoints, sizeof(breakpoints));
}

void hw_write_breakpoints(const uint64_t dr[4])
{
    fake_counts.dr_writes++;
    memcpy(breakpoints, dr, sizeof(breakpoints));
}

uint32_t hw_in(uint16_t port, unsigned bytes)
{
    (void)port;
    return UINT32_MAX >> (32 - 8 * bytes);
}

void hw_out(uint16_t port, unsigned bytes, uint32_t value)
{
    (void)port, (void)bytes, (void)value;
}

void hw_pause(void)
{
}

void hw_halt_forever(void)
{
    DIE("halted");
}
