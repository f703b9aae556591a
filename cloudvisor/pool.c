/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages not yet handed out lie between `next` and `end`; returned ones are linked through their first word. */
#include <string.h>
#include "cloudvisor/cpu.h"
#include "cloudvisor/pool.h"

static uint64_t next, end;
static uint64_t free_list;

void pool_init(hpa_t base, uint64_t bytes)
{
    next = base.raw;
    end = base.raw + bytes;
    free_list = 0;
}

hpa_t pool_alloc(void)
{
    uint64_t page = free_list;

    if (page != 0) {
        free_list = phys_read64(hpa(page));
    } else if (next < end) {
        page = next;
        next += PAGE_SIZE;
    } else {
        return hpa(0);
    }
    memset(phys_to_virt(hpa(page)), 0, PAGE_SIZE);
    return hpa(page);
}

void *pool_alloc_bytes(size_t bytes)
{
    uint64_t size = (bytes + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
    void *memory;

    if (size > end - next)
        return NULL;
    memory = phys_to_virt(hpa(next));
    next += size;
    memset(memory, 0, size);
    return memory;
}

void pool_free(hpa_t page)
{
    phys_write64(page, free_list);
    free_list = page.raw;
}
