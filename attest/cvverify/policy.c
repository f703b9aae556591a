/* SPDX-License-Identifier: GPL-2.0-only */
/* Parser of policies: a table of keys, each with the function that reads its value. See policy.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attest/report_format.h"
#include "attest/cvverify/policy.h"

enum { WORD_SHOWN = 40 };

struct span {
    const char *start;
    size_t length;
};

struct parser {
    struct policy *policy;
    struct findings *f;
    unsigned line;
};

struct key {
    const char *name;
    bool once;
    bool (*read)(struct parser *p, struct span value, size_t offset);
    size_t offset;
};

static int shown(struct span text)
{
    return text.length < WORD_SHOWN ? (int)text.length : WORD_SHOWN;
}

static bool bad(struct parser *p, struct span word, const char *expected)
{
    refuse(p->f, CHECK_POLICY_FORMAT, "policy, line %u: '%.*s' is not possible here", p->line, shown(word), word.start);
    return remedy(p->f, "write %s", expected);
}

static bool equals(struct span text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.start, word, text.length) == 0;
}

/* Takes the next word and the blanks behind it off `rest`. */
static struct span next_word(struct span *rest)
{
    struct span word = { rest->start, 0 };

    while (word.length < rest->length && rest->start[word.length] != ' ')
        word.length++;
    rest->start += word.length;
    rest->length -= word.length;
    while (rest->length && rest->start[0] == ' ') {
        rest->start++;
        rest->length--;
    }
    return word;
}

static bool read_text_into(struct parser *p, struct span text, char out[POLICY_TEXT_MAX + 1])
{
    if (text.length > POLICY_TEXT_MAX)
        return bad(p, text, "at most 80 characters of text");
    memcpy(out, text.start, text.length);
    out[text.length] = '\0';
    return true;
}

static bool read_digest_word(struct parser *p, struct span word, struct digest *digest)
{
    if (!hex_parse(word.start, word.length, digest->byte, DIGEST_SIZE))
        return bad(p, word, "a SHA-256 digest of 64 hexadecimal digits");
    return true;
}

static bool read_version(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return equals(value, "1") || bad(p, value, "version = 1");
}

static bool read_name(struct parser *p, struct span value, size_t offset)
{
    return read_text_into(p, value, (char *)p->policy + offset);
}

static bool read_digest(struct parser *p, struct span value, size_t offset)
{
    struct policy_list *list = (struct policy_list *)(void *)((char *)p->policy + offset);
    struct policy_digest *item = &list->items[list->count];

    if (list->count == POLICY_DIGESTS_MAX)
        return bad(p, value, "at most 64 digests of one kind");
    *item = (struct policy_digest){ .line = p->line };
    if (!read_digest_word(p, next_word(&value), &item->digest) || !read_text_into(p, value, item->text))
        return false;
    if (policy_find(list, &item->digest))
        return bad(p, value, "each digest once");
    list->count++;
    return true;
}

static bool read_tpm_name(struct parser *p, struct span value, size_t offset)
{
    struct policy_names *names = (struct policy_names *)(void *)((char *)p->policy + offset);
    struct policy_name *item = &names->items[names->count];
    struct span word = next_word(&value);

    if (names->count == POLICY_DIGESTS_MAX)
        return bad(p, word, "at most 64 names of one kind");
    *item = (struct policy_name){ .line = p->line };
    if (!hex_parse(word.start, word.length, item->name.byte, TPM_NAME_SIZE) || item->name.byte[0] != 0 ||
        item->name.byte[1] != 0x0b)
        return bad(p, word, "a TPM name: 000b and 64 hexadecimal digits");
    if (!read_text_into(p, value, item->text))
        return false;
    if (policy_find_name(names, &item->name))
        return bad(p, word, "each name once");
    names->count++;
    return true;
}

static bool read_number(struct span *text, uint32_t max, uint32_t *number)
{
    uint32_t value = 0;
    size_t digits = 0;

    while (digits < text->length && text->start[digits] >= '0' && text->start[digits] <= '9' && digits < 5)
        value = value * 10 + (uint32_t)(text->start[digits++] - '0');
    if (digits == 0 || value > max)
        return false;
    text->start += digits;
    text->length -= digits;
    *number = value;
    return true;
}

static bool read_dot(struct span *text)
{
    if (text->length == 0 || text->start[0] != '.')
        return false;
    text->start++;
    text->length--;
    return true;
}

static bool read_layer_version(struct parser *p, struct span value, size_t offset)
{
    struct span rest = value;
    uint32_t major, minor, patch;

    (void)offset;
    if (!read_number(&rest, 255, &major) || !read_dot(&rest) || !read_number(&rest, 255, &minor) || !read_dot(&rest) ||
        !read_number(&rest, 255, &patch) || rest.length)
        return bad(p, value, "a version such as 0.1.0");
    p->policy->layer_version = major << 16 | minor << 8 | patch;
    p->policy->layer_version_given = true;
    return true;
}

static bool read_choice(struct parser *p, struct span value, bool *choice, const char *no, const char *yes,
                        const char *expected)
{
    *choice = equals(value, yes);
    return *choice || equals(value, no) || bad(p, value, expected);
}

static bool read_iommu(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return read_choice(p, value, &p->policy->iommu_optional, "required", "optional", "required or optional");
}

static bool read_debug(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return read_choice(p, value, &p->policy->debug_accepted, "refused", "accepted", "refused or accepted");
}

static bool read_boot_option(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return read_choice(p, value, &p->policy->any_boot_option, "first", "any", "first or any");
}

static bool read_any_machine(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    p->policy->any_machine = equals(value, "sha256-firmware");
    return p->policy->any_machine || bad(p, value, "sha256-firmware");
}

static bool read_vm_policy(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    do {
        struct span word = next_word(&value);

        if (equals(word, "debug"))
            p->policy->vm_policy |= REPORT_VM_DEBUG;
        else if (equals(word, "keep-key"))
            p->policy->vm_policy |= REPORT_VM_KEEP_KEY;
        else if (equals(word, "nmi"))
            p->policy->vm_policy |= REPORT_VM_NMI;
        else
            return bad(p, word, "words of debug, keep-key, nmi");
    } while (value.length);
    return true;
}

static bool read_pcrs(struct parser *p, struct span value, uint32_t allowed, uint32_t *mask, const char *expected)
{
    do {
        struct span word = next_word(&value), rest = word;
        uint32_t pcr;

        if (!read_number(&rest, 23, &pcr) || rest.length || !(allowed & UINT32_C(1) << pcr) ||
            *mask & UINT32_C(1) << pcr)
            return bad(p, word, expected);
        *mask |= UINT32_C(1) << pcr;
    } while (value.length);
    return true;
}

static bool read_open(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return read_pcrs(p, value, POLICY_PCRS_OPENABLE, &p->policy->open, "PCRs of 1 3 5 6 7, each once");
}

static bool read_unquoted(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return read_pcrs(p, value, POLICY_PCRS_UNQUOTABLE, &p->policy->unquoted, "PCRs of 8 to 12, 14, 15, each once");
}

/* Digests with '|' between them. */
static bool read_alternatives(struct parser *p, struct span word, struct policy_event *event)
{
    while (event->alternative_count < POLICY_ALTERNATIVES_MAX) {
        struct span digest = { word.start, word.length < 64 ? word.length : 64 };

        if (!read_digest_word(p, digest, &event->alternatives[event->alternative_count++]))
            return false;
        if (word.length == 64)
            return true;
        if (word.start[64] != '|')
            break;
        word.start += 65;
        word.length -= 65;
    }
    return bad(p, word, "at most 8 digests with | between them");
}

static bool read_any_event(struct parser *p, struct span value, bool optional)
{
    struct policy_event *event = &p->policy->events[p->policy->event_count];
    struct span word = next_word(&value);
    uint32_t pcr;

    if (p->policy->event_count == POLICY_EVENTS_MAX)
        return bad(p, word, "at most 512 events");
    if (!read_number(&word, 7, &pcr) || word.length)
        return bad(p, word, "a PCR of 0 to 7, digests, and text");
    if (pcr == 4) {
        refuse(p->f, CHECK_POLICY_FORMAT, "policy, line %u: events of PCR 4 can't be listed", p->line);
        return remedy(p->f, "use loader and next_stage");
    }
    *event = (struct policy_event){ .pcr = pcr, .optional = optional, .line = p->line };
    if (!read_alternatives(p, next_word(&value), event) || !read_text_into(p, value, event->text))
        return false;
    p->policy->event_count++;
    return true;
}

static bool read_event(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return read_any_event(p, value, false);
}

static bool read_optional(struct parser *p, struct span value, size_t offset)
{
    (void)offset;
    return read_any_event(p, value, true);
}

static const struct key keys[] = {
    { "version", true, read_version, 0 },
    { "name", true, read_name, offsetof(struct policy, name) },
    { "loader", false, read_digest, offsetof(struct policy, loader) },
    { "layer", false, read_digest, offsetof(struct policy, layer) },
    { "configuration", false, read_digest, offsetof(struct policy, configuration) },
    { "next_stage", false, read_digest, offsetof(struct policy, next_stage) },
    { "layer_version", true, read_layer_version, 0 },
    { "iommu", true, read_iommu, 0 },
    { "debug", true, read_debug, 0 },
    { "boot_option", true, read_boot_option, 0 },
    { "ak_name", false, read_tpm_name, offsetof(struct policy, ak_name) },
    { "ek_name", false, read_tpm_name, offsetof(struct policy, ek_name) },
    { "any_machine", true, read_any_machine, 0 },
    { "launch", false, read_digest, offsetof(struct policy, launch) },
    { "vm_policy", true, read_vm_policy, 0 },
    { "open", true, read_open, 0 },
    { "unquoted", true, read_unquoted, 0 },
    { "event", false, read_event, 0 },
    { "optional", false, read_optional, 0 },
};

enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

static bool read_setting(struct parser *p, struct span name, struct span value, uint32_t *seen)
{
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        if (!equals(name, keys[i].name))
            continue;
        if (i != 0 && *seen == 0)
            return bad(p, name, "version = 1 as the first line");
        if (keys[i].once && *seen & UINT32_C(1) << i)
            return bad(p, name, "this key once");
        *seen |= UINT32_C(1) << i;
        return keys[i].read(p, value, keys[i].offset);
    }
    refuse(p->f, CHECK_POLICY_FORMAT, "policy, line %u: unknown key '%.*s'", p->line, shown(name), name.start);
    return remedy(p->f, "cvverify(1) lists the keys");
}

static struct span trim(struct span text)
{
    while (text.length && text.start[0] == ' ') {
        text.start++;
        text.length--;
    }
    while (text.length && text.start[text.length - 1] == ' ')
        text.length--;
    return text;
}

static bool read_line(struct parser *p, struct span line, uint32_t *seen)
{
    struct span name;
    size_t equals_at = 0;

    for (size_t i = 0; i < line.length; i++) {
        if (line.start[i] < ' ' || line.start[i] > '~')
            return bad(p, (struct span){ "byte", 4 }, "printable ASCII only");
    }
    line = trim(line);
    if (line.length == 0 || line.start[0] == '#')
        return true;
    while (equals_at < line.length && line.start[equals_at] != '=')
        equals_at++;
    if (equals_at == line.length)
        return bad(p, line, "key = value, or # before a comment");
    name = trim((struct span){ line.start, equals_at });
    return read_setting(p, name, trim((struct span){ line.start + equals_at + 1, line.length - equals_at - 1 }), seen);
}

static bool lacks(struct findings *f, const char *what, const char *line)
{
    refuse(f, CHECK_POLICY_INCOMPLETE, "the policy %s", what);
    return remedy(f, "add a line %s", line);
}

static bool check_complete(const struct policy *policy, struct findings *f)
{
    bool complete = true, firmware = false;

    for (size_t i = 0; i < policy->event_count; i++)
        firmware |= policy->events[i].pcr == 0 && !policy->events[i].optional;
    if (policy->loader.count == 0)
        complete = lacks(f, "names no loader", "loader = DIGEST");
    if (policy->layer.count == 0)
        complete = lacks(f, "names no layer", "layer = DIGEST");
    if (policy->configuration.count == 0)
        complete = lacks(f, "names no configuration", "configuration = DIGEST");
    if (!policy->layer_version_given)
        complete = lacks(f, "names no least version of the layer", "layer_version = 0.1.0");
    if (!firmware)
        complete = lacks(f, "names no firmware", "event = 0 DIGEST for each event of the firmware in PCR 0");
    if (policy->ak_name.count == 0 && policy->ek_name.count == 0 && !policy->any_machine)
        complete = lacks(f, "names no machine", "ek_name, ak_name or any_machine");
    return complete;
}

bool policy_parse(struct bytes text, struct policy *policy, struct findings *f)
{
    struct span rest = { (const char *)text.data, text.size };
    struct parser parser = { policy, f, 0 };
    uint32_t seen = 0;

    memset(policy, 0, sizeof(*policy));
    if (text.size > POLICY_SIZE_MAX)
        return refuse(f, CHECK_POLICY_FORMAT, "the policy is larger than %d bytes", POLICY_SIZE_MAX);
    policy->digest = digest_of(text);
    while (rest.length) {
        struct span line = { rest.start, 0 };

        while (line.length < rest.length && rest.start[line.length] != '\n')
            line.length++;
        parser.line++;
        if (!read_line(&parser, line, &seen))
            return false;
        line.length += line.length < rest.length;
        rest.start += line.length;
        rest.length -= line.length;
    }
    return check_complete(policy, f);
}

struct policy_digest *policy_find(struct policy_list *list, const struct digest *digest)
{
    for (size_t i = 0; i < list->count; i++) {
        if (digest_equal(&list->items[i].digest, digest)) {
            list->items[i].used = true;
            return &list->items[i];
        }
    }
    return NULL;
}

struct policy_name *policy_find_name(struct policy_names *names, const struct tpm_name *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (memcmp(names->items[i].name.byte, name->byte, TPM_NAME_SIZE) == 0) {
            names->items[i].used = true;
            return &names->items[i];
        }
    }
    return NULL;
}

char *version_text(uint32_t version, char out[16])
{
    snprintf(out, 16, "%u.%u.%u", version >> 16 & 0xff, version >> 8 & 0xff, version & 0xff);
    return out;
}

typedef void (*print_line)(const char *line, void *context);

static void print_list(const char *key, const struct policy_list *list, print_line print, void *context)
{
    char line[256], hex[DIGEST_HEX];

    for (size_t i = 0; i < list->count; i++) {
        snprintf(line, sizeof(line), "%s = %s", key, digest_text(&list->items[i].digest, hex));
        print(line, context);
    }
}

static void print_names(const char *key, const struct policy_names *names, print_line print, void *context)
{
    char line[256], hex[2 * TPM_NAME_SIZE + 1];

    for (size_t i = 0; i < names->count; i++) {
        snprintf(line, sizeof(line), "%s = %s", key, tpm_name_text(&names->items[i].name, hex));
        print(line, context);
    }
}

static void print_mask(const char *key, uint32_t mask, print_line print, void *context)
{
    char line[64];

    for (unsigned pcr = 0; pcr < 24; pcr++) {
        if (!(mask & UINT32_C(1) << pcr))
            continue;
        snprintf(line, sizeof(line), "%s = %u", key, pcr);
        print(line, context);
    }
}

static void print_events(const struct policy *policy, print_line print, void *context)
{
    char line[256], hex[DIGEST_HEX];

    for (size_t i = 0; i < policy->event_count; i++) {
        const struct policy_event *event = &policy->events[i];

        for (size_t n = 0; n < event->alternative_count; n++) {
            snprintf(line, sizeof(line), "%s = %u %s %s", event->optional ? "optional" : "event", event->pcr,
                     digest_text(&event->alternatives[n], hex), event->text);
            print(line, context);
        }
    }
}

static void print_vm_policy(uint32_t allowed, print_line print, void *context)
{
    if (allowed & REPORT_VM_DEBUG)
        print("vm_policy = debug", context);
    if (allowed & REPORT_VM_KEEP_KEY)
        print("vm_policy = keep-key", context);
    if (allowed & REPORT_VM_NMI)
        print("vm_policy = nmi", context);
}

void policy_print(const struct policy *policy, print_line print, void *context)
{
    char line[64], version[16];

    print_list("loader", &policy->loader, print, context);
    print_list("layer", &policy->layer, print, context);
    print_list("configuration", &policy->configuration, print, context);
    print_list("next_stage", &policy->next_stage, print, context);
    snprintf(line, sizeof(line), "layer_version = %s", version_text(policy->layer_version, version));
    print(line, context);
    print(policy->iommu_optional ? "iommu = optional" : "iommu = required", context);
    print(policy->debug_accepted ? "debug = accepted" : "debug = refused", context);
    print(policy->any_boot_option ? "boot_option = any" : "boot_option = first", context);
    print_names("ak_name", &policy->ak_name, print, context);
    print_names("ek_name", &policy->ek_name, print, context);
    if (policy->any_machine)
        print("any_machine = sha256-firmware", context);
    print_list("launch", &policy->launch, print, context);
    print_vm_policy(policy->vm_policy, print, context);
    print_mask("open", policy->open, print, context);
    print_mask("unquoted", policy->unquoted, print, context);
    print_events(policy, print, context);
}
