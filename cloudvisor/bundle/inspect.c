/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a bundle back and prints it. Nothing is printed before the descriptor has passed bundle_check; text from the
 * file (the command line) is escaped.
 */
#include <string.h>
#include "cloudvisor/bundle/bytes.h"
#include "cloudvisor/bundle/inspect.h"
#include "cloudvisor/bundle/machine.h"

enum {
    BOOT_CMDLINE_POINTER = 0x228,
    BOOT_RAMDISK = 0x218,
    BOOT_RSDP = 0x70,
    BOOT_E820_COUNT = 0x1e8,
    BOOT_E820 = 0x2d0,
    BOOT_E820_MAX = 128
};

typedef unsigned long long ull;

const char *inspect_error_text(enum bundle_error error)
{
    switch (error) {
    case BUNDLE_OK: return "no error";
#define BUNDLE_ERROR(name, value, text)                                                                                \
    case BUNDLE_BAD_##name:                                                                                            \
        return text;
#include "cloudvisor/bundle/bundle_errors.def"
#undef BUNDLE_ERROR
    }
    return "unknown reason";
}

bool inspect_read(const uint8_t *file, size_t size, struct inspection *inspection, char message[IMAGE_MESSAGE_MAX])
{
    struct bundle_descriptor *d = &inspection->descriptor;
    uint8_t scratch[BUNDLE_PAGE_SIZE];
    const uint8_t *page;
    enum bundle_error error;

    if (!image_read(file, size, &inspection->image, message))
        return false;
    page = image_page(&inspection->image, inspection->image.descriptor_gpa, scratch);
    if (!page || inspection->image.descriptor_gpa % BUNDLE_PAGE_SIZE) {
        snprintf(message, IMAGE_MESSAGE_MAX, "its descriptor is in no segment");
        return false;
    }
    memcpy(d, page, sizeof(*d));
    error = bundle_check(d, inspection->image.descriptor_gpa, sizeof(*d));
    if (error) {
        snprintf(message, IMAGE_MESSAGE_MAX, "%s", inspect_error_text(error));
        return false;
    }
    if (!image_digest(&inspection->image, d, inspection->digest)) {
        snprintf(message, IMAGE_MESSAGE_MAX, "a measured page is in no segment");
        return false;
    }
    inspection->digest_matches = !memcmp(inspection->digest, inspection->image.digest, BUNDLE_DIGEST_BYTES);
    return true;
}

void inspect_print_digest(const uint8_t digest[BUNDLE_DIGEST_BYTES], FILE *out)
{
    for (int i = 0; i < (int)BUNDLE_DIGEST_BYTES; i++)
        fprintf(out, "%02x", digest[i]);
}

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = { "", "measured", "zero", "input" };

    return names[kind];
}

static const char *e820_name(uint64_t type)
{
    return type == 1 ? "ram" : type == 3 ? "acpi" : "reserved";
}

/* Prints printable ASCII; all else, quotes and backslashes as \u00xx, which is right for JSON, too. */
static void print_escaped(const uint8_t *text, size_t max, FILE *out)
{
    for (size_t i = 0; i < max && text[i]; i++) {
        if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
            fprintf(out, "\\u%04x", text[i]);
        else
            fputc(text[i], out);
    }
}

/* The kernel's command line, from boot_params as the entry point gets it. */
static void print_cmdline(const struct inspection *inspection, const uint8_t *boot_params, FILE *out)
{
    uint8_t scratch[BUNDLE_PAGE_SIZE];
    uint64_t gpa = get_le(boot_params + BOOT_CMDLINE_POINTER, 4);
    const uint8_t *page = image_page(&inspection->image, gpa & ~(uint64_t)(BUNDLE_PAGE_SIZE - 1), scratch);

    if (page)
        print_escaped(page + gpa % BUNDLE_PAGE_SIZE, BUNDLE_PAGE_SIZE - gpa % BUNDLE_PAGE_SIZE, out);
}

static const uint8_t *boot_params_of(const struct inspection *inspection, uint8_t scratch[BUNDLE_PAGE_SIZE])
{
    static const uint8_t none[BUNDLE_PAGE_SIZE];
    uint64_t gpa = inspection->descriptor.entry_rsi;
    const uint8_t *page = gpa % BUNDLE_PAGE_SIZE ? NULL : image_page(&inspection->image, gpa, scratch);

    return page ? page : none;
}

static unsigned e820_count(const uint8_t *boot_params)
{
    unsigned count = boot_params[BOOT_E820_COUNT];

    return count > BOOT_E820_MAX ? BOOT_E820_MAX : count;
}

/* Calls `print` for each run of allowed vectors. */
static void each_vector_run(const struct bundle_descriptor *d, FILE *out,
                            void (*print)(unsigned first, unsigned last, FILE *out))
{
    unsigned first = 256;

    for (unsigned vector = 0; vector <= 256; vector++) {
        bool allowed = vector < 256 && (d->vectors[vector / 64] >> (vector % 64) & 1);

        if (allowed && first == 256)
            first = vector;
        if (!allowed && first != 256) {
            print(first, vector - 1, out);
            first = 256;
        }
    }
}

static void print_vector_run(unsigned first, unsigned last, FILE *out)
{
    fprintf(out, " 0x%02x-0x%02x", first, last);
}

static void print_window(const char *name, const struct bundle_window *window, FILE *out)
{
    fprintf(out, "%-12s 0x%09llx-0x%09llx\n", name, (ull)window->gpa,
            (ull)(window->gpa + window->page_count * BUNDLE_PAGE_SIZE - 1));
}

static void print_policy(const struct bundle_descriptor *d, FILE *out)
{
    fprintf(out, "machine      %s, %u vCPUs\n", machine_by_id(d->machine)->name, d->vcpu_count);
    fprintf(out, "flags        debug %s, nmi %s%s\n", d->flags & BUNDLE_FLAG_DEBUG ? "yes" : "no",
            d->flags & BUNDLE_FLAG_NMI ? "yes" : "no",
            d->flags & BUNDLE_FLAG_ALLOW_PLAIN ? ", ALLOW-PLAIN (test bundle)" : "");
    for (uint32_t i = 0; i < d->ram_count; i++)
        print_window("ram", &d->ram[i], out);
    for (uint32_t i = 0; i < d->mmio_count; i++)
        print_window("mmio", &d->mmio[i], out);
    for (uint32_t i = 0; i < d->port_count; i++)
        fprintf(out, "ports        0x%04x-0x%04x\n", d->ports[i].first, d->ports[i].last);
    fprintf(out, "vectors     ");
    each_vector_run(d, out, print_vector_run);
    fprintf(out, "\nvirtio      ");
    for (unsigned id = 0; id < 64; id++)
        if (d->virtio_kinds >> id & 1)
            fprintf(out, " %u", id);
    fprintf(out, "\n");
    for (uint32_t i = 0; i < d->cpu_feature_count; i++)
        fprintf(out, "cpu          leaf 0x%x.%u %s mask 0x%08x\n", d->cpu_features[i].leaf, d->cpu_features[i].subleaf,
                (const char *const[]){ "eax", "ebx", "ecx", "edx" }[d->cpu_features[i].reg], d->cpu_features[i].mask);
}

void inspect_print(const struct inspection *inspection, FILE *out)
{
    const struct bundle_descriptor *d = &inspection->descriptor;
    uint8_t scratch[BUNDLE_PAGE_SIZE];
    const uint8_t *boot_params = boot_params_of(inspection, scratch);

    print_policy(d, out);
    fprintf(out, "start        pvh 0x%llx, rip 0x%llx, rsi 0x%llx, cr3 0x%llx, gdt 0x%llx limit 0x%x\n",
            (ull)inspection->image.pvh_entry, (ull)d->entry_rip, (ull)d->entry_rsi, (ull)d->cr3, (ull)d->gdt_gpa,
            d->gdt_limit);
    fprintf(out, "shared       exit window 0x%llx, AP start page 0x%x\n", (ull)d->exit_window_gpa, d->ap_start_gpa);
    fprintf(out, "descriptor   0x%llx, version %u\n", (ull)d->gpa, d->version);
    for (uint32_t i = 0; i < d->range_count; i++)
        fprintf(out, "range        0x%09llx %7u pages %s\n", (ull)d->ranges[i].gpa, d->ranges[i].page_count,
                kind_name(d->ranges[i].kind));
    for (unsigned i = 0; i < e820_count(boot_params); i++) {
        const uint8_t *entry = boot_params + BOOT_E820 + (size_t)20 * i;

        fprintf(out, "e820         0x%09llx + 0x%09llx %s\n", (ull)get_le(entry, 8), (ull)get_le(entry + 8, 8),
                e820_name(get_le(entry + 16, 4)));
    }
    fprintf(out, "initrd       0x%llx, %llu bytes\n", (ull)get_le(boot_params + BOOT_RAMDISK, 4),
            (ull)get_le(boot_params + BOOT_RAMDISK + 4, 4));
    fprintf(out, "rsdp         0x%llx\ncmdline      ", (ull)get_le(boot_params + BOOT_RSDP, 8));
    print_cmdline(inspection, boot_params, out);
    fprintf(out, "\ndigest       ");
    inspect_print_digest(inspection->digest, out);
    fprintf(out, inspection->digest_matches ? " (as the file states)\n" : " (THE FILE STATES ANOTHER)\n");
}

static void json_windows(const char *name, const struct bundle_window *windows, uint32_t count, FILE *out)
{
    fprintf(out, "  \"%s\": [", name);
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s{\"gpa\": %llu, \"pages\": %llu}", i ? ", " : "", (ull)windows[i].gpa,
                (ull)windows[i].page_count);
    fprintf(out, "],\n");
}

static void json_policy(const struct bundle_descriptor *d, FILE *out)
{
    fprintf(out, "  \"version\": %u,\n  \"machine\": \"%s\",\n  \"vcpus\": %u,\n", d->version,
            machine_by_id(d->machine)->name, d->vcpu_count);
    fprintf(out, "  \"debug\": %s,\n  \"nmi\": %s,\n  \"allow_plain\": %s,\n",
            d->flags & BUNDLE_FLAG_DEBUG ? "true" : "false", d->flags & BUNDLE_FLAG_NMI ? "true" : "false",
            d->flags & BUNDLE_FLAG_ALLOW_PLAIN ? "true" : "false");
    json_windows("ram", d->ram, d->ram_count, out);
    json_windows("mmio", d->mmio, d->mmio_count, out);
    fprintf(out, "  \"ports\": [");
    for (uint32_t i = 0; i < d->port_count; i++)
        fprintf(out, "%s[%u, %u]", i ? ", " : "", d->ports[i].first, d->ports[i].last);
    fprintf(out, "],\n  \"vectors\": \"");
    for (int word = BUNDLE_VECTOR_WORDS - 1; word >= 0; word--)
        fprintf(out, "%016llx", (ull)d->vectors[word]);
    fprintf(out, "\",\n  \"virtio_kinds\": %llu,\n  \"cpu\": [", (ull)d->virtio_kinds);
    for (uint32_t i = 0; i < d->cpu_feature_count; i++)
        fprintf(out, "%s{\"leaf\": %u, \"subleaf\": %u, \"register\": %u, \"mask\": %u}", i ? ", " : "",
                d->cpu_features[i].leaf, d->cpu_features[i].subleaf, d->cpu_features[i].reg, d->cpu_features[i].mask);
    fprintf(out, "],\n");
}

void inspect_print_json(const struct inspection *inspection, FILE *out)
{
    const struct bundle_descriptor *d = &inspection->descriptor;
    uint8_t scratch[BUNDLE_PAGE_SIZE];
    const uint8_t *boot_params = boot_params_of(inspection, scratch);

    fprintf(out, "{\n");
    json_policy(d, out);
    fprintf(out,
            "  \"pvh_entry\": %llu,\n  \"entry_rip\": %llu,\n  \"entry_rsi\": %llu,\n  \"cr3\": %llu,\n"
            "  \"gdt_gpa\": %llu,\n  \"gdt_limit\": %u,\n  \"exit_window_gpa\": %llu,\n  \"ap_start_gpa\": %u,\n"
            "  \"descriptor_gpa\": %llu,\n  \"ranges\": [",
            (ull)inspection->image.pvh_entry, (ull)d->entry_rip, (ull)d->entry_rsi, (ull)d->cr3, (ull)d->gdt_gpa,
            d->gdt_limit, (ull)d->exit_window_gpa, d->ap_start_gpa, (ull)d->gpa);
    for (uint32_t i = 0; i < d->range_count; i++)
        fprintf(out, "%s{\"gpa\": %llu, \"pages\": %u, \"kind\": \"%s\"}", i ? ", " : "", (ull)d->ranges[i].gpa,
                d->ranges[i].page_count, kind_name(d->ranges[i].kind));
    fprintf(out, "],\n  \"e820\": [");
    for (unsigned i = 0; i < e820_count(boot_params); i++) {
        const uint8_t *entry = boot_params + BOOT_E820 + (size_t)20 * i;

        fprintf(out, "%s{\"start\": %llu, \"size\": %llu, \"type\": \"%s\"}", i ? ", " : "", (ull)get_le(entry, 8),
                (ull)get_le(entry + 8, 8), e820_name(get_le(entry + 16, 4)));
    }
    fprintf(out, "],\n  \"initrd_gpa\": %llu,\n  \"initrd_bytes\": %llu,\n  \"rsdp_gpa\": %llu,\n  \"cmdline\": \"",
            (ull)get_le(boot_params + BOOT_RAMDISK, 4), (ull)get_le(boot_params + BOOT_RAMDISK + 4, 4),
            (ull)get_le(boot_params + BOOT_RSDP, 8));
    print_cmdline(inspection, boot_params, out);
    fprintf(out, "\",\n  \"digest\": \"");
    inspect_print_digest(inspection->digest, out);
    fprintf(out, "\",\n  \"digest_matches\": %s\n}\n", inspection->digest_matches ? "true" : "false");
}
