/* SPDX-License-Identifier: GPL-2.0-only */
/* A signed result for other software: an EAT Attestation Result (EAR) as JSON Web Token, ES256. */
#ifndef CVVERIFY_EAR_H
#define CVVERIFY_EAR_H

#include "attest/cvverify/verify.h"

/* Writes the token to `path`, signed with the EC key on P-256 in `key_path` (PEM). False if that failed, cause printed. */
bool ear_write(const struct verification *v, const char *key_path, const char *path);

#endif
