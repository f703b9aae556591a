/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole files in and out, size-limited. Buffers of secrets are wiped when released. */
#ifndef CVVERIFY_FILES_H
#define CVVERIFY_FILES_H

#include "attest/cvverify/cursor.h"

/* Reads up to `limit` bytes. On failure prints the cause to stderr and returns false. Release with file_release(). */
bool file_read(const char *path, size_t limit, struct bytes *content);
void file_release(struct bytes *content);

enum file_kind { FILE_PUBLIC, FILE_PRIVATE };

/*
 * Writes a new file beside `path` and renames it, so that a failure leaves no half file. Private ones have mode 0600.
 * On failure prints the cause and returns false.
 */
bool file_write(const char *path, enum file_kind kind, struct bytes content);

#endif
