/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands and control messages over swtpm's two unix sockets: see swtpm_link.h. */
#include "tests/tpm/swtpm_link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_INIT         2u
#define CONTROL_SET_LOCALITY 5u
#define RESPONSE_HEADER_SIZE 10u

__attribute__((noreturn, format(printf, 2, 3))) static void fail(const char *remedy, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("\ntpm: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n  remedy: %s\n", remedy);
    _exit(2);
}

static int connect_to(const char *path, const char *suffix)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", path, suffix);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (length < 0 || (size_t)length >= sizeof(address.sun_path))
        fail("give a path relative to the run's folder", "the socket's path is too long: %s%s", path, suffix);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        fail("start swtpm first, as tests/run --tpm does, and read its log", "can't connect to swtpm at %s%s: %s", path,
             suffix, strerror(errno));
    return fd;
}

static void send_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t done = send(fd, bytes, size, MSG_NOSIGNAL);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            fail("read swtpm's log in the run's folder", "swtpm takes no more commands: %s", strerror(errno));
        bytes += done;
        size -= (size_t)done;
    }
}

static void receive_all(int fd, uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t done = recv(fd, bytes, size, 0);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            fail("read swtpm's log in the run's folder", "swtpm ended before it answered: %s",
                 done ? strerror(errno) : "connection closed");
        bytes += done;
        size -= (size_t)done;
    }
}

static uint32_t load_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void control(struct swtpm_link *link, const char *what, const uint8_t *message, size_t size)
{
    uint8_t answer[4];

    send_all(link->control, message, size);
    receive_all(link->control, answer, sizeof(answer));
    if (load_be32(answer) != 0)
        fail("read swtpm's log in the run's folder; remove the TPM's state folder if it is damaged",
             "swtpm refused to %s: error 0x%x", what, load_be32(answer));
}

void swtpm_connect(struct swtpm_link *link, const char *path)
{
    link->control = connect_to(path, ".ctrl");
    link->data = connect_to(path, "");
}

void swtpm_power_on(struct swtpm_link *link)
{
    static const uint8_t message[8] = { 0, 0, 0, CONTROL_INIT };

    control(link, "start the TPM", message, sizeof(message));
}

void swtpm_set_locality(struct swtpm_link *link, uint8_t locality)
{
    const uint8_t message[5] = { 0, 0, 0, CONTROL_SET_LOCALITY, locality };

    control(link, "set the locality", message, sizeof(message));
}

size_t swtpm_execute(struct swtpm_link *link, const uint8_t *command, size_t size, uint8_t *response, size_t capacity)
{
    size_t response_size;

    send_all(link->data, command, size);
    receive_all(link->data, response, RESPONSE_HEADER_SIZE);
    response_size = load_be32(response + 2);
    if (response_size < RESPONSE_HEADER_SIZE || response_size > capacity)
        fail("use Debian 12's swtpm", "swtpm answers with %zu bytes", response_size);
    receive_all(link->data, response + RESPONSE_HEADER_SIZE, response_size - RESPONSE_HEADER_SIZE);
    return response_size;
}
