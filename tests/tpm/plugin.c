/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TPM as a device of Bochs 2.7, loaded by `plugin_ctrl: tpm_tis=1`: registers of tis.h at TIS_BASE, swtpm behind
 * them at the socket that the environment's TPM_SOCKET names. Written in C against Bochs' binary interface, without
 * its headers: the device object is a table of functions, then what Bochs keeps of its own, then ours.
 *
 * Bochs resets devices on a hardware reset only. After a software reset (port 92h, keyboard controller, triple fault)
 * the TPM keeps its PCRs, unlike one on a real board.
 */
#include "tests/tpm/swtpm_link.h"
#include "tests/tpm/tis.h"

#include <stdlib.h>

#define MODE_INIT      1
#define MODE_PROBE     2
#define TYPE_OPTIONAL  4
#define RESET_HARDWARE 11u

struct device;
struct device_functions {
    void (*destroy)(struct device *device);
    void (*destroy_and_free)(struct device *device);
    void (*init)(struct device *device);
    void (*reset)(struct device *device, unsigned int type);
    void (*register_state)(struct device *device);
    void (*after_restore_state)(struct device *device);
    void (*debug_dump)(struct device *device, int argc, char **argv);
};

struct device {
    const struct device_functions *functions;
    uint8_t bochs[40];
    struct tis tis;
    struct swtpm_link link;
};

_Static_assert(offsetof(struct device, tis) == 48, "what Bochs keeps comes before our part");

typedef bool memory_handler(uint64_t address, unsigned int size, void *data, void *param);
typedef uint8_t *direct_handler(uint64_t address, unsigned int access, void *param);

void pluginRegisterDeviceDevmodel(void *plugin, uint16_t type, void *device, const char *name);
bool register_memory(void *param, memory_handler *read, memory_handler *write, direct_handler *direct, uint64_t first,
                     uint64_t last) __asm__("_ZN8BX_MEM_C22registerMemoryHandlersEPvPFbmjS0_S0_ES2_PFPhmjS0_Emm");
__attribute__((visibility("default"))) int libtpm_tis_plugin_entry(void *plugin, uint16_t type, uint8_t mode);

static void backend_set_locality(void *context, uint8_t locality)
{
    swtpm_set_locality(context, locality);
}

static size_t backend_execute(void *context, const uint8_t *command, size_t size, uint8_t *response)
{
    return swtpm_execute(context, command, size, response, TIS_BUFFER_SIZE);
}

static bool memory_read(uint64_t address, unsigned int size, void *data, void *param)
{
    struct device *device = param;
    uint8_t *bytes = data;

    for (unsigned int i = 0; i < size; i++)
        bytes[i] = tis_read(&device->tis, (uint32_t)(address - TIS_BASE) + i);
    return true;
}

static bool memory_write(uint64_t address, unsigned int size, void *data, void *param)
{
    struct device *device = param;
    const uint8_t *bytes = data;

    for (unsigned int i = 0; i < size; i++)
        tis_write(&device->tis, (uint32_t)(address - TIS_BASE) + i, bytes[i]);
    return true;
}

static void device_init(struct device *device)
{
    const char *path = getenv("TPM_SOCKET");

    swtpm_connect(&device->link, path ? path : "tpm.sock");
    register_memory(device, memory_read, memory_write, NULL, TIS_BASE, TIS_BASE + TIS_SIZE - 1);
}

static void device_reset(struct device *device, unsigned int type)
{
    const struct tis_backend backend = { backend_set_locality, backend_execute, &device->link };

    if (type != RESET_HARDWARE)
        return;
    swtpm_power_on(&device->link);
    tis_reset(&device->tis, &backend);
}

static void device_nothing(struct device *device)
{
    (void)device;
}

static void device_dump(struct device *device, int argc, char **argv)
{
    (void)device;
    (void)argc;
    (void)argv;
}

static const struct device_functions functions = { device_nothing, device_nothing, device_init, device_reset,
                                                   device_nothing, device_nothing, device_dump };
static struct device the_device = { .functions = &functions };

int libtpm_tis_plugin_entry(void *plugin, uint16_t type, uint8_t mode)
{
    if (mode == MODE_PROBE)
        return TYPE_OPTIONAL;
    if (mode == MODE_INIT)
        pluginRegisterDeviceDevmodel(plugin, type, &the_device, "tpm_tis");
    return 0;
}
