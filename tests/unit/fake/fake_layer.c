/* SPDX-License-Identifier: GPL-2.0-only */
/* See fake_layer.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cloudvisor/flush.h"
#include "cloudvisor/log.h"
#include "cloudvisor/pool.c" /* for what is left in it */
#include "ept-guard/ept.h"
#include "ept-guard/frames.h"
#include "ept-guard/vm_pages.h"
#include "nested-vmx/nested.h"
#include "fake_layer.h"

unsigned fake_flushes;
uint64_t fake_frame_written;
void (*fake_on_unlock)(void), (*fake_on_flush)(void);

static struct cpu cpu;
static void *frame_table;
static size_t pool_size;
static bool locked;

void fake_layer_start(uint64_t ram_bytes, size_t pool_pages)
{
    uint64_t frames = ram_bytes >> 12;

    fake_reset();
    memset(&cpu, 0, sizeof(cpu));
    cpu.self = &cpu;
    fake_cpu = &cpu;
    fake_flushes = 0;
    fake_frame_written = 0;
    fake_on_unlock = fake_on_flush = NULL;
    locked = false;
    pool_size = pool_pages;
    pool_init(hpa(FAKE_POOL_BASE), pool_pages * 4096);
    free(frame_table);
    frame_table = calloc(1, frames_table_bytes(frames));
    frames_init(frame_table, frames);
    frames_add_ram(0, ram_bytes);
    for (size_t i = 0; i < pool_pages; i++)
        frame_event(hpa(FAKE_POOL_BASE + i * 4096), FRAME_LAYER_TAKE);
}

size_t fake_pool_used(void)
{
    size_t left = (size_t)((end - next) / PAGE_SIZE);

    for (uint64_t page = free_list; page != 0; page = *(const uint64_t *)phys_to_virt(hpa(page)))
        left++;
    return pool_size - left;
}

void flush_all_cpus(struct cpu *on)
{
    (void)on;
    fake_flushes++;
    if (fake_on_flush != NULL)
        fake_on_flush();
    ept_reap();
}

/* Weak: tests of nested VMX bring the real one. */
__attribute__((weak)) void nested_frame_written(hpa_t address)
{
    fake_frame_written = address.raw & ~UINT64_C(0xfff);
}

/* Weak: tests of protected VMs bring the real ones. Here what a VM has is the host's at the first touch. */
__attribute__((weak)) void vm_frame_touched(hpa_t pa)
{
    frame_event(pa, FRAME_VM_RETURN);
}

__attribute__((weak)) void *vm_pages_view(struct vm *vm, uint64_t gpa)
{
    (void)vm, (void)gpa;
    return NULL;
}

bool fake_locked(void)
{
    return locked;
}

void layer_lock(void)
{
    if (locked)
        cv_panic("deadlock");
    locked = true;
}

void layer_unlock(void)
{
    void (*other_cpu)(void) = fake_on_unlock;

    if (!locked)
        cv_panic("not locked");
    locked = false;
    fake_on_unlock = NULL;
    if (other_cpu != NULL)
        other_cpu();
}

void cv_panic(const char *format, ...)
{
    fprintf(stderr, "panic: %s\n", format);
    abort();
}

void cv_log(enum log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

bool log_within_rate(enum log_level level)
{
    (void)level;
    return false;
}
