/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Process 1 of a test guest: loads the virtio modules, says what machine it
 * sees, computes on every CPU, checks memory, reads and rewrites the virtio-blk
 * disk, prints one line per result and powers off. Parameters on the kernel's
 * command line: cvseed=<number>, cvmemory=<MiB to check>, cvdisk=none, and
 * cvwait=1 to keep a page of secrets, say where, and wait for a line of input.
 * Each line starts with "CVG "; "CVG done" comes only if all went well.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "bench.h"
#include "talk.h"
#include "workload.h"

#define HYPERVISOR_LEAF    0x40000000u
#define KERNEL_LOG_BYTES   (256u << 10)
#define SYSLOG_READ_ALL    3
#define PAGE               4096u
#define PAGEMAP_FRAME      ((1ull << 55) - 1)
#define CPUINFO_LINE_BYTES 8192

static const char *const modules[] = {
    "virtio_ring",           "virtio",     "virtio_mmio", "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk",
};

_Noreturn void end_machine(int how)
{
    tcdrain(STDOUT_FILENO);
    sync();
    reboot(how);
    for (;;)
        pause();
}

_Noreturn void fail(const char *what)
{
    printf("CVG failed %s: %s\n", what, strerror(errno));
    end_machine(RB_POWER_OFF);
}

static void load_modules(void)
{
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/modules/%s.ko", modules[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue; /* built in, or this kernel has no such module */
        if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
            fail(modules[i]);
        close(fd);
    }
}

/* The parameter's number; unknown words of the kernel's command line come as environment. */
static uint64_t number_parameter(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void print_hypervisor(void)
{
    uint32_t eax, text[4] = { 0 };

    __cpuid(HYPERVISOR_LEAF, eax, text[0], text[1], text[2]);
    printf("CVG hypervisor %.12s\nCVG cpuid_max %x %x\n", (const char *)text, (unsigned int)__get_cpuid_max(0, NULL),
           eax);
}

static void print_clocksource(void)
{
    char name[64] = "-";
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

    if (!file || fscanf(file, "%63s", name) != 1)
        fail("clocksource");
    fclose(file);
    printf("CVG clocksource %s\n", name);
}

/* By the kernel's log: nothing in /proc or /sys tells the local APIC's mode. */
static void print_x2apic(void)
{
    char *log = calloc(1, KERNEL_LOG_BYTES + 1);

    if (!log || klogctl(SYSLOG_READ_ALL, log, KERNEL_LOG_BYTES) < 0)
        fail("kernel log");
    printf("CVG x2apic %s\n", strstr(log, "Switched APIC routing to physical x2apic") ||
                                      strstr(log, "Switched APIC routing to cluster x2apic")
                                  ? "on"
                                  : "off");
    free(log);
}

/* Of the first CPU's flags, those that a protected VM cares for. */
static void print_flags(void)
{
    static const char *const wanted[] = {
        "x2apic", "tsc_deadline_timer", "rdrand", "aes", "hypervisor", "constant_tsc"
    };
    static char line[CPUINFO_LINE_BYTES];
    FILE *file = fopen("/proc/cpuinfo", "re");

    if (!file)
        fail("cpuinfo");
    while (fgets(line, sizeof(line), file) && strncmp(line, "flags", 5) != 0)
        ;
    fclose(file);
    printf("CVG flags");
    for (char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"))
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
            if (!strcmp(word, wanted[i]))
                printf(" %s", word);
    printf("\n");
}

static void print_machine(void)
{
    print_hypervisor();
    print_clocksource();
    print_x2apic();
    print_flags();
}

/* In a child bound to the CPU, so that no CPU's result can stand for another's. */
static uint64_t cpu_loop_on(int cpu, uint64_t seed)
{
    uint64_t *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cpu_set_t cpus;
    int status;
    pid_t child;

    if (result == MAP_FAILED)
        fail("mmap");
    child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        CPU_ZERO(&cpus);
        CPU_SET((size_t)cpu, &cpus);
        if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
            _exit(1);
        *result = workload_cpu_loop(seed, CPU_LOOP_STEPS);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        fail("cpu loop");
    return *result;
}

static void check_cpus(uint64_t seed)
{
    long cpu_count = sysconf(_SC_NPROCESSORS_ONLN);

    printf("CVG cpus %ld\n", cpu_count);
    for (int cpu = 0; cpu < cpu_count; cpu++)
        printf("CVG cpu %016" PRIx64 "\n", cpu_loop_on(cpu, seed));
}

static void check_memory(uint64_t seed, size_t size)
{
    uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (words == MAP_FAILED)
        fail("mmap");
    workload_fill(words, size / sizeof(*words), seed);
    printf("CVG memory %016" PRIx64 "\n", workload_digest(words, size / sizeof(*words)));
    munmap(words, size);
}

static void disk_transfer(int fd, uint8_t *data, int writing)
{
    size_t done = 0;

    while (done < DISK_BYTES) {
        size_t left = DISK_BYTES - done;
        ssize_t count = writing ? pwrite(fd, data + done, left, (off_t)done)
                                : pread(fd, data + done, left, (off_t)done);

        if (count == 0)
            errno = EIO;
        if (count <= 0)
            fail(writing ? "disk write" : "disk read");
        done += (size_t)count;
    }
}

/* O_DIRECT: what is read back comes from the device, not from the page cache. */
static void check_disk(uint64_t seed)
{
    const size_t word_count = DISK_BYTES / sizeof(uint64_t);
    uint64_t *words = mmap(NULL, DISK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);

    if (words == MAP_FAILED)
        fail("mmap");
    if (fd < 0)
        fail("/dev/vda");
    disk_transfer(fd, (uint8_t *)words, 0);
    printf("CVG disk_read %016" PRIx64 "\n", workload_digest(words, word_count));
    workload_fill(words, word_count, seed + 1);
    disk_transfer(fd, (uint8_t *)words, 1);
    if (fsync(fd) < 0)
        fail("fsync");
    memset(words, 0, DISK_BYTES);
    disk_transfer(fd, (uint8_t *)words, 0);
    printf("CVG disk_written %016" PRIx64 "\n", workload_digest(words, word_count));
    close(fd);
}

/* A page full of copies of the secret. */
uint8_t *place_secret(uint64_t seed)
{
    uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);

    if (page == MAP_FAILED)
        fail("mmap");
    for (size_t at = 0; at < PAGE; at += SECRET_BYTES)
        workload_secret(page + at, SECRET_BYTES, seed);
    return page;
}

uint64_t guest_physical(const void *address)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)address / PAGE * sizeof(entry))) != sizeof(entry))
        fail("pagemap");
    close(fd);
    return (entry & PAGEMAP_FRAME) * PAGE;
}

/* Computes the secret once more by and by, so that no second copy of it is in memory. */
int secret_is_intact(const uint8_t *page, uint64_t seed)
{
    uint64_t value = seed;

    for (size_t at = 0; at < PAGE; at++) {
        value = workload_cpu_loop(at % SECRET_BYTES ? value : seed, 1);
        if (page[at] != (uint8_t)(value >> 56))
            return 0;
    }
    return 1;
}

static void wait_with_secret(const uint8_t *page, uint64_t seed)
{
    char line[16];

    printf("CVG waits 0x%" PRIx64 "\n", guest_physical(page));
    if (!fgets(line, sizeof(line), stdin))
        fail("input");
    printf("CVG secret %s\n", secret_is_intact(page, seed) ? "intact" : "changed");
}

int main(void)
{
    const char *disk = getenv("cvdisk");
    uint64_t seed = number_parameter("cvseed", 1), waits = number_parameter("cvwait", 0);
    const uint8_t *secret = NULL;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("CVG up\n");
    if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0 && errno != EBUSY)
        fail("devtmpfs");
    if (mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
        fail("sysfs");
    if (mount("proc", "/proc", "proc", 0, NULL) < 0)
        fail("proc");
    load_modules();
    print_machine();
    if (waits)
        secret = place_secret(seed);
    if (getenv("cvtalk"))
        talk((size_t)number_parameter("cvmemory", MEMORY_MIB) << 20);
    if (getenv("cvbench"))
        bench();
    check_cpus(seed);
    check_memory(seed, (size_t)number_parameter("cvmemory", MEMORY_MIB) << 20);
    if (!disk || strcmp(disk, "none") != 0)
        check_disk(seed);
    if (waits)
        wait_with_secret(secret, seed);
    printf("CVG done\n");
    end_machine(RB_POWER_OFF);
}
