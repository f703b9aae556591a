/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID of a protected VM. One table says what of the processor's answer is passed on and which bits are always set;
 * a leaf that is not in it is 0. A feature belongs here only if the guest can use it whole: its MSRs are served or
 * switched, its CR4 and XCR0 bits allowed, and it shares no memory with the host.
 */
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vmcs01.h"

#define ALL UINT32_MAX
#define ANY UINT32_MAX
enum { OSXSAVE = 1 << 27, HTT = 1 << 28 };

/* KVM's APIC timer counts nanoseconds, and systems take that from the crystal's frequency. */
#define CRYSTAL_KHZ UINT64_C(1000000)
enum { RATIO_MAX = 4096 };

static const struct {
    uint32_t leaf, subleaf;
    struct hw_cpuid pass, set;
} answers[] = {
    { 0, ANY, { 0, ALL, ALL, ALL }, { .eax = 0x16 } },
    /* SSE3, PCLMULQDQ; SSSE3, FMA, CX16; PCID, SSE4.1, SSE4.2, MOVBE, POPCNT; TSC deadline, AES, XSAVE, AVX, F16C, */
    /* RDRAND; always x2APIC and hypervisor. */
    /* FPU, VME, DE, PSE; TSC, MSR, PAE; CX8, APIC, SEP; MTRR, PGE, CMOV; PAT, PSE-36, CLFSH; MMX; FXSR, SSE, SSE2, SS */
    { 1, ANY, { ALL, 0xff00, 0x77da3203, 0x0f8bbb7f }, { .ecx = 0x80200000 } },
    { 2, ANY, { ALL, ALL, ALL, ALL }, { 0 } },
    { 4, ANY, { 0x3ff, ALL, ALL, 7 }, { 0 } },
    { 6, ANY, { 0 }, { .eax = 4 } }, /* the APIC timer always runs */
    /* FSGSBASE, BMI1; AVX2, FDP_EXCPTN_ONLY, SMEP; BMI2, ERMS, INVPCID; no FPU CS and DS; AVX512F, AVX512DQ, RDSEED, */
    /* ADX; SMAP, AVX512_IFMA, CLFLUSHOPT; CLWB; SHA, AVX512BW, AVX512VL */
    /* PREFETCHWT1, AVX512_VBMI, UMIP; AVX512_VBMI2; GFNI, VAES, VPCLMULQDQ, AVX512_VNNI; AVX512_BITALG, */
    /* AVX512_VPOPCNTDQ; RDPID; CLDEMOTE, MOVDIRI; MOVDIR64B */
    /* AVX512_4VNNIW, AVX512_4FMAPS; FSRM; AVX512_VP2INTERSECT, MD_CLEAR; SERIALIZE; AVX512_FP16; IBRS and IBPB, */
    /* STIBP; L1D_FLUSH, ARCH_CAPABILITIES, SSBD */
    { 7, 0, { 0, 0xe1bf27e9, 0x1a405f47, 0xbc80451c }, { .eax = 2 } },
    { 7, 1, { .eax = 0x00801c30 }, { 0 } }, /* AVX_VNNI, AVX512_BF16; FZRM, FSRS, FSRC; AVX_IFMA */
    { 7, 2, { .edx = 0x3f }, { 0 } },       /* bits of IA32_SPEC_CTRL: PSFD, IPRED, RRSBA, DDPD_U, BHI; MCDT_NO */
    { 0xb, 0, { 0 }, { .ebx = 1, .ecx = 0x100 } }, /* one thread per core */
    { 0xb, 1, { 0 }, { .ecx = 0x201 } },           /* all vCPUs are cores of one package */
    { 0xd, 0, { .ebx = ALL }, { 0 } },
    { 0xd, 1, { .eax = 5 }, { 0 } },                 /* XSAVEOPT, XGETBV of what is in use */
    { 0xd, ANY, { .eax = ALL, .ebx = ALL }, { 0 } }, /* components of XCR0 */
    { 0x15, ANY, { 0 }, { .ecx = (uint32_t)CRYSTAL_KHZ * 1000 } },
    { 0x40000000, ANY, { 0 }, { 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d } }, /* "KVMKVMKVM" */
    { 0x80000000, ANY, { 0 }, { .eax = 0x80000008 } },
    /* LAHF, LZCNT, PREFETCHW; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode */
    { 0x80000001, ANY, { .ecx = 0x00000121, .edx = 0x2c100800 }, { 0 } },
    { 0x80000002, ANY, { ALL, ALL, ALL, ALL }, { 0 } },
    { 0x80000003, ANY, { ALL, ALL, ALL, ALL }, { 0 } },
    { 0x80000004, ANY, { ALL, ALL, ALL, ALL }, { 0 } },
    { 0x80000006, ANY, { .ecx = ALL }, { 0 } },
    { 0x80000007, ANY, { 0 }, { .edx = 0x100 } },             /* invariant TSC */
    { 0x80000008, ANY, { .eax = 0xff }, { .eax = 48 << 8 } }, /* widths of addresses */
};

/* The processor's answer; beyond its last leaf it would repeat that one. */
static struct hw_cpuid processor(uint32_t leaf, uint32_t subleaf)
{
    return leaf > hw_cpuid(leaf & BIT32(31), 0).eax ? (struct hw_cpuid){ 0 } : hw_cpuid(leaf, subleaf);
}

static struct hw_cpuid from_table(uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct hw_cpuid *pass = &answers[i].pass, *set = &answers[i].set;
        struct hw_cpuid r;

        if (answers[i].leaf != leaf || (answers[i].subleaf != ANY && answers[i].subleaf != subleaf))
            continue;
        r = processor(leaf, subleaf);
        return (struct hw_cpuid){ (r.eax & pass->eax) | set->eax, (r.ebx & pass->ebx) | set->ebx,
                                  (r.ecx & pass->ecx) | set->ecx, (r.edx & pass->edx) | set->edx };
    }
    return (struct hw_cpuid){ 0 };
}

/* The counter's frequency over the crystal's: the best numerator and denominator that Linux multiplies in 32 bits. */
static void tsc_ratio(uint64_t tsc_khz, struct hw_cpuid *r)
{
    uint64_t least = UINT32_MAX, p, q, error;

    r->eax = 1;
    for (q = 1; q < RATIO_MAX; q++) {
        p = (tsc_khz * q + CRYSTAL_KHZ / 2) / CRYSTAL_KHZ;
        error = p * CRYSTAL_KHZ > tsc_khz * q ? p * CRYSTAL_KHZ - tsc_khz * q : tsc_khz * q - p * CRYSTAL_KHZ;
        if (p * CRYSTAL_KHZ > UINT32_MAX || error * r->eax >= least * q)
            continue;
        least = error;
        r->eax = (uint32_t)q;
        r->ebx = (uint32_t)p;
    }
}

/* For vCPU `index` of `count`. */
static struct hw_cpuid answer(uint32_t index, uint32_t count, uint64_t cr4, uint32_t leaf, uint32_t subleaf)
{
    struct hw_cpuid r = from_table(leaf, subleaf);
    unsigned id_bits = count > 1 ? 32 - (unsigned)__builtin_clz(count - 1) : 0;

    switch (leaf) {
    case 1:
        r.ebx |= index << 24 | 1u << id_bits << 16;
        r.ecx |= (cr4 & CR4_OSXSAVE) != 0 ? OSXSAVE : 0;
        r.edx |= count > 1 ? HTT : 0;
        break;
    case 4: r.eax |= (r.eax & 31) != 0 ? ((1u << id_bits) - 1) << 26 : 0; break; /* a core has its caches alone */
    case 0xb:
        r.eax = subleaf == 1 ? id_bits : 0;
        r.ebx = subleaf == 1 ? count : r.ebx;
        r.ecx |= subleaf & 0xff;
        r.edx = index;
        break;
    case 0xd:
        r.eax = subleaf == 0 ? vm_xcr0_offer : r.eax;
        r.ecx = subleaf == 0 ? vm_xsave_bytes : 0;
        if (subleaf > 31 || (subleaf > 1 && (vm_xcr0_offer >> subleaf & 1) == 0))
            r = (struct hw_cpuid){ 0 };
        break;
    case 0x15: tsc_ratio(boot->tsc_khz, &r); break;
    case 0x16: r.eax = boot->tsc_khz / 1000; break; /* else Linux measures it with a timer that may not be there */
    default: break;
    }
    return r;
}

struct hw_cpuid vm_cpuid(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint64_t guest_cr4)
{
    return answer(vcpu->index, vcpu->vm->descriptor->vcpu_count, guest_cr4, leaf, subleaf);
}

bool vm_cpuid_satisfies(const struct bundle_descriptor *descriptor)
{
    for (unsigned i = 0; i < descriptor->cpu_feature_count; i++) {
        const struct bundle_cpu_feature *f = &descriptor->cpu_features[i];
        struct hw_cpuid r = answer(0, descriptor->vcpu_count, 0, f->leaf, f->subleaf);
        const uint32_t words[] = { r.eax, r.ebx, r.ecx, r.edx };

        if ((words[f->reg] & f->mask) != f->mask)
            return false;
    }
    return true;
}
