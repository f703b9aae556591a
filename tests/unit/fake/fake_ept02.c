/* SPDX-License-Identifier: GPL-2.0-only */
/* The real ept02.c, included, so that each start begins without the trees of the one before. See fake_layer.h. */
#include <string.h>
#include "fake_layer.h"
#include "ept-guard/ept02.c"

void fake_ept02_forget(void)
{
    ept_reap();
    memset(trees, 0, sizeof(trees));
}

void fake_ept02_visit(ept_visitor visit, void *context)
{
    for (const struct ept02 *t = trees; t < trees + EPT02_MAX; t++) {
        if (t->eptp12 != 0)
            ept_visit(t->tree.root, LEVEL_ROOT, 0, visit, context);
    }
}
