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

/* The bytes from `at` on: called for one piece after another, with the same state. A piece begins at a word. */
static void fill_piece(int number, uint64_t *state, uint64_t at, unsigned char *bytes, uint64_t count)
{
    for (uint64_t done = 0; done < count; done += 8) {
        if (catalogue[number].repeating && (at + done) % PAGE == 0)
            *state = (uint64_t)number + 77;
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        uint64_t word = in_hole(number, at + done) ? 0 : *state;
        memcpy(bytes + done, &word, count - done < 8 ? count - done : 8);
    }
}

static uint64_t first_state(int number)
{
    return 0x9e3779b97f4a7c15u * (uint64_t)(number + 1);
}

void source_fill(int number, unsigned char *bytes)
{
    uint64_t state = first_state(number);
    fill_piece(number, &state, 0, bytes, source_size(number));
}

/* In pieces, since a program that makes its source would spend most of its time on fresh memory for the whole. */
static bool write_data(int fd, int number)
{
    static unsigned char piece[64 * KIB];
    uint64_t size = source_size(number), state = first_state(number);
    for (uint64_t at = 0; at < size; at += sizeof piece) {
        uint64_t part = size - at < sizeof piece ? size - at : sizeof piece;
        fill_piece(number, &state, at, piece, part);
        if (!in_hole(number, at) && pwrite(fd, piece, part, (off_t)at) != (ssize_t)part)
            return false;
    }
    return ftruncate(fd, (off_t)size) == 0;
}

bool source_make(int dirfd, const char *name, int number)
{
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool made = fd >= 0 && write_data(fd, number) && fchmod(fd, 0666) == 0;
    if (fd >= 0)
        close(fd);
    return made;
}
