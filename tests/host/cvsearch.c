/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What the host's root can do to a VM's memory, a static program in the initramfs:
 *   physical PATTERN [KCORE]      search all of the host's RAM, by /proc/kcore or what stands for it
 *   process PATTERN PID           search all memory of a process, by /proc/PID/mem
 *   remote PATTERN PID            likewise, by process_vm_readv
 *   devmem PATTERN                search what /dev/mem gives of RAM
 *   file PATTERN FILE             search a file
 *   overwrite PID MIB OFFSET      fill the page at this offset (0x...) of a QEMU's guest memory of MIB MiB
 * PATTERN is a file whose bytes are XORed with A5h; it is unmasked nowhere, and the buffer's own pages are left out, so
 * that the search doesn't find itself. Prints one line, "CV-SEARCH source=... bytes=... unreadable=... hits=...". A hit
 * may be counted once more where the kernel has copied it for us. Exit code 0: done, whatever was found; 1: not done.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MASK             0xa5u
#define PAGE             4096u
#define CHUNK            (16u * PAGE)
#define PROGRESS         (64u << 20)
#define PATTERN_MAX      256u
#define PATTERN_MIN      8u
#define KERNEL_TEXT_BASE 0xffffffff80000000u
#define FILLING          0x5a
#define PAGEMAP_PRESENT  (1ull << 63)
#define PAGEMAP_FRAME    ((1ull << 55) - 1)

struct pattern {
    uint8_t masked[PATTERN_MAX];
    size_t size;
};

/* The last bytes of a chunk stay before the next one, so that a hit across the border is found once. */
struct search {
    struct pattern pattern;
    uint8_t *buffer; /* PATTERN_MAX bytes of carry in its first page, then CHUNK bytes */
    size_t carried;
    uint64_t own_frames[CHUNK / PAGE + 1];
    uint64_t bytes, unreadable, hits;
    pid_t remote; /* whose memory is read by process_vm_readv, or 0 */
};

static int usage(void)
{
    fprintf(stderr, "usage: cvsearch physical PATTERN [KCORE] | process PATTERN PID | remote PATTERN PID | "
                    "devmem PATTERN | file PATTERN FILE | overwrite PID MIB OFFSET\n");
    return 1;
}

static int complain(const char *what)
{
    fprintf(stderr, "cvsearch: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    return 1;
}

static bool read_pattern(const char *path, struct pattern *pattern)
{
    FILE *file = fopen(path, "rbe");

    if (!file)
        return false;
    pattern->size = fread(pattern->masked, 1, sizeof(pattern->masked), file);
    fclose(file);
    errno = 0;
    return pattern->size >= PATTERN_MIN;
}

static bool matches(const uint8_t *at, const struct pattern *pattern)
{
    for (size_t i = 0; i < pattern->size; i++)
        if ((at[i] ^ MASK) != pattern->masked[i])
            return false;
    return true;
}

static uint64_t count_matches(const uint8_t *data, size_t size, const struct pattern *pattern)
{
    const uint8_t *end = data + size;
    uint64_t count = 0;

    while ((size_t)(end - data) >= pattern->size) {
        data = memchr(data, pattern->masked[0] ^ MASK, (size_t)(end - data) - pattern->size + 1);
        if (!data)
            break;
        count += matches(data, pattern);
        data++;
    }
    return count;
}

static uint8_t *chunk_of(struct search *search)
{
    return search->buffer + PAGE;
}

/* For the one who waits: a protected VM's pages are encrypted one by one as we read them. */
static void show_progress(uint64_t before, uint64_t after)
{
    if (before / PROGRESS != after / PROGRESS)
        fprintf(stderr, "cvsearch: %" PRIu64 " MiB\n", after >> 20);
}

/* Counts what lies in the first `size` bytes of the chunk and in the carry. */
static void look(struct search *search, size_t size)
{
    uint8_t *chunk = chunk_of(search), *from = chunk - search->carried;
    size_t all = search->carried + size, keep = search->pattern.size - 1;

    show_progress(search->bytes, search->bytes + size);
    search->bytes += size;
    search->hits += count_matches(from, all, &search->pattern);
    search->carried = all < keep ? all : keep;
    memmove(chunk - search->carried, from + all - search->carried, search->carried);
}

static ssize_t read_piece(struct search *search, int fd, uint64_t offset, size_t size)
{
    struct iovec here = { chunk_of(search), size }, there = { (void *)(uintptr_t)offset, size };

    if (search->remote)
        return process_vm_readv(search->remote, &here, 1, &there, 1, 0);
    return pread(fd, chunk_of(search), size, (off_t)offset);
}

/* Reads from a file of memory; page by page where a whole piece can't be read. */
static void search_range(struct search *search, int fd, uint64_t offset, uint64_t size)
{
    while (size > 0) {
        size_t wanted = size < CHUNK ? (size_t)size : CHUNK;
        ssize_t count = read_piece(search, fd, offset, wanted);

        if (count <= 0) {
            wanted = PAGE - offset % PAGE < wanted ? PAGE - (size_t)(offset % PAGE) : wanted;
            count = read_piece(search, fd, offset, wanted);
        }
        if (count <= 0) {
            search->carried = 0;
            search->unreadable += wanted;
            count = (ssize_t)wanted;
        } else {
            look(search, (size_t)count);
        }
        offset += (uint64_t)count;
        size -= (uint64_t)count;
    }
    search->carried = 0;
}

static bool prepare(struct search *search, const char *path)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    if (!read_pattern(path, &search->pattern)) {
        complain(path);
        return false;
    }
    search->buffer = mmap(NULL, PAGE + CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    if (search->buffer == MAP_FAILED || fd < 0) {
        complain("buffer");
        return false;
    }
    memset(search->buffer, 0, PAGE + CHUNK);
    if (pread(fd, search->own_frames, sizeof(search->own_frames), (off_t)((uintptr_t)search->buffer / PAGE * 8)) !=
        sizeof(search->own_frames)) {
        complain("/proc/self/pagemap");
        return false;
    }
    for (size_t i = 0; i < sizeof(search->own_frames) / 8; i++)
        search->own_frames[i] = search->own_frames[i] & PAGEMAP_PRESENT ? search->own_frames[i] & PAGEMAP_FRAME : 0;
    close(fd);
    return true;
}

/* Also leaves nothing of what was read. */
static int report(const struct search *search, const char *source)
{
    explicit_bzero(search->buffer, PAGE + CHUNK);
    printf("CV-SEARCH source=%s bytes=%" PRIu64 " unreadable=%" PRIu64 " hits=%" PRIu64 "\n", source, search->bytes,
           search->unreadable, search->hits);
    return search->bytes ? 0 : 1;
}

/* The first of the buffer's own pages from `address` on and before `end`, or `end`. */
static uint64_t next_own_page(const struct search *search, uint64_t address, uint64_t end)
{
    for (size_t i = 0; i < sizeof(search->own_frames) / 8; i++) {
        uint64_t own = search->own_frames[i] * PAGE;

        if (own && own >= address && own < end)
            end = own;
    }
    return end;
}

static void search_ram(struct search *search, int fd, const Elf64_Phdr *segment)
{
    uint64_t address = segment->p_paddr, end = address + segment->p_filesz;

    while (address < end) {
        uint64_t stop = next_own_page(search, address, end);

        search_range(search, fd, segment->p_offset + address - segment->p_paddr, stop - address);
        address = stop < end ? stop + PAGE : end;
    }
}

/* RAM is what has a physical address; the kernel's text has one too, and is in RAM once more. */
static bool is_ram(const Elf64_Phdr *segment)
{
    return segment->p_type == PT_LOAD && segment->p_paddr != UINT64_MAX && segment->p_vaddr < KERNEL_TEXT_BASE;
}

static int command_physical(const char *pattern, const char *kcore)
{
    static struct search search;
    Elf64_Ehdr header;
    int fd = open(kcore, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header))
        return complain(kcore);
    if (!prepare(&search, pattern))
        return 1;
    for (unsigned int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        if (pread(fd, &segment, sizeof(segment), (off_t)(header.e_phoff + i * sizeof(segment))) != sizeof(segment))
            return complain(kcore);
        if (is_ram(&segment))
            search_ram(&search, fd, &segment);
    }
    close(fd);
    return report(&search, "physical");
}

static int open_memory(const char *pid, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/mem", pid);
    return open(path, flags | O_CLOEXEC);
}

static FILE *open_maps(const char *pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/maps", pid);
    return fopen(path, "re");
}

struct mapping {
    uint64_t begin, end, inode;
    char permissions[8];
};

static bool next_mapping(FILE *maps, struct mapping *mapping)
{
    char line[512];

    if (!fgets(line, sizeof(line), maps))
        return false;
    return sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %" SCNu64, &mapping->begin, &mapping->end,
                  mapping->permissions, &mapping->inode) == 4;
}

static int command_process(const char *pattern, const char *pid, bool remote)
{
    static struct search search;
    struct mapping mapping;
    FILE *maps = open_maps(pid);
    int fd = open_memory(pid, O_RDONLY);

    if (!maps || fd < 0)
        return complain(pid);
    if (!prepare(&search, pattern))
        return 1;
    search.remote = remote ? (pid_t)strtol(pid, NULL, 10) : 0;
    while (next_mapping(maps, &mapping))
        if (mapping.permissions[0] == 'r' && mapping.begin < UINT64_MAX / 2)
            search_range(&search, fd, mapping.begin, mapping.end - mapping.begin);
    fclose(maps);
    close(fd);
    return report(&search, remote ? "remote" : "process");
}

/* Only RAM: reading device registers may have effects. */
static int command_devmem(const char *pattern)
{
    static struct search search;
    FILE *ranges = fopen("/proc/iomem", "re");
    int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
    uint64_t begin, end;
    char line[256];

    if (fd < 0 || !ranges)
        return complain("/dev/mem");
    if (!prepare(&search, pattern))
        return 1;
    while (fgets(line, sizeof(line), ranges))
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " : System RAM", &begin, &end) == 2 && line[0] != ' ' &&
            strstr(line, "System RAM"))
            search_range(&search, fd, begin, end + 1 - begin);
    fclose(ranges);
    close(fd);
    report(&search, "devmem");
    return search.bytes + search.unreadable ? 0 : 1;
}

static int command_file(const char *pattern, const char *path)
{
    static struct search search;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

    if (size < 0)
        return complain(path);
    if (!prepare(&search, pattern))
        return 1;
    search_range(&search, fd, 0, (uint64_t)size);
    close(fd);
    return report(&search, "file");
}

/* The smallest writable anonymous mapping that can hold the guest's memory; 0 if there is none. */
static uint64_t find_guest_memory(FILE *maps, uint64_t size)
{
    struct mapping mapping;
    uint64_t best = 0, best_size = UINT64_MAX;

    while (next_mapping(maps, &mapping)) {
        uint64_t mapped = mapping.end - mapping.begin;

        if (mapping.inode == 0 && !strncmp(mapping.permissions, "rw", 2) && mapped >= size && mapped < best_size) {
            best = mapping.begin;
            best_size = mapped;
        }
    }
    return best;
}

static int command_overwrite(const char *pid, const char *mib, const char *offset_text)
{
    uint64_t size = strtoull(mib, NULL, 10) << 20, offset = strtoull(offset_text, NULL, 0) & ~(uint64_t)(PAGE - 1);
    FILE *maps = open_maps(pid);
    int fd = open_memory(pid, O_RDWR);
    uint8_t page[PAGE];
    uint64_t base;

    if (!maps || fd < 0)
        return complain(pid);
    base = find_guest_memory(maps, size);
    fclose(maps);
    errno = 0;
    if (!base || offset >= size)
        return complain("guest memory");
    memset(page, FILLING, sizeof(page));
    if (pwrite(fd, page, sizeof(page), (off_t)(base + offset)) != sizeof(page))
        return complain("write");
    printf("CV-OVERWRITE offset=0x%" PRIx64 "\n", offset);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if ((argc == 3 || argc == 4) && !strcmp(command, "physical"))
        return command_physical(argv[2], argc == 4 ? argv[3] : "/proc/kcore");
    if (argc == 4 && !strcmp(command, "process"))
        return command_process(argv[2], argv[3], false);
    if (argc == 4 && !strcmp(command, "remote"))
        return command_process(argv[2], argv[3], true);
    if (argc == 3 && !strcmp(command, "devmem"))
        return command_devmem(argv[2]);
    if (argc == 4 && !strcmp(command, "file"))
        return command_file(argv[2], argv[3]);
    if (argc == 5 && !strcmp(command, "overwrite"))
        return command_overwrite(argv[2], argv[3], argv[4]);
    return usage();
}
