/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Authenticode hash: headers without check sum and certificate entry, sections in file order, what follows them
 * without the certificates. Images whose parts overlap or leave the file are refused, not guessed at. See pe.h.
 */
#include <stdlib.h>
#include <string.h>
#include <mbedtls/sha256.h>
#include "attest/cvverify/pe.h"

enum {
    DOS_HEADER_SIZE = 64,
    DOS_PE_OFFSET = 60,
    COFF_HEADER_SIZE = 24, /* with the signature */
    SECTION_HEADER_SIZE = 40,
    SECTIONS_MAX = 96,
    OPTIONAL_HEADERS_SIZE = 60,
    OPTIONAL_CHECKSUM = 64,
    MAGIC_PE32 = 0x10b,
    MAGIC_PE32_PLUS = 0x20b,
    CERTIFICATE_ENTRY = 4,
};

struct section {
    uint32_t offset;
    uint32_t size;
};

struct pe {
    struct bytes image;
    size_t checksum;          /* offsets */
    size_t certificate_entry; /* 0: none */
    size_t headers_size;
    size_t certificates_size;
    size_t section_count;
    struct section sections[SECTIONS_MAX];
};

static uint64_t at(struct bytes image, size_t offset, unsigned size)
{
    struct cursor c = cursor_over(image);

    cursor_take(&c, offset);
    return cursor_le(&c, size);
}

static const char *parse_directory(struct pe *pe, size_t optional, size_t optional_size)
{
    uint64_t magic = at(pe->image, optional, 2);
    size_t base = magic == MAGIC_PE32_PLUS ? 112 : 96;
    uint64_t address, size;

    if (magic != MAGIC_PE32_PLUS && magic != MAGIC_PE32)
        return "neither PE32 nor PE32+";
    if (optional_size < base)
        return "its optional header is too small";
    pe->checksum = optional + OPTIONAL_CHECKSUM;
    pe->headers_size = at(pe->image, optional + OPTIONAL_HEADERS_SIZE, 4);
    if (at(pe->image, optional + base - 4, 4) <= CERTIFICATE_ENTRY)
        return NULL;
    if (optional_size < base + 8 * (CERTIFICATE_ENTRY + 1))
        return "its data directory is cut off";
    pe->certificate_entry = optional + base + 8 * CERTIFICATE_ENTRY;
    address = at(pe->image, pe->certificate_entry, 4);
    size = at(pe->image, pe->certificate_entry + 4, 4);
    if (size && address + size != pe->image.size)
        return "its certificates are not at its end";
    pe->certificates_size = size;
    return NULL;
}

static int compare_sections(const void *a, const void *b)
{
    uint32_t left = ((const struct section *)a)->offset, right = ((const struct section *)b)->offset;

    return left < right ? -1 : left > right;
}

static const char *parse_sections(struct pe *pe, size_t table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct section section = {
            .offset = (uint32_t)at(pe->image, table + i * SECTION_HEADER_SIZE + 20, 4),
            .size = (uint32_t)at(pe->image, table + i * SECTION_HEADER_SIZE + 16, 4),
        };

        if (section.size)
            pe->sections[pe->section_count++] = section;
    }
    qsort(pe->sections, pe->section_count, sizeof(pe->sections[0]), compare_sections);
    return NULL;
}

/* Headers, sections and certificates lie one behind the other. */
static const char *check_extents(const struct pe *pe, size_t table_end)
{
    uint64_t end = pe->headers_size;

    if (pe->headers_size < table_end || pe->headers_size > pe->image.size)
        return "its headers' size is impossible";
    for (size_t i = 0; i < pe->section_count; i++) {
        if (pe->sections[i].offset < end)
            return "its sections overlap";
        end = (uint64_t)pe->sections[i].offset + pe->sections[i].size;
    }
    if (end > pe->image.size - pe->certificates_size)
        return "a section lies beyond its end";
    return NULL;
}

static const char *parse(struct pe *pe)
{
    size_t start, optional, optional_size, count;
    const char *error;

    if (pe->image.size < DOS_HEADER_SIZE || pe->image.size > PE_SIZE_MAX || at(pe->image, 0, 2) != 0x5a4d)
        return "not a PE/COFF image";
    start = at(pe->image, DOS_PE_OFFSET, 4);
    if (start > pe->image.size - COFF_HEADER_SIZE || at(pe->image, start, 4) != 0x4550)
        return "not a PE/COFF image";
    count = at(pe->image, start + 6, 2);
    optional = start + COFF_HEADER_SIZE;
    optional_size = at(pe->image, start + 20, 2);
    if (count > SECTIONS_MAX)
        return "it has too many sections";
    if (optional + optional_size + count * SECTION_HEADER_SIZE > pe->image.size)
        return "its headers are cut off";
    error = parse_directory(pe, optional, optional_size);
    if (!error)
        error = parse_sections(pe, optional + optional_size, count);
    return error ? error : check_extents(pe, optional + optional_size + count * SECTION_HEADER_SIZE);
}

static void add(mbedtls_sha256_context *hash, const struct pe *pe, size_t from, size_t to)
{
    if (mbedtls_sha256_update_ret(hash, pe->image.data + from, to - from) != 0)
        abort();
}

static void hash_headers(mbedtls_sha256_context *hash, const struct pe *pe)
{
    add(hash, pe, 0, pe->checksum);
    if (pe->certificate_entry) {
        add(hash, pe, pe->checksum + 4, pe->certificate_entry);
        add(hash, pe, pe->certificate_entry + 8, pe->headers_size);
    } else {
        add(hash, pe, pe->checksum + 4, pe->headers_size);
    }
}

/* What follows the sections counts from the number of bytes hashed so far, as the specification has it. */
static void hash_sections(mbedtls_sha256_context *hash, const struct pe *pe)
{
    size_t hashed = pe->headers_size, end = pe->image.size - pe->certificates_size;

    for (size_t i = 0; i < pe->section_count; i++) {
        add(hash, pe, pe->sections[i].offset, (size_t)pe->sections[i].offset + pe->sections[i].size);
        hashed += pe->sections[i].size;
    }
    if (end > hashed)
        add(hash, pe, hashed, end);
}

const char *pe_authenticode(struct bytes image, struct digest *out)
{
    struct pe pe = { .image = image };
    mbedtls_sha256_context hash;
    const char *error = parse(&pe);

    if (error)
        return error;
    mbedtls_sha256_init(&hash);
    if (mbedtls_sha256_starts_ret(&hash, 0) != 0)
        abort();
    hash_headers(&hash, &pe);
    hash_sections(&hash, &pe);
    if (mbedtls_sha256_finish_ret(&hash, out->byte) != 0)
        abort();
    mbedtls_sha256_free(&hash);
    return NULL;
}
