/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: inspect takes any file. Seeds: tests/bundle/run leaves a small bundle's first pages as one. */
#include <stdlib.h>
#include "cloudvisor/bundle/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *out;
    struct inspection inspection;
    char message[IMAGE_MESSAGE_MAX];

    if (!out)
        out = fopen("/dev/null", "w");
    if (!out)
        abort();
    if (!inspect_read(data, size, &inspection, message)) {
        if (!message[0])
            abort();
        return 0;
    }
    inspect_print(&inspection, out);
    inspect_print_json(&inspection, out);
    return 0;
}
