/* SPDX-License-Identifier: GPL-2.0-only */
/* Putting the layer into reserved memory, with its page tables and its struct boot_info. */
#ifndef LOADER_LAYER_PLACE_H
#define LOADER_LAYER_PLACE_H

#include "cloudvisor/boot_info.h"
#include "cloudvisor/loader/conf.h"
#include "cloudvisor/loader/cpus.h"
#include "cloudvisor/loader/root_tables.h"

struct layer {
    struct layer_region region;
    struct boot_info *info; /* in the region */
    layer_entry_fn entry;
};

/* Reserves, loads and describes the layer. On an error a message was shown and nothing stays reserved. */
EFI_STATUS layer_place(const struct conf *conf, const struct cpu_list *cpus, bool has_1gib_pages, struct layer *layer);

/* Wipes the region and gives it back. Only while no CPU is demoted. */
void layer_release(struct layer *layer);

#endif
