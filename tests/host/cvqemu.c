/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What the host's root can do to a VM by QEMU's own means, a static program in the initramfs:
 *   monitor SOCKET COMMAND          one command of the human monitor; prints its answer
 *   registers SOCKET SEED TRIES     by the gdb stub: stop the vCPU, read its registers, look for what the guest keeps in
 *                                   them (guest/workload.h), change RBX, let it go on; until found, TRIES times at most
 *   jump SOCKET ADDRESS             stop the vCPU, change RIP, let it go on
 *   pageout PID, collapse PID       ask the kernel to swap out, or to make huge pages of, all anonymous memory
 *   hold MIB SEED                   keep so much memory filled; after each line of input say whether it still is
 * "registers" prints "CV-REGISTERS stops=... found=... written=... rip=... rbx=...": the values seen last. Exit code 0:
 * done, whatever was seen; 1: not done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "workload.h"

#define ANSWER_MILLISECONDS 120000
#define PACKET_BYTES        8192u
#define PROMPT              "(qemu) "
#define HUGE_BYTES          (2ull << 20)
#define REGISTER_COUNT      17u /* RAX to R15, RIP */
#define REGISTER_RBX        1u
#define REGISTER_RIP        16u
#define INTERRUPT           3
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static int usage(void)
{
    fprintf(stderr, "usage: cvqemu monitor SOCKET COMMAND | registers SOCKET SEED TRIES | jump SOCKET ADDRESS | "
                    "pageout PID | collapse PID | hold MIB SEED\n");
    return 1;
}

static int complain(const char *what)
{
    fprintf(stderr, "cvqemu: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    return 1;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return fd;
}

/* The next byte, or -1 if none comes. */
static int next_byte(int fd)
{
    struct pollfd input = { .fd = fd, .events = POLLIN };
    uint8_t byte;

    if (poll(&input, 1, ANSWER_MILLISECONDS) <= 0 || read(fd, &byte, 1) != 1)
        return -1;
    return byte;
}

/* Copies to `out`, if any, what comes after the first line's end, which is the echo, and before the next prompt. */
static bool await_prompt(int fd, FILE *out)
{
    size_t matched = 0;
    bool echo = true;
    int byte;

    while (matched < strlen(PROMPT) && (byte = next_byte(fd)) >= 0) {
        matched = byte == PROMPT[matched] ? matched + 1 : byte == PROMPT[0];
        if (out && !echo && !matched && byte != '\r')
            fputc(byte, out);
        echo = echo && byte != '\n';
    }
    return matched == strlen(PROMPT);
}

static int command_monitor(const char *path, const char *command)
{
    int fd = connect_to(path);

    if (fd < 0)
        return complain(path);
    if (!await_prompt(fd, NULL))
        return complain("monitor's prompt");
    if (dprintf(fd, "%s\n", command) < 0 || !await_prompt(fd, stdout))
        return complain(command);
    close(fd);
    return 0;
}

/* gdb's remote protocol: $data#sum, each answered by + first. */

static bool send_packet(int fd, const char *data)
{
    unsigned int sum = 0;

    for (const char *at = data; *at; at++)
        sum += (uint8_t)*at;
    return dprintf(fd, "$%s#%02x", data, sum & 0xff) > 0;
}

/* The next packet's data; "+" before it is left out. */
static bool receive_packet(int fd, char data[PACKET_BYTES])
{
    size_t count = 0;
    int byte;

    do {
        byte = next_byte(fd);
    } while (byte >= 0 && byte != '$');
    while ((byte = next_byte(fd)) >= 0 && byte != '#')
        if (count < PACKET_BYTES - 1)
            data[count++] = (char)byte;
    data[count] = 0;
    return byte == '#' && next_byte(fd) >= 0 && next_byte(fd) >= 0 && write(fd, "+", 1) == 1;
}

/* That the machine has stopped may be said once more in between. */
static bool ask(int fd, const char *question, char answer[PACKET_BYTES])
{
    bool ok = send_packet(fd, question);

    do {
        ok = ok && receive_packet(fd, answer);
    } while (ok && answer[0] == 'T' && question[0] != '?');
    return ok;
}

static bool read_registers(int fd, uint64_t values[REGISTER_COUNT])
{
    char answer[PACKET_BYTES];

    if (!ask(fd, "g", answer) || strlen(answer) < (size_t)REGISTER_COUNT * 16)
        return false;
    for (unsigned int i = 0; i < REGISTER_COUNT; i++) {
        char digits[17] = { 0 };

        memcpy(digits, answer + (size_t)i * 16, 16);
        values[i] = __builtin_bswap64(strtoull(digits, NULL, 16));
    }
    return true;
}

static bool write_register(int fd, unsigned int number, uint64_t value)
{
    char question[64], answer[PACKET_BYTES];

    snprintf(question, sizeof(question), "P%x=%016" PRIx64, number, __builtin_bswap64(value));
    return ask(fd, question, answer) && !strcmp(answer, "OK");
}

/* The stub stops the machine when it is connected to, and writes registers for those who have read their description. */
static int attach(const char *path)
{
    char answer[PACKET_BYTES];
    int fd = connect_to(path);

    if (fd < 0 || !ask(fd, "?", answer) || answer[0] != 'T')
        return -1;
    return ask(fd, "qXfer:features:read:target.xml:0,400", answer) && (answer[0] == 'l' || answer[0] == 'm') ? fd : -1;
}

static bool detach(int fd)
{
    char answer[PACKET_BYTES];

    return ask(fd, "D", answer) && !strcmp(answer, "OK") && close(fd) == 0;
}

/* Lets the machine run for a while, and stops it again at an exit. */
static bool run_and_stop(int fd)
{
    char answer[PACKET_BYTES], interrupt = INTERRUPT;

    return send_packet(fd, "c") && usleep(20000) == 0 && write(fd, &interrupt, 1) == 1 && receive_packet(fd, answer) &&
           answer[0] == 'T';
}

static int command_registers(const char *path, const char *seed, const char *tries)
{
    uint64_t wanted = workload_register(strtoull(seed, NULL, 0)), values[REGISTER_COUNT] = { 0 };
    unsigned int stops = 0, found = 0, written = 0, limit = (unsigned int)strtoul(tries, NULL, 0);
    int fd = attach(path);

    if (fd < 0)
        return complain(path);
    while (stops < limit && !found) {
        if ((stops > 0 && !run_and_stop(fd)) || !read_registers(fd, values))
            return complain("registers");
        stops++;
        for (unsigned int i = 0; i < REGISTER_COUNT; i++)
            found += values[i] == wanted;
        /* Not in the midst of something else: a plain guest's kernel would only crash. */
        if (found || stops > limit / 2)
            written += write_register(fd, REGISTER_RBX, values[REGISTER_RBX] ^ 0x5a5a);
    }
    if (!detach(fd))
        return complain("detach");
    printf("CV-REGISTERS stops=%u found=%u written=%u rip=%" PRIx64 " rbx=%" PRIx64 "\n", stops, found, written,
           values[REGISTER_RIP], values[REGISTER_RBX]);
    return written ? 0 : 1;
}

/* Registers must have been read before, or QEMU forgets what is written. */
static int command_jump(const char *path, const char *address)
{
    uint64_t values[REGISTER_COUNT];
    int fd = attach(path);

    if (fd < 0)
        return complain(path);
    if (!read_registers(fd, values) || !write_register(fd, REGISTER_RIP, strtoull(address, NULL, 0)) || !detach(fd))
        return complain("RIP");
    printf("CV-JUMP rip=%s\n", address);
    return 0;
}

/* Advises the kernel about 2 MiB of a process's memory at a time; returns for how many bytes it took the advice. */
static uint64_t advise(int pidfd, uint64_t begin, uint64_t end, int advice)
{
    uint64_t bytes = 0;

    for (uint64_t next; begin < end; begin = next) {
        struct iovec range;

        next = (begin & ~(HUGE_BYTES - 1)) + HUGE_BYTES;
        next = next < end ? next : end;
        range = (struct iovec){ (void *)(uintptr_t)begin, next - begin };
        if (syscall(SYS_process_madvise, pidfd, &range, 1, advice, 0) > 0)
            bytes += next - begin;
    }
    return bytes;
}

/* All private writable mappings of a process. */
static int command_advise(const char *pid_text, int advice)
{
    char path[64], line[512];
    int pidfd = (int)syscall(SYS_pidfd_open, atoi(pid_text), 0);
    uint64_t bytes = 0, all = 0;
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%s/maps", pid_text);
    maps = fopen(path, "re");
    if (pidfd < 0 || !maps)
        return complain(pid_text);
    while (fgets(line, sizeof(line), maps)) {
        uint64_t begin, end, inode;
        char permissions[8];

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %" SCNu64, &begin, &end, permissions, &inode) != 4 ||
            strncmp(permissions, "rw", 2) != 0 || inode != 0)
            continue;
        bytes += advise(pidfd, begin, end, advice);
        all += end - begin;
    }
    fclose(maps);
    printf("CV-ADVICE number=%d bytes=%" PRIu64 " of=%" PRIu64 "\n", advice, bytes, all);
    return bytes ? 0 : 1;
}

static int command_hold(const char *mib, const char *seed_text)
{
    size_t bytes = strtoull(mib, NULL, 10) << 20, count = bytes / sizeof(uint64_t);
    uint64_t seed = strtoull(seed_text, NULL, 0), digest;
    uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char line[16];

    if (words == MAP_FAILED)
        return complain("mmap");
    workload_fill(words, count, seed);
    digest = workload_digest(words, count);
    while (fgets(line, sizeof(line), stdin)) {
        printf("CV-HOLD %s\n", workload_digest(words, count) == digest ? "right" : "wrong");
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (argc == 4 && !strcmp(command, "monitor"))
        return command_monitor(argv[2], argv[3]);
    if (argc == 5 && !strcmp(command, "registers"))
        return command_registers(argv[2], argv[3], argv[4]);
    if (argc == 4 && !strcmp(command, "jump"))
        return command_jump(argv[2], argv[3]);
    if (argc == 3 && !strcmp(command, "pageout"))
        return command_advise(argv[2], MADV_PAGEOUT);
    if (argc == 3 && !strcmp(command, "collapse"))
        return command_advise(argv[2], MADV_COLLAPSE);
    if (argc == 4 && !strcmp(command, "hold"))
        return command_hold(argv[2], argv[3]);
    return usage();
}
