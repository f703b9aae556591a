/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the hostile suite must be told by the firmware's side.
 */
#ifndef HARNESS_HOSTILE_H
#define HARNESS_HOSTILE_H

#include <stdint.h>

/* Memory that is reserved in the EFI memory map and reads all-ones: the layer's. Size 0 if there is none. */
extern uint64_t hostile_layer_memory, hostile_layer_size;
/* Where the firmware's memory ends. */
extern uint64_t hostile_memory_top;

/* Sleep, the local APIC, memory types. */
void hostile_platform(void);

#endif
