/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: inspect takes any file, and, half the time, a small sound bundle of our own writer with some bytes
 * changed, near its head or in its descriptor.
 */
#include <stdlib.h>
#include "cloudvisor/bundle/inspect.h"
#include "sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_BYTES = 512, DESCRIPTOR_AT = 8192 };

static uint8_t *bundle;
static size_t bundle_size;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void make_bundle(void)
{
    static uint8_t control[4 * BUNDLE_PAGE_SIZE], kernel[BUNDLE_PAGE_SIZE];
    struct bundle_descriptor *d = (struct bundle_descriptor *)(void *)control;
    struct image image = { .segment_count = 2, .descriptor_gpa = SAMPLE_GPA, .pvh_entry = 0x100000 };
    FILE *file = open_memstream((char **)&bundle, &bundle_size);

    sample_descriptor(d);
    d->ranges[3].page_count = 1;
    image.segments[0] = (struct image_segment){ SAMPLE_GPA, control, sizeof(control) };
    image.segments[1] = (struct image_segment){ d->ranges[3].gpa, kernel, sizeof(kernel) };
    require(image_digest(&image, d, image.digest));
    require(file && image_write(&image, file) && !fclose(file));
}

static void inspect(const uint8_t *file, size_t size, bool sound)
{
    static FILE *out;
    struct inspection inspection;
    char message[IMAGE_MESSAGE_MAX];

    if (!out)
        out = fopen("/dev/null", "w");
    require(out);
    if (!inspect_read(file, size, &inspection, message)) {
        require(!sound && message[0]);
        return;
    }
    require(!sound || inspection.digest_matches);
    inspect_print(&inspection, out);
    inspect_print_json(&inspection, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *changed;

    if (!bundle)
        make_bundle();
    if (!size || !(data[0] & 1)) {
        inspect(data, size, false);
        return 0;
    }
    changed = malloc(bundle_size);
    require(changed);
    memcpy(changed, bundle, bundle_size);
    for (size_t i = 1; i + 3 <= size; i += 3) {
        size_t at = (size_t)data[i] | (size_t)data[i + 1] << 8;

        changed[at & 0x8000 ? at % HEAD_BYTES : DESCRIPTOR_AT + at % BUNDLE_PAGE_SIZE] ^= data[i + 2];
    }
    inspect(changed, bundle_size, size < 4);
    free(changed);
    return 0;
}
