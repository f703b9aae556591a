/* SPDX-License-Identifier: GPL-2.0-only */
/* The EK's certificate: its key, and its way to a root that the user gave. */
#ifndef CVVERIFY_EK_CHAIN_H
#define CVVERIFY_EK_CHAIN_H

#include <mbedtls/x509_crt.h>
#include "attest/cvverify/evidence.h"

/* The first certificate must be an EK's, valid today, and lead through the others to one of `roots`. */
bool ek_chain_check(const struct evidence *evidence, mbedtls_x509_crt *roots, struct findings *f);

/* The TPM2B_PUBLIC that the first certificate stands for. Returns its length, 0 if there is none. */
size_t ek_chain_public(struct bytes certificate, uint8_t out[]);

#endif
