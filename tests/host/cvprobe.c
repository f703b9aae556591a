/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The host's side of the platform tests, a static program in the initramfs:
 *   fill FILE SEED    write a disk image whose digest is known
 *   digest FILE       print the digest of such an image
 *   tsc               print the time stamp counter
 *   layer             ask the layer for its version, on each CPU in turn
 *   exits WHEN        print the layer's exit counts by level and reason
 *   stats             print the layer's named counters
 *   drain             wait until the console's last character is out
 *   end               drain, then write "Shutdown" to port 8900h
 * The layer is reached by VMCALL with registers only; without it VMCALL raises
 * #UD, which is caught and reported as "absent".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <termios.h>
#include <unistd.h>
#include <x86intrin.h>

#include "hypercall.h"
#include "workload.h"

#define SHUTDOWN_PORT 0x8900
#define EXIT_REASONS  80

static int usage(void)
{
    fprintf(stderr, "usage: cvprobe fill FILE SEED | digest FILE | tsc | layer | exits WHEN | stats | drain | end\n");
    return 2;
}

static int complain(const char *what)
{
    fprintf(stderr, "cvprobe: %s: %s\n", what, strerror(errno));
    return 1;
}

static int command_fill(const char *path, const char *seed)
{
    uint64_t *words = malloc(DISK_BYTES);
    FILE *file = fopen(path, "wb");

    if (!words || !file)
        return complain(path);
    workload_fill(words, DISK_BYTES / sizeof(*words), strtoull(seed, NULL, 0));
    if (fwrite(words, 1, DISK_BYTES, file) != DISK_BYTES || fclose(file) != 0)
        return complain(path);
    free(words);
    return 0;
}

static int command_digest(const char *path)
{
    uint64_t *words = malloc(DISK_BYTES);
    FILE *file = fopen(path, "rb");

    if (!words || !file)
        return complain(path);
    if (fread(words, 1, DISK_BYTES, file) != DISK_BYTES)
        return complain(path);
    printf("%016" PRIx64 "\n", workload_digest(words, DISK_BYTES / sizeof(*words)));
    fclose(file);
    free(words);
    return 0;
}

static int command_layer(void)
{
    long cpu_count = sysconf(_SC_NPROCESSORS_ONLN);

    for (int cpu = 0; cpu < cpu_count; cpu++) {
        struct hypercall_answer answer;
        cpu_set_t cpus;

        CPU_ZERO(&cpus);
        CPU_SET((size_t)cpu, &cpus);
        if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
            return complain("sched_setaffinity");
        answer = hypercall(HYPERCALL_VERSION, 0, 0);
        if (!answer.present || answer.status != 0)
            printf("CV-LAYER cpu=%d absent\n", cpu);
        else
            printf("CV-LAYER cpu=%d version=%" PRIu64 "\n", cpu, answer.value);
    }
    return 0;
}

static void print_exits_of(unsigned int level, const char *when)
{
    for (unsigned int reason = 0; reason < EXIT_REASONS; reason++) {
        struct hypercall_answer answer = hypercall(HYPERCALL_EXITS, reason, level);

        if (!answer.present || answer.status != 0)
            return;
        if (answer.value != 0)
            printf("CV-EXITS at=%s level=%u reason=%u count=%" PRIu64 "\n", when, level, reason, answer.value);
    }
}

static int command_exits(const char *when)
{
    print_exits_of(1, when);
    print_exits_of(2, when);
    return 0;
}

static int command_stats(void)
{
    for (unsigned int index = 0;; index++) {
        struct hypercall_answer answer = hypercall(HYPERCALL_STAT, index, 0);

        if (!answer.present || answer.status != 0)
            return 0;
        printf("CV-STAT %s=%" PRIu64 "\n", hypercall_stat_name(index), answer.value);
    }
}

static int command_end(void)
{
    tcdrain(STDOUT_FILENO);
    if (iopl(3) < 0)
        return complain("iopl");
    for (const char *letter = "Shutdown"; *letter; letter++)
        outb((unsigned char)*letter, SHUTDOWN_PORT);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (argc == 4 && !strcmp(command, "fill"))
        return command_fill(argv[2], argv[3]);
    if (argc == 3 && !strcmp(command, "digest"))
        return command_digest(argv[2]);
    if (argc == 2 && !strcmp(command, "layer"))
        return command_layer();
    if (argc == 3 && !strcmp(command, "exits"))
        return command_exits(argv[2]);
    if (argc == 2 && !strcmp(command, "stats"))
        return command_stats();
    if (argc == 2 && !strcmp(command, "drain"))
        return tcdrain(STDOUT_FILENO) < 0 ? complain("tcdrain") : 0;
    if (argc == 2 && !strcmp(command, "end"))
        return command_end();
    if (argc == 2 && !strcmp(command, "tsc")) {
        printf("%llu\n", __rdtsc());
        return 0;
    }
    return usage();
}
