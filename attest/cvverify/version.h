/* SPDX-License-Identifier: GPL-2.0-only */
/* The version of cvverify itself; that of the layer is in the measurements. */
#ifndef CVVERIFY_VERSION_H
#define CVVERIFY_VERSION_H

#define CVVERIFY_VERSION "0.1.0"

#endif
