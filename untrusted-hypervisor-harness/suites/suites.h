/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The suites that harness.efi can run. Each prints its results itself and leaves VMX operation off.
 */
#ifndef HARNESS_SUITES_H
#define HARNESS_SUITES_H

/* Conformance: one line per case, to be compared between a bare run and one under the layer. */
void suite_conformance(void);

/* Friendly guests: PASS, FAIL, SKIP. */
void suite_guests(void);

/* Attacks on the layer: PASS, FAIL, SKIP. */
void suite_hostile(void);

/* Attacks on protected VMs, each with a plain VM as its control: PASS, FAIL, ERROR, SKIP (attacks/). */
void suite_attacks(void);

/* Costs of VM exits: BENCHRAW lines. */
void suite_bench(void);

/* Costs of protection, next to the same guests as plain VMs: BENCHRAW lines, under the layer only. */
void suite_bench_protected(void);

/* The families of the conformance suite, in the order in which they run. */
void conformance_capabilities(void);
void conformance_instructions(void);
void conformance_fields(void);
void conformance_operands(void);
void conformance_entry(void);
void conformance_guest(void);
void conformance_exits(void);
void conformance_events(void);
void conformance_ept(void);
void conformance_lists(void);
void conformance_bitmaps(void);
void conformance_host(void);
void conformance_random(void);
void conformance_root(void);

#endif
