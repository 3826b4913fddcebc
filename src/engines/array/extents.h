/* Where on its device a file's bytes lie (FIEMAP, Documentation/filesystems/fiemap.rst). */
#ifndef LIBOFFLOAD_EXTENTS_H
#define LIBOFFLOAD_EXTENTS_H

#include <linux/fiemap.h>
#include <stdbool.h>
#include <stdint.h>

/* As many as one look gives. */
#define EXTENTS 32

/* Bytes of a file that have written blocks, one behind the other on the device. All in bytes. */
struct extent {
    uint64_t at, n, on_device;
};

/* A part of a file, from `from` up to `end`. What none of the extents has is a hole, or blocks that read as zeros. */
struct extent_map {
    uint64_t from, end;
    unsigned count;
    struct extent list[EXTENTS]; /* in order, within the part */
};

enum extent_use { EXTENT_SOURCE, EXTENT_DESTINATION };

/*
 * Writes back what is dirty of the file, and maps the n bytes from `from` on, or fewer if they have more extents. 0, or
 * a negative errno: -EOPNOTSUPP if there are blocks which are not simply the file's own at a known place.
 */
int extents_map(int fd, uint64_t from, uint64_t n, enum extent_use use, struct extent_map *map);

/*
 * As extents_map(), of a block device itself that has `size` bytes: they lie where they are. What is dirty of them in the
 * device's page cache is written back, and no more; whoever has written it is told by their own fsync(2) if that fails.
 * `claim` is a claim's descriptor (claim.h), both offsets multiples of the device's logical block.
 */
int extents_of_device(int claim, uint64_t size, uint64_t from, uint64_t n, struct extent_map *map);

/* What extents_map() makes of the kernel's answer for the n bytes from `from` on; for it and for tests. */
int extents_take(const struct fiemap_extent *found, unsigned count, uint64_t from, uint64_t n, enum extent_use use,
                 struct extent_map *map);

/*
 * Whether the byte at `at`, which the map covers, has a written block; *n receives for how many bytes from there on
 * that is so.
 */
bool extents_written(const struct extent_map *map, uint64_t at, uint64_t *n);

/* The place on the device of the byte at `at`, which has one; *n: how many bytes follow it there. */
uint64_t extents_place(const struct extent_map *map, uint64_t at, uint64_t *n);

#endif
