/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Orders from the console to a test guest:
 *   secret N    fill a page with what follows from N; answer "CVG secret_at ADDRESS"
 *   fill        fill the memory that is to be checked; answer "CVG filled BYTES"
 *   check       answer "CVG check memory=WORD secret=WORD": right, wrong, none
 *   work        check again and again until the next line, which is eaten; answer as for check, and "rounds=N"
 *   spin N      keep what follows from N in registers until the next line, which is eaten; answer
 *               "CVG registers intact" or "changed"
 *   off, reboot end the machine
 * "CVG ready" says that the guest listens, "CVG works" and "CVG spins" that it does. The numbers come over the console,
 * which the host sees; what follows from them is computed here.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include "talk.h"
#include "workload.h"

#define FILL_SEED   4711u
#define SPIN_ROUNDS 100000u
#define LINE_BYTES  80

struct scene {
    uint64_t *words; /* the memory that is checked, or NULL */
    size_t word_count;
    uint64_t digest;
    const uint8_t *secret; /* a page, or NULL */
    uint64_t secret_seed;
};

/* Without the C library's buffer, so that poll() tells whether there is a line. */
static void read_line(char line[LINE_BYTES])
{
    size_t count = 0;
    char byte;

    while (read(STDIN_FILENO, &byte, 1) == 1) {
        if (byte == '\n') {
            line[count] = 0;
            return;
        }
        if (byte != '\r' && count < LINE_BYTES - 1)
            line[count++] = byte;
    }
    fail("input");
}

static int line_waits(void)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

    return poll(&input, 1, 0) > 0;
}

static void fill(struct scene *scene, size_t bytes)
{
    if (!scene->words)
        scene->words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (scene->words == MAP_FAILED)
        fail("mmap");
    scene->word_count = bytes / sizeof(uint64_t);
    workload_fill(scene->words, scene->word_count, FILL_SEED);
    scene->digest = workload_digest(scene->words, scene->word_count);
    printf("CVG filled %zu\n", bytes);
}

static const char *memory_verdict(const struct scene *scene)
{
    if (!scene->words)
        return "none";
    return workload_digest(scene->words, scene->word_count) == scene->digest ? "right" : "wrong";
}

static const char *secret_verdict(const struct scene *scene)
{
    if (!scene->secret)
        return "none";
    return secret_is_intact(scene->secret, scene->secret_seed) ? "right" : "wrong";
}

static void check(const struct scene *scene)
{
    const char *memory = memory_verdict(scene);

    printf("CVG check memory=%s secret=%s\n", memory, secret_verdict(scene));
}

static void work(const struct scene *scene)
{
    const char *memory, *secret;
    char line[LINE_BYTES];
    unsigned int rounds = 0;

    printf("CVG works\n");
    do {
        memory = memory_verdict(scene);
        secret = secret_verdict(scene);
        rounds++;
    } while (strcmp(memory, "wrong") != 0 && strcmp(secret, "wrong") != 0 && !line_waits());
    read_line(line);
    printf("CVG check memory=%s secret=%s rounds=%u\n", memory, secret, rounds);
}

/* Compares registers that all hold the same with each other; false once one differs. */
static int spin_round(uint64_t value)
{
    uint64_t rounds = SPIN_ROUNDS, same;

    __asm__ volatile("mov %[value], %%rbx\n\t"
                     "mov %%rbx, %%r12\n\t"
                     "mov %%rbx, %%r13\n\t"
                     "mov %%rbx, %%r14\n\t"
                     "mov %%rbx, %%r15\n"
                     "1:\tcmp %%rbx, %%r12\n\t"
                     "jne 2f\n\t"
                     "cmp %%r12, %%r13\n\t"
                     "jne 2f\n\t"
                     "cmp %%r13, %%r14\n\t"
                     "jne 2f\n\t"
                     "cmp %%r14, %%r15\n\t"
                     "jne 2f\n\t"
                     "dec %[rounds]\n\t"
                     "jnz 1b\n"
                     "2:\tcmp %%rbx, %%r15\n\t"
                     "sete %b[same]\n\t"
                     "movzbl %b[same], %k[same]"
                     : [same] "=&a"(same), [rounds] "+&c"(rounds)
                     : [value] "d"(value)
                     : "rbx", "r12", "r13", "r14", "r15", "cc");
    return same && rounds == 0;
}

static void spin(uint64_t seed)
{
    uint64_t value = workload_register(seed);
    char line[LINE_BYTES];
    int intact = 1;

    printf("CVG spins\n");
    tcdrain(STDOUT_FILENO);
    while (!line_waits())
        intact &= spin_round(value);
    read_line(line);
    printf("CVG registers %s\n", intact ? "intact" : "changed");
}

static void place(struct scene *scene, uint64_t seed)
{
    scene->secret = place_secret(seed);
    scene->secret_seed = seed;
    printf("CVG secret_at 0x%" PRIx64 "\n", guest_physical(scene->secret));
}

_Noreturn void talk(size_t memory_bytes)
{
    static struct scene scene;
    char line[LINE_BYTES];

    printf("CVG ready\n");
    for (;;) {
        read_line(line);
        if (!strncmp(line, "secret ", 7)) {
            place(&scene, strtoull(line + 7, NULL, 0));
        } else if (!strcmp(line, "fill")) {
            fill(&scene, memory_bytes);
        } else if (!strcmp(line, "check")) {
            check(&scene);
        } else if (!strcmp(line, "work")) {
            work(&scene);
        } else if (!strncmp(line, "spin ", 5)) {
            spin(strtoull(line + 5, NULL, 0));
        } else if (!strcmp(line, "off")) {
            printf("CVG done\n");
            end_machine(RB_POWER_OFF);
        } else if (!strcmp(line, "reboot")) {
            end_machine(RB_AUTOBOOT);
        } else {
            printf("CVG unknown %s\n", line);
        }
    }
}
