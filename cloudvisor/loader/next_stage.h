/* SPDX-License-Identifier: GPL-2.0-only */
/* Starting the next EFI application. */
#ifndef LOADER_NEXT_STAGE_H
#define LOADER_NEXT_STAGE_H

#include "cloudvisor/loader/conf.h"
#include "cloudvisor/loader/firmware.h"

/*
 * Loads conf->next from the loader's own volume and runs it with conf->args. Returns its status if it comes back,
 * or the error, after a message, if it could not be loaded.
 */
EFI_STATUS next_stage_run(const struct conf *conf);

#endif
