/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ELF writer and reader of bundles, and the launch digest. The reader doesn't trust the file: every offset is checked
 * before it is used, and whatever cvbundle doesn't write is refused.
 */
#include <elf.h>
#include <mbedtls/sha256.h>
#include <string.h>
#include "cloudvisor/bundle/image.h"

#define NOTE_PVH_ENTRY   18u /* XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_DESCRIPTOR  1u
#define FIRST_SEGMENT_AT 8192u /* QEMU looks for other boot formats in the first 8 KiB */

struct notes {
    Elf64_Nhdr pvh_head;
    char pvh_name[4];
    uint64_t pvh_entry __attribute__((packed));
    Elf64_Nhdr own_head;
    char own_name[12];
    uint64_t descriptor_gpa __attribute__((packed));
    uint8_t digest[BUNDLE_DIGEST_BYTES];
};

_Static_assert(sizeof(struct notes) == 12 + 4 + 8 + 12 + 12 + 8 + 32, "notes have no gaps");

static const char own_name[12] = "CloudVisor";

static uint64_t padded(uint64_t size)
{
    return (size + BUNDLE_PAGE_SIZE - 1) / BUNDLE_PAGE_SIZE * BUNDLE_PAGE_SIZE;
}

static void fill_headers(const struct image *image, Elf64_Ehdr *header, Elf64_Phdr *segments)
{
    uint64_t at = FIRST_SEGMENT_AT;

    memcpy(header->e_ident, ELFMAG, SELFMAG);
    header->e_ident[EI_CLASS] = ELFCLASS64;
    header->e_ident[EI_DATA] = ELFDATA2LSB;
    header->e_ident[EI_VERSION] = EV_CURRENT;
    header->e_type = ET_EXEC;
    header->e_machine = EM_X86_64;
    header->e_version = EV_CURRENT;
    header->e_entry = image->pvh_entry;
    header->e_phoff = sizeof(*header);
    header->e_ehsize = sizeof(*header);
    header->e_phentsize = sizeof(*segments);
    header->e_phnum = (Elf64_Half)(image->segment_count + 1);
    segments[0] = (Elf64_Phdr){ .p_type = PT_NOTE,
                                .p_flags = PF_R,
                                .p_offset = sizeof(*header) + sizeof(*segments) * header->e_phnum,
                                .p_filesz = sizeof(struct notes),
                                .p_memsz = sizeof(struct notes),
                                .p_align = 4 };
    for (uint32_t i = 0; i < image->segment_count; i++) {
        uint64_t size = padded(image->segments[i].size);

        segments[i + 1] = (Elf64_Phdr){ .p_type = PT_LOAD,
                                        .p_flags = PF_R | PF_W | PF_X,
                                        .p_offset = at,
                                        .p_vaddr = image->segments[i].gpa,
                                        .p_paddr = image->segments[i].gpa,
                                        .p_filesz = size,
                                        .p_memsz = size,
                                        .p_align = BUNDLE_PAGE_SIZE };
        at += size;
    }
}

static bool put(FILE *file, const void *bytes, size_t size)
{
    return !size || fwrite(bytes, size, 1, file) == 1;
}

static bool put_zeros(FILE *file, size_t size)
{
    static const uint8_t zeros[FIRST_SEGMENT_AT];

    return put(file, zeros, size);
}

bool image_write(const struct image *image, FILE *file)
{
    Elf64_Ehdr header = { 0 };
    Elf64_Phdr segments[IMAGE_SEGMENT_MAX + 1] = { 0 };
    struct notes notes = { .pvh_head = { 4, 8, NOTE_PVH_ENTRY },
                           .pvh_name = "Xen",
                           .pvh_entry = image->pvh_entry,
                           .own_head = { sizeof(own_name), 8 + BUNDLE_DIGEST_BYTES, NOTE_DESCRIPTOR },
                           .descriptor_gpa = image->descriptor_gpa };
    size_t heads;

    memcpy(notes.own_name, own_name, sizeof(own_name));
    memcpy(notes.digest, image->digest, sizeof(notes.digest));
    fill_headers(image, &header, segments);
    heads = sizeof(header) + sizeof(segments[0]) * header.e_phnum;
    if (!put(file, &header, sizeof(header)) || !put(file, segments, heads - sizeof(header)) ||
        !put(file, &notes, sizeof(notes)) || !put_zeros(file, FIRST_SEGMENT_AT - heads - sizeof(notes)))
        return false;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];

        if (!put(file, segment->bytes, segment->size) || !put_zeros(file, padded(segment->size) - segment->size))
            return false;
    }
    return true;
}

static bool refuse(char *message, const char *reason)
{
    snprintf(message, IMAGE_MESSAGE_MAX, "%s", reason);
    return false;
}

static bool within(size_t size, uint64_t offset, uint64_t length)
{
    return offset <= size && length <= size - offset;
}

static bool read_notes(const uint8_t *file, size_t size, const Elf64_Phdr *segment, struct image *image, char *message)
{
    struct notes notes;

    if (segment->p_filesz != sizeof(notes) || !within(size, segment->p_offset, sizeof(notes)))
        return refuse(message, "its notes are not a bundle's");
    memcpy(&notes, file + segment->p_offset, sizeof(notes));
    if (notes.pvh_head.n_type != NOTE_PVH_ENTRY || notes.own_head.n_type != NOTE_DESCRIPTOR ||
        memcmp(notes.own_name, own_name, sizeof(own_name)) != 0)
        return refuse(message, "its notes are not a bundle's");
    image->pvh_entry = notes.pvh_entry;
    image->descriptor_gpa = notes.descriptor_gpa;
    memcpy(image->digest, notes.digest, sizeof(notes.digest));
    return true;
}

static bool read_segment(const uint8_t *file, size_t size, const Elf64_Phdr *segment, struct image *image,
                         char *message)
{
    struct image_segment *next = &image->segments[image->segment_count];
    uint64_t previous_end = image->segment_count ? next[-1].gpa + next[-1].size : 0;

    if (segment->p_filesz != segment->p_memsz || !segment->p_filesz || segment->p_filesz % BUNDLE_PAGE_SIZE ||
        segment->p_paddr % BUNDLE_PAGE_SIZE || !within(size, segment->p_offset, segment->p_filesz))
        return refuse(message, "a segment is not whole pages of the file");
    if (segment->p_paddr >= BUNDLE_GPA_LIMIT || segment->p_filesz > BUNDLE_GPA_LIMIT - segment->p_paddr ||
        segment->p_paddr < previous_end)
        return refuse(message, "the segments overlap, descend or are too high");
    *next = (struct image_segment){ segment->p_paddr, file + segment->p_offset, segment->p_filesz };
    image->segment_count++;
    return true;
}

bool image_read(const uint8_t *file, size_t size, struct image *image, char message[IMAGE_MESSAGE_MAX])
{
    Elf64_Ehdr header;
    bool notes = false;

    memset(image, 0, sizeof(*image));
    if (size < sizeof(header))
        return refuse(message, "the file is too short");
    memcpy(&header, file, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_machine != EM_X86_64)
        return refuse(message, "not an x86-64 ELF file");
    if (header.e_phentsize != sizeof(Elf64_Phdr) || !header.e_phnum || header.e_phnum > IMAGE_SEGMENT_MAX + 1 ||
        !within(size, header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr)))
        return refuse(message, "its program headers are not a bundle's");
    for (uint32_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, file + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type == PT_NOTE && !notes)
            notes = read_notes(file, size, &segment, image, message);
        else if (segment.p_type != PT_LOAD || image->segment_count == IMAGE_SEGMENT_MAX)
            return refuse(message, "its program headers are not a bundle's");
        else if (!read_segment(file, size, &segment, image, message))
            return false;
    }
    return notes || refuse(message, "it has no bundle's notes");
}

const uint8_t *image_page(const struct image *image, uint64_t gpa, uint8_t scratch[BUNDLE_PAGE_SIZE])
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        uint64_t offset = gpa - segment->gpa;

        if (gpa < segment->gpa || offset >= segment->size)
            continue;
        if (segment->size - offset >= BUNDLE_PAGE_SIZE)
            return segment->bytes + offset;
        memset(scratch, 0, BUNDLE_PAGE_SIZE);
        memcpy(scratch, segment->bytes + offset, (size_t)(segment->size - offset));
        return scratch;
    }
    return NULL;
}

static bool hash_range(mbedtls_sha256_context *hash, const struct image *image, const struct bundle_range *range)
{
    const struct bundle_digest_range record = { range->gpa, range->page_count };
    uint8_t scratch[BUNDLE_PAGE_SIZE];

    mbedtls_sha256_update_ret(hash, (const uint8_t *)&record, sizeof(record));
    for (uint64_t i = 0; i < range->page_count; i++) {
        const uint8_t *page = image_page(image, range->gpa + i * BUNDLE_PAGE_SIZE, scratch);

        if (!page)
            return false;
        mbedtls_sha256_update_ret(hash, page, BUNDLE_PAGE_SIZE);
    }
    return true;
}

bool image_digest(const struct image *image, const struct bundle_descriptor *descriptor,
                  uint8_t digest[BUNDLE_DIGEST_BYTES])
{
    struct bundle_digest_header header = { .magic = BUNDLE_DIGEST_MAGIC,
                                           .version = BUNDLE_VERSION,
                                           .descriptor_gpa = descriptor->gpa };
    mbedtls_sha256_context hash;
    bool complete = true;

    for (uint32_t i = 0; i < descriptor->range_count; i++)
        if (descriptor->ranges[i].kind == BUNDLE_MEASURED) {
            header.measured_count++;
            header.page_count += descriptor->ranges[i].page_count;
        }
    mbedtls_sha256_init(&hash);
    mbedtls_sha256_starts_ret(&hash, 0);
    mbedtls_sha256_update_ret(&hash, (const uint8_t *)&header, sizeof(header));
    for (uint32_t i = 0; i < descriptor->range_count && complete; i++)
        if (descriptor->ranges[i].kind == BUNDLE_MEASURED)
            complete = hash_range(&hash, image, &descriptor->ranges[i]);
    mbedtls_sha256_finish_ret(&hash, digest);
    mbedtls_sha256_free(&hash);
    return complete;
}
