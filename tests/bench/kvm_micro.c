/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Micro-benchmarks of a KVM guest, by a small user of /dev/kvm: one vCPU in
 * flat 32-bit mode, driven phase by phase. Each phase reads the TSC inside the
 * guest around its loop. With the layer below, its counters (entries, ticks in
 * root mode) are read around each phase too, and those of an empty phase are
 * subtracted. Prints "BENCHRAW <id> <value>" lines.
 *
 * A phase runs in batches, and the batch with the median of ticks counts, so
 * that the host's timer interrupts don't.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hypercall.h"

#define GUEST_MEMORY     (64u << 20)
#define CODE_ADDRESS     0x1000u
#define RESULT_ADDRESS   0x8000u
#define TOUCH_ADDRESS    (8u << 20)
#define PAGE             4096u
#define BATCHES          15u
#define BATCH_OPERATIONS 256u
#define COMPUTE_STEPS    10000000u
#define COPY_ROUNDS      64u
#define PORT_DONE        0x11

/*
 * The guest. In: ECX = count, ESI and EDI = addresses, EBP = where to put the
 * two TSC values (start, end). A write to PORT_DONE ends each phase. CPUID
 * clobbers ECX, so its loop counts in EDI. RFLAGS.IF is set (no interrupt is ever
 * injected): Bochs gives a VM with IF = 0 no external-interrupt exits.
 */
__asm__(".pushsection .rodata\n"
        ".code32\n"
        "guest_begin:\n"
        ".macro start\n"
        "	rdtsc\n	mov %eax, (%ebp)\n	mov %edx, 4(%ebp)\n"
        ".endm\n"
        ".macro finish\n"
        "	rdtsc\n	mov %eax, 8(%ebp)\n	mov %edx, 12(%ebp)\n	out %al, $0x11\n"
        ".endm\n"
        "guest_empty:\n"
        "	start\n	finish\n"
        "guest_cpuid:\n"
        "	start\n"
        "1:	xor %eax, %eax\n	cpuid\n	dec %edi\n	jnz 1b\n"
        "	finish\n"
        "guest_pio:\n"
        "	start\n"
        "1:	out %al, $0x10\n	dec %ecx\n	jnz 1b\n"
        "	finish\n"
        "guest_touch:\n"
        "	start\n"
        "1:	mov %ecx, (%edi)\n	add $4096, %edi\n	dec %ecx\n	jnz 1b\n"
        "	finish\n"
        "guest_compute:\n"
        "	start\n"
        "1:	imul $1664525, %eax\n	add $1013904223, %eax\n	dec %ecx\n	jnz 1b\n"
        "	finish\n"
        "guest_copy:\n"
        "	start\n"
        "	mov %ecx, %ebx\n"
        "1:	mov $0x100000, %esi\n	mov $0x300000, %edi\n	mov $0x40000, %ecx\n"
        "	rep movsl\n	dec %ebx\n	jnz 1b\n"
        "	finish\n"
        "guest_end:\n"
        ".code64\n"
        ".popsection\n");

extern const char guest_begin[], guest_empty[], guest_cpuid[], guest_pio[], guest_touch[], guest_compute[],
    guest_copy[], guest_end[];

struct machine {
    int kvm, vm, vcpu;
    struct kvm_run *run;
    uint8_t *memory;
};

struct sample {
    uint64_t ticks;
    uint64_t entries;
    uint64_t root_ticks;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "kvm_micro: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The layer's counter, or 0 without a layer or without such a counter. */
static uint64_t counter(const char *name)
{
    int index = hypercall_stat_index(name);
    struct hypercall_answer answer;

    if (index < 0)
        return 0;
    answer = hypercall(HYPERCALL_STAT, (uint64_t)index, 0);
    return answer.present && answer.status == 0 ? answer.value : 0;
}

/* Every page is there before the guest starts: a touch then costs no allocation. */
static uint8_t *allocate_memory(void)
{
    uint8_t *memory = mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        fail("mmap");
    if (madvise(memory, GUEST_MEMORY, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
        fail("madvise");
    memset(memory, 1, GUEST_MEMORY);
    return memory;
}

static void set_flat_mode(int vcpu)
{
    struct kvm_sregs sregs;
    struct kvm_segment code = { .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1 };
    struct kvm_segment data = { .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1 };

    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        fail("KVM_GET_SREGS");
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.cr0 |= 1;
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0)
        fail("KVM_SET_SREGS");
}

static void machine_create(struct machine *machine)
{
    struct kvm_userspace_memory_region region = { .memory_size = GUEST_MEMORY };
    int run_size;

    machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (machine->kvm < 0)
        fail("/dev/kvm");
    machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0);
    if (machine->vm < 0)
        fail("KVM_CREATE_VM");
    machine->memory = allocate_memory();
    region.userspace_addr = (uintptr_t)machine->memory;
    if (ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        fail("KVM_SET_USER_MEMORY_REGION");
    machine->vcpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
    if (machine->vcpu < 0)
        fail("KVM_CREATE_VCPU");
    run_size = ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    machine->run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu, 0);
    if (machine->run == MAP_FAILED)
        fail("mmap of the vCPU");
    memcpy(machine->memory + CODE_ADDRESS, guest_begin, (size_t)(guest_end - guest_begin));
    set_flat_mode(machine->vcpu);
}

static void run_until_done(struct machine *machine)
{
    for (;;) {
        if (ioctl(machine->vcpu, KVM_RUN, 0) < 0) {
            if (errno == EINTR)
                continue;
            fail("KVM_RUN");
        }
        if (machine->run->exit_reason != KVM_EXIT_IO) {
            fprintf(stderr, "kvm_micro: unexpected exit %u\n", machine->run->exit_reason);
            exit(1);
        }
        if (machine->run->io.port == PORT_DONE)
            return;
    }
}

static struct sample run_phase(struct machine *machine, const char *entry, uint32_t count, uint32_t edi)
{
    struct kvm_regs regs = { .rip = CODE_ADDRESS + (uint64_t)(entry - guest_begin),
                             .rflags = 0x202,
                             .rcx = count,
                             .rdi = edi,
                             .rbp = RESULT_ADDRESS };
    struct sample sample;
    uint64_t tsc[2];

    if (ioctl(machine->vcpu, KVM_SET_REGS, &regs) < 0)
        fail("KVM_SET_REGS");
    sample.entries = counter("entries");
    sample.root_ticks = counter("root_ticks");
    run_until_done(machine);
    sample.root_ticks = counter("root_ticks") - sample.root_ticks;
    sample.entries = counter("entries") - sample.entries;
    memcpy(tsc, machine->memory + RESULT_ADDRESS, sizeof(tsc));
    sample.ticks = tsc[1] - tsc[0];
    return sample;
}

static int by_ticks(const void *left, const void *right)
{
    const struct sample *a = left, *b = right;

    return a->ticks < b->ticks ? -1 : a->ticks > b->ticks;
}

/* The median batch. `stride`: how far EDI moves per batch, for fresh pages. */
static struct sample median(struct machine *machine, const char *entry, uint32_t edi, uint32_t stride)
{
    struct sample samples[BATCHES];

    for (uint32_t batch = 0; batch < BATCHES; batch++)
        samples[batch] = run_phase(machine, entry, BATCH_OPERATIONS, edi + batch * stride);
    qsort(samples, BATCHES, sizeof(samples[0]), by_ticks);
    return samples[BATCHES / 2];
}

static void print_per_operation(const char *name, struct sample sample, struct sample empty)
{
    const double count = BATCH_OPERATIONS;

    printf("BENCHRAW exit_%s_ticks %.1f\n", name, ((double)sample.ticks - (double)empty.ticks) / count);
    if (!hypercall(HYPERCALL_VERSION, 0, 0).present)
        return;
    printf("BENCHRAW exit_%s_entries %.2f\n", name, ((double)sample.entries - (double)empty.entries) / count);
    printf("BENCHRAW exit_%s_root_ticks %.1f\n", name, ((double)sample.root_ticks - (double)empty.root_ticks) / count);
}

static void print_layer_size(void)
{
    if (!hypercall(HYPERCALL_VERSION, 0, 0).present)
        return;
    printf("BENCHRAW layer_bytes %llu\n", (unsigned long long)counter("layer_bytes"));
    printf("BENCHRAW ept_bytes %llu\n", (unsigned long long)counter("ept_bytes"));
    printf("BENCHRAW vmcs_shadowing %llu\n", (unsigned long long)counter("vmcs_shadowing"));
}

int main(void)
{
    struct machine machine = { 0 };
    struct sample empty;

    setvbuf(stdout, NULL, _IOLBF, 0);
    machine_create(&machine);
    run_phase(&machine, guest_copy, 1, 0); /* maps code, results and both buffers */
    empty = median(&machine, guest_empty, 0, 0);
    print_per_operation("cpuid", median(&machine, guest_cpuid, BATCH_OPERATIONS, 0), empty);
    print_per_operation("pio", median(&machine, guest_pio, 0, 0), empty);
    print_per_operation("ept", median(&machine, guest_touch, TOUCH_ADDRESS, BATCH_OPERATIONS * PAGE), empty);
    printf("BENCHRAW compute_ticks %llu\n",
           (unsigned long long)run_phase(&machine, guest_compute, COMPUTE_STEPS, 0).ticks);
    printf("BENCHRAW copy_ticks %llu\n", (unsigned long long)run_phase(&machine, guest_copy, COPY_ROUNDS, 0).ticks);
    print_layer_size();
    return 0;
}
