/* SPDX-License-Identifier: GPL-2.0-only
 *
 * A test guest that measures itself (bench.c).
 */
#ifndef CV_TESTS_BENCH_H
#define CV_TESTS_BENCH_H

/* Prints lines "CVG bench NAME TICKS", ticks of the TSC per operation. What this kernel does not allow is left out. */
void bench(void);

#endif
