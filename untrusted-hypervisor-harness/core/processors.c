/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The second processor. See processors.h.
 */
#include "untrusted-hypervisor-harness/core/processors.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"

/* EFI_MP_SERVICES_PROTOCOL, UEFI Platform Initialization Specification, volume 2; what is used of it. */
#define MP_SERVICES_GUID                                                                                               \
    {                                                                                                                  \
        0x3fdda605, 0xa76e, 0x4f46,                                                                                    \
        {                                                                                                              \
            0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08                                                             \
        }                                                                                                              \
    }

struct mp_services;
typedef VOID(EFIAPI *mp_procedure)(VOID *argument);

struct mp_services {
    EFI_STATUS(EFIAPI *get_number)(struct mp_services *this, UINTN *total, UINTN *enabled);
    VOID *get_info, *startup_all;
    EFI_STATUS(EFIAPI *startup_this)
    (struct mp_services *this, mp_procedure procedure, UINTN processor, EFI_EVENT event, UINTN timeout, VOID *argument,
     BOOLEAN *finished);
};

enum { SECOND = 1, START_LIMIT = 100000000 };

static struct {
    volatile bool running;
    void (*volatile job)(void *); /* NULL: none, or done */
    void *volatile argument;
} second;

static void serve(void *unused)
{
    (void)unused;
    second.running = true;
    for (;;) {
        void (*job)(void *) = second.job;

        if (job == NULL) {
            cpu_pause();
            continue;
        }
        job(second.argument);
        __atomic_store_n(&second.job, NULL, __ATOMIC_RELEASE);
    }
}

static VOID EFIAPI second_main(VOID *unused)
{
    (void)unused;
    machine_run(SECOND, serve, NULL);
}

void processors_start(EFI_BOOT_SERVICES *bs)
{
    static EFI_GUID guid = MP_SERVICES_GUID;
    struct mp_services *mp;
    UINTN total = 0, enabled = 0;
    EFI_EVENT event;
    void *interface;

    if (bs->LocateProtocol(&guid, NULL, &interface) != EFI_SUCCESS)
        return;
    mp = interface;
    if (mp->get_number(mp, &total, &enabled) != EFI_SUCCESS || enabled < 2)
        return;
    /* With an event it does not wait for the procedure to return, which it never does. */
    if (bs->CreateEvent(0, 0, NULL, NULL, &event) != EFI_SUCCESS)
        return;
    if (mp->startup_this(mp, second_main, SECOND, event, 0, NULL, NULL) != EFI_SUCCESS)
        return;
    for (unsigned i = 0; i < START_LIMIT && !second.running; i++)
        cpu_pause();
}

bool processors_have_second(void)
{
    return second.running;
}

void processors_begin(void (*job)(void *), void *argument)
{
    second.argument = argument;
    __atomic_store_n(&second.job, job, __ATOMIC_RELEASE);
}

void processors_wait(void)
{
    while (__atomic_load_n(&second.job, __ATOMIC_ACQUIRE) != NULL)
        cpu_pause();
}
