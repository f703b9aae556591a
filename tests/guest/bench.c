/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What a test guest measures of itself: computing, copying, system calls,
 * processes, and exits that user mode can cause. TSC ticks, the median of some
 * batches, less an empty loop. The same program runs protected and unprotected,
 * for comparison.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"
#include "workload.h"

#define BATCHES       9u
#define COMPUTE_STEPS 4000000u
#define COPY_BYTES    (4u << 20)
#define COPY_ROUNDS   16u
#define SYSCALLS      50000u
#define PROGRAMS      16u
#define EXITS         256u
#define SCRATCH_PORT  0x3ff      /* of COM1, in the policy's windows */
#define VIRTIO_DEVICE 0xfeb00000 /* microvm's first transport */
#define PROGRAM_PATH  "/bench-program"
#define DEVICE_MEMORY "/dev/mem"
#define PAGE          4096u

/* A whole static program that ends with code 0: ELF header, program header, mov $60, %eax; xor %edi, %edi; syscall. */
__asm__(
    ".pushsection .rodata\n"
    "program_begin:\n"
    "	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0\n	.quad 0\n"
    "	.word 2, 62\n	.long 1\n	.quad 0x400000 + 120, 64, 0\n	.long 0\n"
    "	.word 64, 56, 1, 0, 0, 0\n"
    "	.long 1, 5\n	.quad 0, 0x400000, 0x400000, program_end - program_begin, program_end - program_begin, 0x1000\n"
    "	mov $60, %eax\n	xor %edi, %edi\n	syscall\n"
    "program_end:\n"
    ".popsection\n");
extern const char program_begin[], program_end[];

static uint8_t copy_from[COPY_BYTES], copy_to[COPY_BYTES];
static volatile uint32_t *device; /* of the benchmark that runs */

static void do_nothing(unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        __asm__ volatile("");
}

static void do_compute(unsigned int count)
{
    volatile uint64_t result = workload_cpu_loop(1, count);

    (void)result;
}

/* Not memcpy(): how that copies depends on the processor that the guest is shown. */
static void copy(void *to, const void *from, size_t bytes)
{
    size_t words = bytes / 8;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* To memory that this machine has not used yet: nothing is given back before the end. */
static void do_copy_fresh(unsigned int count)
{
    uint8_t *to = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (to != MAP_FAILED)
        copy(to, copy_from, count);
}

static void do_copy_again(unsigned int count)
{
    for (unsigned int done = 0; done < count; done += COPY_BYTES)
        copy(copy_to, copy_from, COPY_BYTES);
}

static void do_syscalls(unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        syscall(SYS_getppid);
}

static void do_programs(unsigned int count)
{
    static char *const arguments[] = { PROGRAM_PATH, NULL };

    for (unsigned int i = 0; i < count; i++) {
        int status = -1;
        pid_t child = fork();

        if (child == 0) {
            execv(PROGRAM_PATH, arguments);
            _exit(1);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            printf("CVG failed bench: a program ended with status %x\n", (unsigned int)status);
            exit(1);
        }
    }
}

static void do_cpuid(unsigned int count)
{
    uint32_t eax, ebx, ecx, edx;

    for (unsigned int i = 0; i < count; i++)
        __cpuid(0, eax, ebx, ecx, edx);
}

static void do_port_out(unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        outb(0x55, SCRATCH_PORT);
}

static void do_port_in(unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        inb(SCRATCH_PORT);
}

static void do_device_read(unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        (void)*device;
}

static int by_value(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return *a < *b ? -1 : *a > *b;
}

static uint64_t median_ticks(void (*operate)(unsigned int count), unsigned int count)
{
    uint64_t ticks[BATCHES];

    for (unsigned int batch = 0; batch < BATCHES; batch++) {
        uint64_t before = __rdtsc();

        operate(count);
        ticks[batch] = __rdtsc() - before;
    }
    qsort(ticks, BATCHES, sizeof(ticks[0]), by_value);
    return ticks[BATCHES / 2];
}

/* Per step of `operate`; an empty loop of so many steps is taken off. */
static void measure(const char *name, void (*operate)(unsigned int), unsigned int count, unsigned int empty_loop)
{
    uint64_t empty = median_ticks(do_nothing, empty_loop);

    printf("CVG bench %s %.5f\n", name, ((double)median_ticks(operate, count) - (double)empty) / count);
}

static int write_program(void)
{
    size_t size = (size_t)(program_end - program_begin);
    int fd = open(PROGRAM_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    int ok = fd >= 0 && write(fd, program_begin, size) == (ssize_t)size;

    return fd >= 0 && close(fd) == 0 && ok;
}

/* Needs "iomem=relaxed" on the command line. */
static void measure_device(const char *name, off_t address)
{
    int fd = open(DEVICE_MEMORY, O_RDWR | O_CLOEXEC);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, address);

    if (page == MAP_FAILED) {
        printf("CVG no %s: %s\n", name, strerror(errno));
        return;
    }
    device = page;
    measure(name, do_device_read, EXITS, EXITS);
    munmap(page, PAGE);
    close(fd);
}

/* Processes before copies: a small process forks faster. */
void bench(void)
{
    measure("compute", do_compute, COMPUTE_STEPS, 0);
    measure("syscall", do_syscalls, SYSCALLS, SYSCALLS);
    if (write_program()) {
        do_programs(PROGRAMS);
        measure("forkexec", do_programs, PROGRAMS, 0);
    }
    measure("cpuid", do_cpuid, EXITS, EXITS);
    if (ioperm(SCRATCH_PORT, 1, 1) == 0) {
        measure("serial_out", do_port_out, EXITS, EXITS);
        measure("serial_in", do_port_in, EXITS, EXITS);
    }
    measure_device("mmio", VIRTIO_DEVICE);
    memset(copy_from, 1, sizeof(copy_from));
    measure("copy", do_copy_fresh, COPY_BYTES, 0);
    do_copy_again(COPY_BYTES);
    measure("copy_again", do_copy_again, COPY_ROUNDS * COPY_BYTES, 0);
}
