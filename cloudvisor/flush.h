/* SPDX-License-Identifier: GPL-2.0-only */
/* Making sure that no CPU uses an old translation. */
#ifndef CLOUDVISOR_FLUSH_H
#define CLOUDVISOR_FLUSH_H

#include "cloudvisor/cpu.h"

/*
 * Returns when no CPU can use a translation from an EPT as it was before the call, and frees the tables that were
 * taken out of use. The caller holds layer_lock; other CPUs are kicked out of non-root mode if they are there.
 */
void flush_all_cpus(struct cpu *cpu);

#endif
