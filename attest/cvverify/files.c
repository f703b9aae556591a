/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole files in and out. See files.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <mbedtls/platform_util.h>
#include "attest/cvverify/files.h"

static bool complain(const char *path, const char *cause)
{
    fprintf(stderr, "cvverify: %s: %s\n", path, cause);
    return false;
}

/* Reads until the end or until `capacity` is full. */
static ssize_t read_all(int fd, uint8_t *buffer, size_t capacity)
{
    size_t used = 0;

    while (used < capacity) {
        ssize_t got = read(fd, buffer + used, capacity - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static bool read_open_file(int fd, const char *path, size_t limit, struct bytes *content)
{
    struct stat status;
    uint8_t *buffer;
    size_t capacity = limit + 1;
    ssize_t size;

    if (fstat(fd, &status) != 0)
        return complain(path, strerror(errno));
    if (S_ISREG(status.st_mode)) {
        if (status.st_size > (off_t)limit)
            return complain(path, "larger than anything that is accepted here");
        capacity = (size_t)status.st_size + 1;
    }
    buffer = malloc(capacity);
    if (!buffer)
        return complain(path, "no memory");
    size = read_all(fd, buffer, capacity);
    if (size < 0 || (size_t)size > limit || (S_ISREG(status.st_mode) && (size_t)size == capacity)) {
        free(buffer);
        return complain(path, size < 0 ? strerror(errno) : "larger than anything that is accepted here");
    }
    *content = (struct bytes){ buffer, (size_t)size };
    return true;
}

bool file_read(const char *path, size_t limit, struct bytes *content)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool read_well;

    *content = (struct bytes){ NULL, 0 };
    if (fd < 0)
        return complain(path, strerror(errno));
    read_well = read_open_file(fd, path, limit, content);
    close(fd);
    return read_well;
}

void file_release(struct bytes *content)
{
    uint8_t *buffer = (uint8_t *)(uintptr_t)content->data;

    if (buffer)
        mbedtls_platform_zeroize(buffer, content->size);
    free(buffer);
    *content = (struct bytes){ NULL, 0 };
}

static bool write_all(int fd, struct bytes content)
{
    while (content.size) {
        ssize_t put = write(fd, content.data, content.size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        content.data += put;
        content.size -= (size_t)put;
    }
    return fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
}

bool file_write(const char *path, enum file_kind kind, struct bytes content)
{
    char temporary[4096];
    int fd, length = snprintf(temporary, sizeof(temporary), "%s.new-%ld", path, (long)getpid());
    bool well;

    if (length < 0 || (size_t)length >= sizeof(temporary))
        return complain(path, "the name is too long");
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kind == FILE_PRIVATE ? 0600 : 0644);
    if (fd < 0)
        return complain(path, strerror(errno));
    well = write_all(fd, content);
    if (close(fd) != 0 || !well || rename(temporary, path) != 0) {
        complain(path, strerror(errno));
        unlink(temporary);
        return false;
    }
    return true;
}
