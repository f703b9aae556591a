/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `cvverify reference`: a policy computed from the very files that a machine shall boot, and the firmware's events from
 * a log that the user knows to be good.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attest/cvverify/commands.h"
#include "attest/cvverify/event_text.h"
#include "attest/cvverify/files.h"
#include "attest/cvverify/json.h"
#include "attest/cvverify/pe.h"
#include "cloudvisor/loader/layer_image.h"

enum { CONFIG_MAX = 64 << 10, LAYER_MAX = 64 << 20 };

#define OPEN_DEFAULT "1 3 5 6"

static const char *const reference_options[] = {
    "loader",  "next",        "config",         "layer", "layer-version", "log",  "launch", "ek-name",
    "ak-name", "any-machine", "iommu-optional", "open",  "unquoted",      "name", "out",    NULL
};

/* The policy as it grows; `json` serves as a buffer. */
struct draft {
    struct json text;
    struct findings findings;
};

__attribute__((format(printf, 2, 3))) static void add(struct draft *draft, const char *format, ...)
{
    char line[512];
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (size > 0)
        json_raw(&draft->text, line, (size_t)size < sizeof(line) ? (size_t)size : sizeof(line) - 1);
}

static int add_authenticode(struct draft *draft, const char *key, const char *path, struct bytes image)
{
    struct digest digest;
    const char *error = pe_authenticode(image, &digest);
    const char *base = strrchr(path, '/');
    char hex[DIGEST_HEX];

    if (error) {
        refuse(&draft->findings, CHECK_INPUT_FORMAT, "%s: %s", path, error);
        return findings_exit_code(&draft->findings);
    }
    add(draft, "%s = %s %.60s\n", key, digest_text(&digest, hex), base ? base + 1 : path);
    return EXIT_OK;
}

static uint64_t header_field(struct bytes image, size_t offset)
{
    struct cursor c = cursor_over(image);

    cursor_take(&c, offset);
    return cursor_le(&c, 8);
}

/* The layer's image inside of the loader: the first place that has its magic and whose size fits. */
static struct bytes find_layer(struct bytes loader)
{
    for (size_t at = 0; at + sizeof(struct layer_image_header) <= loader.size; at += 16) {
        struct bytes rest = { loader.data + at, loader.size - at };
        uint64_t size = header_field(rest, offsetof(struct layer_image_header, file_size));

        if (header_field(rest, 0) == LAYER_IMAGE_MAGIC && size >= sizeof(struct layer_image_header) &&
            size <= rest.size)
            return (struct bytes){ rest.data, (size_t)size };
    }
    return (struct bytes){ NULL, 0 };
}

static void add_file_digest(struct draft *draft, const char *key, struct bytes content, const char *text)
{
    struct digest digest = digest_of(content);
    char hex[DIGEST_HEX];

    add(draft, "%s = %s %s\n", key, digest_text(&digest, hex), text);
}

static int add_loader(struct draft *draft, const struct options *options)
{
    struct bytes loader, layer;
    int code;

    if (!file_read(options->loader, PE_SIZE_MAX, &loader))
        return EXIT_INPUT;
    code = add_authenticode(draft, "loader", options->loader, loader);
    layer = find_layer(loader);
    if (code == EXIT_OK && !options->layer) {
        if (layer.data)
            add_file_digest(draft, "layer", layer, "found in the loader");
        else
            refuse(&draft->findings, CHECK_INPUT_FORMAT, "%s: no layer image in it; give it with --layer",
                   options->loader);
    }
    file_release(&loader);
    return code ? code : findings_exit_code(&draft->findings);
}

static int add_file(struct draft *draft, const char *key, const char *path, size_t limit, const char *text)
{
    struct bytes file;

    if (!file_read(path, limit, &file))
        return EXIT_INPUT;
    add_file_digest(draft, key, file, text);
    file_release(&file);
    return EXIT_OK;
}

static int add_next(struct draft *draft, const char *path)
{
    struct bytes file;
    int code;

    if (!file_read(path, PE_SIZE_MAX, &file))
        return EXIT_INPUT;
    code = add_authenticode(draft, "next_stage", path, file);
    file_release(&file);
    return code;
}

/* The firmware's events of PCR 0 to 7 but PCR 4, the separators and the open PCRs. */
static void add_events(struct draft *draft, const struct event_log *log, uint32_t open)
{
    char text[EVENT_TEXT], hex[DIGEST_HEX];

    for (size_t i = 0; i < log->count; i++) {
        const struct log_event *event = &log->events[i];
        const char *known = event_well_known(&event->digest);

        if (event->type == EV_NO_ACTION || event->pcr > 7 || event->pcr == 4 || open & UINT32_C(1) << event->pcr ||
            (known && strcmp(known, "separator") == 0))
            continue;
        event_describe(event, text);
        add(draft, "event = %u %s %.80s\n", event->pcr, digest_text(&event->digest, hex), text);
    }
}

static int add_log(struct draft *draft, const struct options *options, const char *open)
{
    struct event_log log = { 0 };
    struct bytes file;
    uint32_t mask = 0;

    for (const char *p = open; *p; p++)
        mask |= *p >= '0' && *p <= '7' ? UINT32_C(1) << (*p - '0') : 0;
    if (!file_read(options->log, LOG_SIZE_MAX, &file))
        return EXIT_INPUT;
    if (event_log_parse(file, &log, &draft->findings))
        add_events(draft, &log, mask);
    event_log_release(&log);
    file_release(&file);
    return findings_exit_code(&draft->findings);
}

static void add_list(struct draft *draft, const char *key, const struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        add(draft, "%s = %s\n", key, list->items[i]);
}

static int write_draft(struct draft *draft, const struct options *options)
{
    static struct policy policy;

    policy_parse((struct bytes){ (const uint8_t *)draft->text.text, draft->text.size }, &policy, &draft->findings);
    if (draft->findings.refused_count)
        return findings_exit_code(&draft->findings);
    if (options->out)
        return file_write(options->out, FILE_PUBLIC,
                          (struct bytes){ (const uint8_t *)draft->text.text, draft->text.size })
                   ? EXIT_OK
                   : EXIT_TROUBLE;
    return fwrite(draft->text.text, 1, draft->text.size, stdout) == draft->text.size ? EXIT_OK : EXIT_TROUBLE;
}

static int make_draft(struct draft *draft, const struct options *options)
{
    const char *open = options->open ? options->open : OPEN_DEFAULT;
    int code;

    add(draft, "version = 1\nname = %.80s\n", options->name ? options->name : "made by cvverify reference");
    code = add_loader(draft, options);
    if (code == EXIT_OK && options->layer)
        code = add_file(draft, "layer", options->layer, LAYER_MAX, "");
    if (code == EXIT_OK)
        code = add_file(draft, "configuration", options->config, CONFIG_MAX, "");
    if (code == EXIT_OK && options->next)
        code = add_next(draft, options->next);
    add(draft, "layer_version = %.20s\n", options->layer_version ? options->layer_version : "0.1.0");
    add(draft, "iommu = %s\n", options->iommu_optional ? "optional" : "required");
    add_list(draft, "ak_name", &options->ak_names);
    add_list(draft, "ek_name", &options->ek_names);
    if (options->any_machine)
        add(draft, "any_machine = sha256-firmware\n");
    add_list(draft, "launch", &options->launches);
    if (*open)
        add(draft, "open = %.40s\n", open);
    if (options->unquoted)
        add(draft, "unquoted = %.40s\n", options->unquoted);
    return code == EXIT_OK ? add_log(draft, options, open) : code;
}

int command_reference(int argc, char **argv)
{
    static const char *const needed[] = { "loader", "config", "log", NULL };
    static struct draft draft;
    struct options options;
    int code;

    if (!options_parse(argc, argv, reference_options, &options) || !options_no_words(&options) ||
        !options_need(&options, needed))
        return EXIT_USAGE;
    code = make_draft(&draft, &options);
    if (code == EXIT_OK)
        code = write_draft(&draft, &options);
    if (draft.findings.refused_count)
        findings_print(&draft.findings, options.json);
    json_release(&draft.text);
    return code;
}
