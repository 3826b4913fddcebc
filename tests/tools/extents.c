/*
 * extents FILE           prints "bytes-with-storage bytes-shared" of a file
 * extents FILE_A FILE_B  prints "bytes-in-common size-of-a size-of-b", where a byte is in common if
 *                        both files keep it in the same place of the disk
 *
 * The kernel's map of the files is the witness here: it knows nothing of who made the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { EXTENTS_A_CALL = 256 };

struct map {
    struct fiemap_extent *extents;
    size_t count;
    uint64_t size;
};

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "extents: %s %s: %s\n", what, path, strerror(errno));
    exit(2);
}

static void append(struct map *map, const struct fiemap *part)
{
    size_t count = map->count + part->fm_mapped_extents;
    struct fiemap_extent *grown = realloc(map->extents, count * sizeof(*grown));

    if (!grown)
        fail("cannot keep the map of", "a file");
    memcpy(grown + map->count, part->fm_extents, part->fm_mapped_extents * sizeof(*grown));
    map->extents = grown;
    map->count = count;
}

static struct map read_map(const char *path)
{
    struct map map = {0};
    struct stat status;
    size_t room = sizeof(struct fiemap) + EXTENTS_A_CALL * sizeof(struct fiemap_extent);
    struct fiemap *request = malloc(room);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t next = 0;

    if (fd < 0 || !request || fstat(fd, &status) < 0)
        fail("cannot open", path);
    map.size = (uint64_t)status.st_size;
    for (;;) {
        const struct fiemap_extent *last;

        memset(request, 0, room);
        request->fm_start = next;
        request->fm_length = FIEMAP_MAX_OFFSET - next;
        request->fm_flags = FIEMAP_FLAG_SYNC;
        request->fm_extent_count = EXTENTS_A_CALL;
        if (ioctl(fd, FS_IOC_FIEMAP, request) < 0)
            fail("cannot map", path);
        if (request->fm_mapped_extents == 0)
            break;
        append(&map, request);
        last = &map.extents[map.count - 1];
        if (last->fe_flags & FIEMAP_EXTENT_LAST)
            break;
        next = last->fe_logical + last->fe_length;
    }
    free(request);
    return map;
}

/* An extent whose place is not told, or that holds no data yet, can be nobody's witness. */
static int has_place(const struct fiemap_extent *extent)
{
    uint32_t none =
        FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_UNWRITTEN;

    return !(extent->fe_flags & none);
}

/* The part of an extent that lies within the file's size. */
static uint64_t end_within(const struct fiemap_extent *extent, uint64_t size)
{
    uint64_t end = extent->fe_logical + extent->fe_length;

    return end < size ? end : size;
}

static uint64_t in_common(const struct map *a, const struct map *b)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            const struct fiemap_extent *x = &a->extents[i];
            const struct fiemap_extent *y = &b->extents[j];
            uint64_t start = x->fe_logical > y->fe_logical ? x->fe_logical : y->fe_logical;
            uint64_t end_x = end_within(x, a->size);
            uint64_t end_y = end_within(y, b->size);
            uint64_t end = end_x < end_y ? end_x : end_y;

            if (start < end && has_place(x) && has_place(y) &&
                x->fe_physical - x->fe_logical == y->fe_physical - y->fe_logical)
                bytes += end - start;
        }
    }
    return bytes;
}

static void print_one(const struct map *map)
{
    uint64_t stored = 0;
    uint64_t shared = 0;

    for (size_t i = 0; i < map->count; i++) {
        stored += map->extents[i].fe_length;
        if (map->extents[i].fe_flags & FIEMAP_EXTENT_SHARED)
            shared += map->extents[i].fe_length;
    }
    printf("%llu %llu\n", (unsigned long long)stored, (unsigned long long)shared);
}

int main(int argc, char **argv)
{
    struct map a, b;

    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: extents FILE [FILE]\n");
        return 2;
    }
    a = read_map(argv[1]);
    if (argc == 2) {
        print_one(&a);
        return 0;
    }
    b = read_map(argv[2]);
    printf("%llu %llu %llu\n", (unsigned long long)in_common(&a, &b), (unsigned long long)a.size,
           (unsigned long long)b.size);
    return 0;
}
