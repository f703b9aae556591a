/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A victim: a VM of the harness that runs one of the programs, as a plain VM or, after the launch call, as a protected
 * one; and the host's ordinary work for it. Attacks are departures from that work.
 */
#ifndef ATTACKS_VICTIM_H
#define ATTACKS_VICTIM_H

#include "cloudvisor/bundle/bundle_format.h"
#include "cloudvisor/hypercall.h"
#include "untrusted-hypervisor-harness/attacks/guest_layout.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vcpu.h"
#include "untrusted-hypervisor-harness/core/vmx.h"

enum { VICTIM_MAX = 2, VICTIM_VCPUS = 2 };

/* Offsets in the arena that no other suite uses. */
#define VICTIM_MEMORY(i) (ARENA(0x00c00000) + (uint64_t)(i)*0x200000)
#define SPARE_MEMORY     ARENA(0x01000000) /* frames for any use */
#define SPARE_SIZE       UINT64_C(0x100000)

enum program_index {
    PROGRAM_PAGES,
    PROGRAM_WRITER,
    PROGRAM_EVENTS,
    PROGRAM_FAULT,
    PROGRAM_CLOCK,
    PROGRAM_SMP,
    PROGRAM_STATE,
    PROGRAM_AGAIN,
    PROGRAM_SHARING
};

/* vm_stops.def, as HYPERCALL_VM numbers them. */
enum stop_reason {
    STOP_NONE,
#define VM_STOP(name, text) STOP_##name,
#include "cloudvisor/vm_stops.def"
#undef VM_STOP
    STOP_COUNT
};
extern const char *const stop_names[STOP_COUNT];

/* What ended a run, besides the guest's reports. Low bytes that no report has. */
enum { RUN_DOWN = 0xf0, RUN_REFUSED, RUN_ENDLESS, RUN_LAUNCH_ERROR, RUN_OTHER };

struct victim {
    struct vcpu v;
    unsigned index;
    bool protected;
    uint64_t memory, seed, secret;
    uint64_t slot, id;      /* of the layer's VM; id 0: none yet */
    uint64_t id_before;     /* of the VM launched last before this one */
    uint64_t launch_answer; /* after RUN_LAUNCH_ERROR */
    uint32_t last_exit;
    unsigned exits; /* seen by the host since the start */
    struct vcpu second;
    struct bundle_descriptor *descriptor; /* until the launch */

    /* Departures. False: the exit is not answered, the run ends with RUN_OTHER. */
    bool (*before_answer)(struct victim *vm, uint32_t reason);
    bool (*after_answer)(struct victim *vm, uint32_t reason);
    /* The page at `gpa` is wanted; by default its frame is mapped. */
    bool (*bring)(struct victim *vm, uint64_t gpa);
    uint64_t note[4]; /* of the attack that runs */
};

/* Fills memory, EPT12 and vmcs12, which is current afterwards. Nothing has run; `word` is the program's parameter. */
void victim_build(struct victim *vm, unsigned index, enum program_index program, bool protected, uint64_t word);

/* Runs it until a report, whose code is returned, or until something else ended the run (RUN_...). */
uint32_t victim_run(struct victim *vm);

/* Runs a victim that was built until its first report; true if that says that it is ready. */
bool victim_start(struct victim *vm);

/* Answers the exit that the victim stands at as a decent host; false if it knows none. */
bool victim_answer(struct victim *vm, uint32_t reason);
void victim_skip(void);

/* Maps the victim's own frame; any frame. */
bool victim_bring(struct victim *vm, uint64_t gpa);
void victim_map(struct victim *vm, uint64_t gpa, uint64_t frame, uint64_t flags);

/* A word of the victim's VM as the layer tells it; 0 for plain VMs. */
uint64_t victim_word(const struct victim *vm, enum hypercall_vm_word word);
enum stop_reason victim_stop_reason(const struct victim *vm);

/*
 * The VM ends, whatever became of it: the host takes its region back. False, after a note, if the layer keeps frames
 * of it or gives one back with a secret in it.
 */
bool victim_end(struct victim *vm);

/* Where in the range a secret of the victim lies, or 0. The CPUs' own stacks and the VMCS regions are left out. */
uint64_t victim_search(const struct victim *vm, uint64_t from, uint64_t bytes);

static inline uint64_t *victim_page(const struct victim *vm, uint64_t gpa)
{
    return physical_pointer(vm->memory + gpa);
}

static inline bool victim_is_secret(const struct victim *vm, uint64_t word)
{
    return (word ^ SECRET_KEY) - vm->seed < 0x2000;
}

/* A second vmcs12 in `region`, on the same EPT12, current afterwards, whose guest is in 64-bit mode at `rip`. */
void victim_build_second(struct victim *vm, uint64_t region, uint64_t rip, uint64_t cr3);

/* Runs it to its next report, whose code is returned, or until something else ended the run; current then. */
uint32_t victim_run_second(struct victim *vm);

/* Code for it. */
enum helper { HELPER_READ, HELPER_JOIN, HELPER_LAUNCH };
void victim_place(uint64_t frame, enum helper helper);

/* The region that vCPU `n` runs with. */
uint64_t victim_region(unsigned index, unsigned n);

#endif
