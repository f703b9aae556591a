/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differential conformance: the families in their order.
 */
#include "untrusted-hypervisor-harness/suites/suites.h"

void suite_conformance(void)
{
    conformance_capabilities();
    conformance_root();
    conformance_instructions();
    conformance_operands();
    conformance_fields();
    conformance_entry();
    conformance_guest();
    conformance_exits();
    conformance_events();
    conformance_ept();
    conformance_lists();
    conformance_bitmaps();
    conformance_host();
    conformance_random();
}
