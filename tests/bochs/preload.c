/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Loaded into Bochs with LD_PRELOAD. Bochs seeds RDRAND from the clock: without
 * that, equal inputs give equal runs, to the tick. Its display server listens
 * on a fixed range of ports on every interface and two emulators that start
 * together collide: it gets a free port on the loopback interface instead. And
 * it ends with the program that started it, however that one ends.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define DISPLAY_PORT_FIRST 5900
#define DISPLAY_PORT_LAST  5949

__attribute__((constructor)) static void die_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void srand(unsigned int seed)
{
    (void)seed;
}

static int is_display_port(const struct sockaddr_in *address)
{
    unsigned int port = ntohs(address->sin_port);

    return address->sin_family == AF_INET && port >= DISPLAY_PORT_FIRST && port <= DISPLAY_PORT_LAST;
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    struct sockaddr_in loopback;

    if (length < sizeof(loopback))
        return next(fd, address, length);
    memcpy(&loopback, address, sizeof(loopback));
    if (!is_display_port(&loopback))
        return next(fd, address, length);
    loopback.sin_port = 0;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return next(fd, (const struct sockaddr *)&loopback, sizeof(loopback));
}
