/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parser of policy files. Pure: no allocation, no files. Every line is copied into a bounded buffer first; a value is
 * used only once it has been read to its end.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "cloudvisor/bundle/policy.h"

#define BIT(n)         (1ull << (n))
#define SYSCALL_VECTOR 0x80u
#define MEMORY_MIN     (64ull << 20)
#define MEMORY_MAX     (512ull << 30)
#define BLANKS         " \t"

struct device {
    const char *name;
    uint32_t virtio_id;
    struct bundle_ports ports;
    const char *refused;
};

static const struct device devices[] = {
#define DEVICE(name, virtio_id, first_port, last_port) { name, virtio_id, { first_port, last_port }, NULL },
#define REFUSED(name, why)                             { name, 0, { 0, 0 }, why },
#include "cloudvisor/bundle/devices.def"
#undef DEVICE
#undef REFUSED
};

static const struct {
    const char *name;
    uint32_t leaf, subleaf, reg, bit;
} cpu_features[] = {
#define CPU_FEATURE(name, leaf, subleaf, reg, bit) { name, leaf, subleaf, reg, bit },
#include "cloudvisor/bundle/cpu_features.def"
#undef CPU_FEATURE
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

__attribute__((format(printf, 2, 3))) static bool refuse(struct policy_fault *fault, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(fault->message, sizeof(fault->message), format, arguments);
    va_end(arguments);
    return false;
}

/* Decimal or 0x number at *text, which moves behind it. */
static bool take_number(const char **text, uint64_t *number)
{
    const char *at = *text;
    unsigned base = at[0] == '0' && at[1] == 'x' ? 16 : 10;
    uint64_t value = 0;
    const char *start;

    at += base == 16 ? 2 : 0;
    for (start = at;; at++) {
        unsigned digit = 16;

        if (*at >= '0' && *at <= '9')
            digit = (unsigned)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            digit = (unsigned)(*at - 'a') + 10;
        if (digit >= base)
            break;
        if (value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    if (at == start)
        return false;
    *text = at;
    *number = value;
    return true;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    return take_number(&text, number) && !*text && *number >= min && *number <= max;
}

/* "first-last", or one number. */
static bool parse_span(const char *text, uint64_t max, uint64_t *first, uint64_t *last)
{
    if (!take_number(&text, first))
        return false;
    *last = *first;
    if (*text == '-' && (text++, !take_number(&text, last)))
        return false;
    return !*text && *first <= *last && *last <= max;
}

static bool parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *bytes)
{
    uint64_t number;
    unsigned shift;

    if (!take_number(&text, &number) || !*text || text[1])
        return false;
    switch (*text) {
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    default: return false;
    }
    if (number > (max >> shift))
        return false;
    *bytes = number << shift;
    return *bytes >= min && *bytes % BUNDLE_PAGE_SIZE == 0;
}

bool policy_parse_memory(const char *text, uint64_t *bytes)
{
    return parse_size(text, MEMORY_MIN, MEMORY_MAX, bytes) && *bytes % (1u << 20) == 0;
}

bool policy_parse_vcpus(const char *text, uint32_t *count)
{
    uint64_t number;

    if (!parse_number(text, 1, BUNDLE_VCPU_MAX, &number))
        return false;
    *count = (uint32_t)number;
    return true;
}

static bool set_machine(struct policy *policy, const char *value, struct policy_fault *fault)
{
    policy->machine = machine_find(value);
    return policy->machine || refuse(fault, "machine '%.32s' is not known: microvm, pc or q35", value);
}

static bool set_vcpus(struct policy *policy, const char *value, struct policy_fault *fault)
{
    return policy_parse_vcpus(value, &policy->vcpu_count) ||
           refuse(fault, "vcpus takes a number from 1 to %d", BUNDLE_VCPU_MAX);
}

static bool set_memory(struct policy *policy, const char *value, struct policy_fault *fault)
{
    return policy_parse_memory(value, &policy->memory) ||
           refuse(fault, "memory takes whole megabytes from 64M to 512G, such as 512M");
}

static bool set_input(struct policy *policy, const char *value, struct policy_fault *fault)
{
    return parse_size(value, BUNDLE_PAGE_SIZE, POLICY_INPUT_MAX, &policy->input_size) ||
           refuse(fault, "input takes whole pages of 4K up to 8M, such as 64K");
}

static bool parse_yes_no(const char *value, bool *answer)
{
    *answer = !strcmp(value, "yes");
    return *answer || !strcmp(value, "no");
}

static bool set_nmi(struct policy *policy, const char *value, struct policy_fault *fault)
{
    return parse_yes_no(value, &policy->nmi) || refuse(fault, "nmi takes yes or no");
}

static bool set_debug(struct policy *policy, const char *value, struct policy_fault *fault)
{
    return parse_yes_no(value, &policy->debug) || refuse(fault, "debug takes yes or no");
}

static bool add_device(struct policy *policy, const char *word, struct policy_fault *fault)
{
    for (uint32_t i = 0; i < COUNT(devices); i++) {
        if (strcmp(devices[i].name, word) != 0)
            continue;
        if (devices[i].refused)
            return refuse(fault, "a protected VM can't have %s: %s", word, devices[i].refused);
        policy->devices |= 1u << i;
        if (devices[i].virtio_id)
            policy->virtio_kinds |= BIT(devices[i].virtio_id);
        return true;
    }
    return refuse(fault, "device '%.32s' is not known", word);
}

static bool add_mmio(struct policy *policy, const char *word, struct policy_fault *fault)
{
    uint64_t first, last;

    if (!parse_span(word, BUNDLE_GPA_LIMIT - 1, &first, &last) || first % BUNDLE_PAGE_SIZE ||
        (last + 1) % BUNDLE_PAGE_SIZE)
        return refuse(fault, "mmio window '%.48s' is not in whole pages, such as 0xfeb00000-0xfeb02fff", word);
    if (policy->mmio_count == BUNDLE_MMIO_MAX)
        return refuse(fault, "more than %d mmio windows", BUNDLE_MMIO_MAX);
    policy->mmio[policy->mmio_count++] = (struct bundle_window){ first, (last + 1 - first) / BUNDLE_PAGE_SIZE };
    return true;
}

static bool add_ports(struct policy *policy, const char *word, struct policy_fault *fault)
{
    uint64_t first, last;

    if (!parse_span(word, 0xffff, &first, &last))
        return refuse(fault, "port window '%.48s' is not like 0x3f8-0x3ff", word);
    if (policy->port_count == BUNDLE_PORT_MAX)
        return refuse(fault, "more than %d port windows", BUNDLE_PORT_MAX);
    policy->ports[policy->port_count++] = (struct bundle_ports){ (uint16_t)first, (uint16_t)last };
    return true;
}

static bool add_vectors(struct policy *policy, const char *word, struct policy_fault *fault)
{
    uint64_t first, last;

    if (!parse_span(word, 0xff, &first, &last))
        return refuse(fault, "vectors '%.48s' are not like 0x20-0x7f", word);
    if (first < 0x20)
        return refuse(fault, "vectors below 0x20 are the processor's own exceptions");
    if (first != last && first <= SYSCALL_VECTOR && last >= SYSCALL_VECTOR)
        return refuse(fault, "vector 0x80 enters the kernel as a system call: list the vectors around it");
    for (uint64_t vector = first; vector <= last; vector++)
        policy->vectors[vector / 64] |= BIT(vector % 64);
    return true;
}

static bool require_bit(struct policy *policy, uint32_t index)
{
    for (uint32_t i = 0; i < policy->cpu_feature_count; i++) {
        struct bundle_cpu_feature *known = &policy->cpu_features[i];

        if (known->leaf == cpu_features[index].leaf && known->subleaf == cpu_features[index].subleaf &&
            known->reg == cpu_features[index].reg) {
            known->mask |= 1u << cpu_features[index].bit;
            return true;
        }
    }
    if (policy->cpu_feature_count == BUNDLE_CPU_MAX)
        return false;
    policy->cpu_features[policy->cpu_feature_count++] = (struct bundle_cpu_feature){
        cpu_features[index].leaf, cpu_features[index].subleaf, cpu_features[index].reg, 1u << cpu_features[index].bit
    };
    return true;
}

static bool add_cpu_feature(struct policy *policy, const char *word, struct policy_fault *fault)
{
    for (uint32_t i = 0; i < COUNT(cpu_features); i++)
        if (!strcmp(cpu_features[i].name, word))
            return require_bit(policy, i) || refuse(fault, "too many CPU features");
    return refuse(fault, "CPU feature '%.32s' is not known", word);
}

typedef bool (*policy_setter)(struct policy *policy, const char *value, struct policy_fault *fault);

static const struct policy_key {
    const char *name;
    policy_setter set;
    bool list; /* several words, several lines */
} keys[] = {
    { "machine", set_machine, false }, { "vcpus", set_vcpus, false },    { "memory", set_memory, false },
    { "input", set_input, false },     { "nmi", set_nmi, false },        { "debug", set_debug, false },
    { "devices", add_device, true },   { "mmio", add_mmio, true },       { "ports", add_ports, true },
    { "vectors", add_vectors, true },  { "cpu", add_cpu_feature, true },
};

static bool apply_list(struct policy *policy, const struct policy_key *key, char *value, struct policy_fault *fault)
{
    char *rest = NULL;

    for (char *word = strtok_r(value, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest))
        if (!key->set(policy, word, fault))
            return false;
    return true;
}

static char *trim(char *text)
{
    size_t length;

    text += strspn(text, BLANKS);
    length = strlen(text);
    while (length && strchr(BLANKS, text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

static bool parse_line(struct policy *policy, char *line, uint32_t *seen, struct policy_fault *fault)
{
    char *equals = strchr(line, '=');
    char *name, *value;

    if (line[0] == '#' || !line[strspn(line, BLANKS)])
        return true;
    if (!equals)
        return refuse(fault, "expected 'key = value'");
    *equals = '\0';
    name = trim(line);
    value = trim(equals + 1);
    for (uint32_t i = 0; i < COUNT(keys); i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        if (!keys[i].list && (*seen & BIT(i)))
            return refuse(fault, "%s is given twice", name);
        *seen |= (uint32_t)BIT(i);
        if (!*value)
            return refuse(fault, "%s has no value", name);
        return keys[i].list ? apply_list(policy, &keys[i], value, fault) : keys[i].set(policy, value, fault);
    }
    return refuse(fault, "key '%.32s' is not known", name);
}

/* Copies the line at *text, `left` bytes before the end, and moves behind it. */
static bool take_line(const char **text, size_t *left, char *line, struct policy_fault *fault)
{
    const char *newline = memchr(*text, '\n', *left);
    size_t length = newline ? (size_t)(newline - *text) : *left;
    size_t used = length + (newline != NULL);

    if (length >= POLICY_LINE_MAX)
        return refuse(fault, "the line has more than %d characters", POLICY_LINE_MAX - 1);
    memcpy(line, *text, length);
    if (length && line[length - 1] == '\r')
        length--;
    line[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if ((line[i] < ' ' || line[i] > '~') && line[i] != '\t')
            return refuse(fault, "only printable ASCII is allowed");
    *text += used;
    *left -= used;
    return true;
}

bool policy_parse(const char *text, size_t size, struct policy *policy, struct policy_fault *fault)
{
    char line[POLICY_LINE_MAX] = "";
    uint32_t seen = 0;

    memset(policy, 0, sizeof(*policy));
    memset(fault, 0, sizeof(*fault));
    if (size > POLICY_FILE_MAX)
        return refuse(fault, "the file has more than %d bytes", POLICY_FILE_MAX);
    add_cpu_feature(policy, "x2apic", fault);
    while (size) {
        fault->line++;
        if (!take_line(&text, &size, line, fault) || !parse_line(policy, line, &seen, fault))
            return false;
    }
    fault->line = 0;
    return true;
}

static bool mmio_before(const struct policy *policy, uint32_t a, uint32_t b)
{
    return policy->mmio[a].gpa < policy->mmio[b].gpa;
}

static void sort_windows(struct policy *policy)
{
    for (uint32_t i = 1; i < policy->mmio_count; i++)
        for (uint32_t j = i; j && mmio_before(policy, j, j - 1); j--) {
            struct bundle_window swapped = policy->mmio[j];

            policy->mmio[j] = policy->mmio[j - 1];
            policy->mmio[j - 1] = swapped;
        }
    for (uint32_t i = 1; i < policy->port_count; i++)
        for (uint32_t j = i; j && policy->ports[j].first < policy->ports[j - 1].first; j--) {
            struct bundle_ports swapped = policy->ports[j];

            policy->ports[j] = policy->ports[j - 1];
            policy->ports[j - 1] = swapped;
        }
}

static void default_devices(struct policy *policy)
{
    for (uint32_t i = 0; i < COUNT(devices); i++) {
        bool legacy = i == DEVICE_PIC || i == DEVICE_PIT || i == DEVICE_RTC;

        if (devices[i].refused || i == DEVICE_HPET || (legacy && policy->machine->hardware_reduced))
            continue;
        policy->devices |= 1u << i;
        if (devices[i].virtio_id)
            policy->virtio_kinds |= BIT(devices[i].virtio_id);
    }
}

static void default_mmio(struct policy *policy)
{
    for (uint32_t i = 0; i < MACHINE_MMIO_MAX && policy->machine->mmio[i].page_count; i++)
        policy->mmio[policy->mmio_count++] = policy->machine->mmio[i];
    if (policy->devices & BIT(DEVICE_HPET))
        policy->mmio[policy->mmio_count++] = (struct bundle_window){ HPET_GPA, 1 };
}

static void default_ports(struct policy *policy)
{
    static const struct bundle_ports second_pic = { 0xa0, 0xa1 }, pic_edges = { 0x4d0, 0x4d1 },
                                     speaker = { 0x61, 0x61 };

    for (uint32_t i = 0; i < MACHINE_PORT_MAX && policy->machine->ports[i].last; i++)
        policy->ports[policy->port_count++] = policy->machine->ports[i];
    for (uint32_t i = 0; i < COUNT(devices); i++)
        if ((policy->devices & BIT(i)) && devices[i].ports.last)
            policy->ports[policy->port_count++] = devices[i].ports;
    if (policy->devices & BIT(DEVICE_PIC)) {
        policy->ports[policy->port_count++] = second_pic;
        policy->ports[policy->port_count++] = pic_edges;
    }
    if (policy->devices & BIT(DEVICE_PIT))
        policy->ports[policy->port_count++] = speaker;
}

static bool check_windows(const struct policy *policy, struct policy_fault *fault)
{
    struct bundle_window ram[BUNDLE_RAM_MAX];
    uint32_t ram_count = machine_ram(policy->machine, policy->memory, ram);

    for (uint32_t i = 0; i < policy->mmio_count; i++) {
        uint64_t start = policy->mmio[i].gpa, end = start + policy->mmio[i].page_count * BUNDLE_PAGE_SIZE;

        if (i && start < policy->mmio[i - 1].gpa + policy->mmio[i - 1].page_count * BUNDLE_PAGE_SIZE)
            return refuse(fault, "the mmio windows at 0x%llx and 0x%llx overlap",
                          (unsigned long long)policy->mmio[i - 1].gpa, (unsigned long long)start);
        if (start < 0xfee01000 && end > 0xfee00000)
            return refuse(fault, "an mmio window covers the local APIC at 0xfee00000: the guest uses x2APIC");
        for (uint32_t j = 0; j < ram_count; j++)
            if (start < ram[j].gpa + ram[j].page_count * BUNDLE_PAGE_SIZE && ram[j].gpa < end)
                return refuse(fault, "the mmio window at 0x%llx is in RAM", (unsigned long long)start);
    }
    for (uint32_t i = 1; i < policy->port_count; i++)
        if (policy->ports[i].first <= policy->ports[i - 1].last)
            return refuse(fault, "the port windows at 0x%x and 0x%x overlap", policy->ports[i - 1].first,
                          policy->ports[i].first);
    return true;
}

bool policy_complete(struct policy *policy, struct policy_fault *fault)
{
    memset(fault, 0, sizeof(*fault));
    if (!policy->machine)
        return refuse(fault, "no machine type: machine = microvm, pc or q35");
    if (!policy->vcpu_count)
        return refuse(fault, "no number of vCPUs: vcpus = 1");
    if (!policy->memory)
        return refuse(fault, "no memory size: memory = 512M");
    if (!policy->devices)
        default_devices(policy);
    if (!policy->mmio_count)
        default_mmio(policy);
    if (!policy->port_count)
        default_ports(policy);
    if (!policy->vectors[0] && !policy->vectors[1] && !policy->vectors[2] && !policy->vectors[3]) {
        memset(policy->vectors, 0xff, sizeof(policy->vectors));
        policy->vectors[0] &= ~0xffffffffull;
        policy->vectors[SYSCALL_VECTOR / 64] &= ~BIT(SYSCALL_VECTOR % 64);
    }
    sort_windows(policy);
    return check_windows(policy, fault);
}
