/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Authenticode hash of a PE/COFF image (Microsoft, "Windows Authenticode Portable Executable Signature Format"): what
 * UEFI firmware measures when it loads an application. Signing an image doesn't change it.
 */
#ifndef CVVERIFY_PE_H
#define CVVERIFY_PE_H

#include "attest/cvverify/digest.h"

enum { PE_SIZE_MAX = 256 << 20 };

/* NULL and the digest in `out`, or what is wrong with the image. */
const char *pe_authenticode(struct bytes image, struct digest *out);

#endif
