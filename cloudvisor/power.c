/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI "PM1 Control Registers": SLP_EN starts the transition to the state that SLP_TYP names. Only the type of S5, as
 * the loader found it in the DSDT, is let through. After a refusal WAK_STS reads as 1, so that the host goes on as
 * after a short sleep.
 */
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/power.h"
#include "cloudvisor/vm.h"

enum { PORT_KEYBOARD = 0x64, COMMAND_RESET = 0xfe, PORT_RESET_CONTROL = 0xcf9, RESET_CPU = 0x04 };
#define SLEEP_ENABLE(high) (((high)&0x20) != 0) /* of the control register's second byte */
#define SLEEP_TYPE(high)   ((high) >> 2 & 7u)
#define WAKE_STATUS_BYTE   UINT32_C(0x80)

static bool refused;

static void intercept_register(uint16_t port)
{
    if (port == 0)
        return;
    intercepts_add_port(port);
    intercepts_add_port(port + 1);
}

void power_init(void)
{
    intercept_register(boot->power.control[0]);
    intercept_register(boot->power.control[1]);
    cv_log(LOG_DEBUG, "power: PM1 control %x and %x, S5 type %u, reset %x", boot->power.control[0],
           boot->power.control[1], boot->power.type_s5, boot->power.reset);
}

void power_guard_resets(void)
{
    intercepts_add_port(PORT_KEYBOARD);
    intercepts_add_port(PORT_RESET_CONTROL);
    if (boot->power.reset != 0)
        intercepts_add_port(boot->power.reset);
}

/* True if the write starts a sleep state, of `*type`. */
static bool starts_sleep(uint16_t port, unsigned bytes, uint32_t value, unsigned *type)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned offset = (unsigned)boot->power.control[i] + 1 - port;

        if (boot->power.control[i] == 0 || offset >= bytes || !SLEEP_ENABLE(value >> (8 * offset)))
            continue;
        *type = SLEEP_TYPE(value >> (8 * offset));
        return true;
    }
    return false;
}

bool power_host_out(uint16_t port, unsigned bytes, uint32_t value)
{
    unsigned type;

    if ((port == PORT_KEYBOARD && (value & 0xff) == COMMAND_RESET) ||
        (port == PORT_RESET_CONTROL && (value & RESET_CPU) != 0) || (port != 0 && port == boot->power.reset)) {
        cv_log(LOG_INFO, "the host resets the machine through port %x", port);
        vm_end_all(VM_STOP_HOST_RESET, true);
    }
    if (!starts_sleep(port, bytes, value, &type))
        return true;
    if (type == boot->power.type_s5) {
        cv_log(LOG_INFO, "the host switches the machine off");
        vm_end_all(VM_STOP_HOST_RESET, true);
        return true;
    }
    cv_log_limited(LOG_INFO, "the host asks for sleep type %u: refused; only power-off and suspend-to-idle are served",
                   type);
    refused = true;
    intercept_register(boot->power.event);
    return false;
}

uint32_t power_host_in(uint16_t port, unsigned bytes, uint32_t value)
{
    unsigned offset = (unsigned)boot->power.event + 1 - port; /* WAK_STS is the top bit of the register's second byte */

    if (!refused || offset >= bytes)
        return value;
    refused = false;
    return value | WAKE_STATUS_BYTE << (8 * offset);
}
