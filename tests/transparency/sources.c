/* The catalogue of source files. They are made once and grow old, since a library may rightly leave
 * alone a file that changed a moment ago; their bytes follow from their number alone. */
#include "program.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KIB = 1024, PAGE = 4096 };

static const struct {
    uint32_t size;
    uint8_t holes;     /* every second group of 64 KiB is a hole */
    uint8_t repeating; /* every page the same: offsets cannot be told apart by their bytes */
} catalogue[SOURCES] = {
    {64 * KIB, 0, 0},   {128 * KIB + 1, 0, 0},    {200000, 0, 0},     {256 * KIB, 0, 0},       {300001, 0, 0},
    {512 * KIB, 0, 0},  {512 * KIB + 4095, 0, 0}, {1024 * KIB, 0, 0}, {1024 * KIB, 1, 0},      {700000, 1, 0},
    {4096 * KIB, 0, 0}, {2048 * KIB + 777, 0, 0}, {256 * KIB, 0, 1},  {400 * KIB + 100, 0, 1},
};

uint64_t source_size(int number)
{
    return catalogue[number].size;
}

bool source_has_holes(int number)
{
    return catalogue[number].holes;
}

static bool in_hole(int number, uint64_t offset)
{
    return catalogue[number].holes && (offset / (64 * KIB)) % 2 == 1;
}

void source_fill(int number, unsigned char *bytes)
{
    uint64_t state = 0x9e3779b97f4a7c15u * (uint64_t)(number + 1), size = source_size(number);
    for (uint64_t at = 0; at < size; at += 8) {
        if (catalogue[number].repeating && at % PAGE == 0)
            state = (uint64_t)number + 77;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t word = in_hole(number, at) ? 0 : state;
        memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
    }
}

static bool write_data(int fd, int number, const unsigned char *bytes)
{
    uint64_t size = source_size(number), step = 64 * KIB;
    for (uint64_t at = 0; at < size; at += step) {
        uint64_t part = size - at < step ? size - at : step;
        if (!in_hole(number, at) && pwrite(fd, bytes + at, part, (off_t)at) != (ssize_t)part)
            return false;
    }
    return ftruncate(fd, (off_t)size) == 0;
}

bool source_make(int dirfd, const char *name, int number)
{
    unsigned char *bytes = malloc(source_size(number) + 8);
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool made = bytes && fd >= 0;
    if (made) {
        source_fill(number, bytes);
        made = write_data(fd, number, bytes) && fchmod(fd, 0666) == 0;
    }
    if (fd >= 0)
        close(fd);
    free(bytes);
    return made;
}
