/* SPDX-License-Identifier: GPL-2.0-only */
/* cvctl vms: the protected VMs, and the ended ones that a slot of the layer still remembers. */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cloudvisor/cvctl/commands.h"
#include "cloudvisor/hypercall.h"

enum { DIGEST_BYTES = 32, SHORT_BYTES = 6, SLOT_LIMIT = 256, STATE_LAUNCHING = 1, STATE_RUNNING = 2 };

struct vm_words {
    uint64_t slot;
    uint64_t word[VM_WORD_COUNT];
};

static const char *const states[] = { "ended", "launching", "running", "ending" };

/* vm_stops.def, counted from 1. */
static const struct {
    const char *name, *text;
} stops[] = {
    { "", "" },
#define VM_STOP(name, text) { #name, text },
#include "cloudvisor/vm_stops.def"
#undef VM_STOP
};

/*
 * The words of a slot, all of one VM: a slot that changes hands meanwhile is read again. False: there is no such slot.
 */
static bool read_slot(uint64_t slot, struct vm_words *vm)
{
    enum { TRIES = 8 };

    memset(vm, 0, sizeof(*vm));
    vm->slot = slot;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t id = layer_ask(HYPERCALL_VM, slot, VM_WORD_ID).rbx;

        for (unsigned word = 0; word < VM_WORD_COUNT; word++) {
            struct answer answer = layer_ask(HYPERCALL_VM, slot, word);

            if (!answer.ok && word == VM_WORD_STATE)
                return false;
            vm->word[word] = answer.ok ? answer.rbx : 0;
        }
        if (vm->word[VM_WORD_ID] == id && layer_ask(HYPERCALL_VM, slot, VM_WORD_ID).rbx == id)
            break;
    }
    return true;
}

/* The VMs of all slots, the oldest first; the number of slots in `slots`. */
static unsigned read_vms(struct vm_words vms[SLOT_LIMIT], unsigned *slots)
{
    unsigned count = 0;

    for (*slots = 0; *slots < SLOT_LIMIT && read_slot(*slots, &vms[count]); ++*slots) {
        struct vm_words vm = vms[count];
        unsigned at = count;

        if (vm.word[VM_WORD_ID] == 0)
            continue;
        for (; at > 0 && vms[at - 1].word[VM_WORD_ID] > vm.word[VM_WORD_ID]; at--)
            vms[at] = vms[at - 1];
        vms[at] = vm;
        count++;
    }
    return count;
}

bool vms_alive(unsigned *count)
{
    static struct vm_words vms[SLOT_LIMIT];
    unsigned slots, known = read_vms(vms, &slots);

    *count = 0;
    for (unsigned i = 0; i < known; i++)
        *count += vms[i].word[VM_WORD_STATE] == STATE_LAUNCHING || vms[i].word[VM_WORD_STATE] == STATE_RUNNING;
    return slots != 0;
}

static const char *state_name(const struct vm_words *vm)
{
    uint64_t state = vm->word[VM_WORD_STATE];

    return state < sizeof(states) / sizeof(states[0]) ? states[state] : "?";
}

/* The first `bytes` of the launch digest in hex; false: there is none yet. */
static bool digest_text(const struct vm_words *vm, unsigned bytes, char text[2 * DIGEST_BYTES + 1])
{
    bool any = false;

    for (unsigned i = 0; i < DIGEST_BYTES; i++) {
        unsigned byte = (unsigned)(vm->word[VM_WORD_DIGEST + i / 8] >> i % 8 * 8) & 0xff;

        any = any || byte != 0;
        if (i < bytes)
            snprintf(text + 2 * i, 3, "%02x", byte);
    }
    return any;
}

/* Why the VM ended, or NULL if it did not. `buffer` is for reasons that this program does not know. */
static const char *stop_text(const struct vm_words *vm, char buffer[32])
{
    uint64_t stop = vm->word[VM_WORD_STOP];

    if (stop == 0)
        return vm->word[VM_WORD_STATE] == 0 ? "the layer could not make it" : NULL;
    if (stop < sizeof(stops) / sizeof(stops[0]))
        return stops[stop].text;
    snprintf(buffer, 32, "reason %" PRIu64, stop);
    return buffer;
}

static void print_vm(const struct vm_words *vm, bool wide)
{
    unsigned bytes = wide ? DIGEST_BYTES : SHORT_BYTES;
    char digest[2 * DIGEST_BYTES + 1] = "-", unknown[32], vcpus[8] = "-";
    const uint64_t *word = vm->word;
    const char *why = stop_text(vm, unknown);

    if (!digest_text(vm, bytes, digest))
        strcpy(digest, "-");
    if (word[VM_WORD_VCPUS] != 0)
        snprintf(vcpus, sizeof(vcpus), "%u", (unsigned)word[VM_WORD_VCPUS] & 0xffff);
    printf("%4" PRIu64 "  %-9s %5s  %-*s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "  ", word[VM_WORD_ID],
           state_name(vm), vcpus, (int)(2 * bytes), digest, word[VM_WORD_FRAMES], word[VM_WORD_CLAIMED],
           word[VM_WORD_PAGED_OUT], word[VM_WORD_PAGED_IN]);
    if (word[VM_WORD_STOP] != 0)
        printf("%s (%#" PRIx64 ")\n", why, word[VM_WORD_STOP_DETAIL]);
    else
        printf("%s\n", why != NULL ? why : "-");
}

static void print_text(const struct vm_words *vms, unsigned count, bool wide)
{
    if (count == 0) {
        printf("no protected VM since boot\n");
        return;
    }
    printf("%4s  %-9s %5s  %-*s %9s %9s %9s %9s  %s\n", "ID", "STATE", "VCPUS", 2 * (wide ? DIGEST_BYTES : SHORT_BYTES),
           "DIGEST", "IN", "CLAIMED", "OUT", "BACK", "WHY IT ENDED");
    for (unsigned i = 0; i < count; i++)
        print_vm(&vms[i], wide);
}

static void print_stop_json(const struct vm_words *vm)
{
    uint64_t stop = vm->word[VM_WORD_STOP];
    const char *name = stop < sizeof(stops) / sizeof(stops[0]) ? stops[stop].name : "UNKNOWN";
    char unknown[32];

    if (stop == 0) {
        printf("null}");
        return;
    }
    printf("{\"reason\":\"");
    for (; *name != 0; name++)
        putchar(tolower((unsigned char)*name));
    printf("\",\"number\":%" PRIu64 ",\"text\":\"%s\",\"detail\":\"%#" PRIx64 "\"}}", stop, stop_text(vm, unknown),
           vm->word[VM_WORD_STOP_DETAIL]);
}

static void print_vm_json(const struct vm_words *vm)
{
    char digest[2 * DIGEST_BYTES + 1];
    const uint64_t *word = vm->word;

    printf("{\"id\":%" PRIu64 ",\"slot\":%" PRIu64 ",\"state\":\"%s\",", word[VM_WORD_ID], vm->slot, state_name(vm));
    if (word[VM_WORD_VCPUS] != 0)
        printf("\"vcpus\":%" PRIu64 ",", word[VM_WORD_VCPUS]);
    else
        printf("\"vcpus\":null,");
    if (digest_text(vm, DIGEST_BYTES, digest))
        printf("\"launch_digest\":\"%s\",", digest);
    else
        printf("\"launch_digest\":null,");
    printf("\"pages\":{\"in\":%" PRIu64 ",\"claimed\":%" PRIu64 ",\"paged_out\":%" PRIu64 ",\"paged_in\":%" PRIu64
           "},\"stop\":",
           word[VM_WORD_FRAMES], word[VM_WORD_CLAIMED], word[VM_WORD_PAGED_OUT], word[VM_WORD_PAGED_IN]);
    print_stop_json(vm);
}

static void print_json(const struct vm_words *vms, unsigned count, unsigned slots, uint32_t version)
{
    print_version("{\"version\":\"", version, "\",");
    printf("\"slots\":%u,\"vms\":[", slots);
    for (unsigned i = 0; i < count; i++) {
        printf("%s", i ? "," : "");
        print_vm_json(&vms[i]);
    }
    printf("]}\n");
}

int command_vms(const struct options *options)
{
    static struct vm_words vms[SLOT_LIMIT];
    uint32_t version = require_layer();
    unsigned slots, count = read_vms(vms, &slots);

    if (slots == 0) {
        fprintf(stderr, "cvctl: this layer does not tell of protected VMs\n");
        return CVCTL_FAILED;
    }
    if (options->json)
        print_json(vms, count, slots, version);
    else
        print_text(vms, count, options->wide);
    return CVCTL_OK;
}
