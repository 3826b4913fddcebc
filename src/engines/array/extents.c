#include "extents.h"

#include "../../core/syscalls.h"

#include <errno.h>
#include <linux/fs.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

struct answer {
    struct fiemap head;
    struct fiemap_extent extents[EXTENTS];
};

/* Blocks that are there to be written and read as zeros until then; of a file that is written back, none is on its way. */
static bool reads_as_zeros(uint32_t flags, enum extent_use use)
{
    uint32_t unwritten = FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED;
    /* XFS keeps room behind a file's end that has no place yet. */
    uint32_t without_place = unwritten | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN;
    if (use == EXTENT_DESTINATION && flags & FIEMAP_EXTENT_DELALLOC)
        return !(flags & ~without_place);
    return flags & FIEMAP_EXTENT_UNWRITTEN && !(flags & ~unwritten);
}

/* Blocks that hold what the file holds, at the place that is told. The source's may be those of other files too. */
static bool is_written(uint32_t flags, enum extent_use use)
{
    uint32_t known = FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED;
    if (use == EXTENT_SOURCE)
        known |= FIEMAP_EXTENT_SHARED;
    return !(flags & ~known);
}

/* Cut to the part of the map; false if nothing is left. */
static bool clip(const struct fiemap_extent *found, const struct extent_map *map, struct extent *extent)
{
    uint64_t at = found->fe_logical, end = at + found->fe_length;
    uint64_t cut = at < map->from ? map->from - at : 0;
    if (end > map->end)
        end = map->end;
    if (at + cut >= end)
        return false;
    *extent = (struct extent){at + cut, end - at - cut, found->fe_physical + cut};
    return true;
}

int extents_take(const struct fiemap_extent *found, unsigned count, uint64_t from, uint64_t n, enum extent_use use,
                 struct extent_map *map)
{
    *map = (struct extent_map){.from = from, .end = from + n};
    uint64_t before = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct fiemap_extent *e = &found[i];
        if (e->fe_logical < before || e->fe_length > UINT64_MAX - e->fe_logical)
            return -EIO;
        before = e->fe_logical + e->fe_length;
        if (reads_as_zeros(e->fe_flags, use))
            continue;
        if (!is_written(e->fe_flags, use))
            return -EOPNOTSUPP;
        map->count += clip(e, map, &map->list[map->count]);
    }
    /* More may follow where the answer ended for want of room. */
    if (count == EXTENTS && before < map->end && !(found[count - 1].fe_flags & FIEMAP_EXTENT_LAST))
        map->end = before;
    return map->end > map->from ? 0 : -EIO;
}

int extents_map(int fd, uint64_t from, uint64_t n, enum extent_use use, struct extent_map *map)
{
    struct answer answer;
    memset(&answer.head, 0, sizeof answer.head);
    answer.head.fm_start = from;
    answer.head.fm_length = n;
    answer.head.fm_flags = FIEMAP_FLAG_SYNC;
    answer.head.fm_extent_count = EXTENTS;
    long result = KERNEL(SYS_ioctl, fd, FS_IOC_FIEMAP, &answer);
    if (result < 0)
        return (int)result;
    if (answer.head.fm_mapped_extents > EXTENTS)
        return -EIO;
    return extents_take(answer.extents, answer.head.fm_mapped_extents, from, n, use, map);
}

/*
 * A read past the page cache has what is dirty there written back, and waits for it, before it reads
 * (kiocb_write_and_wait() in mm/filemap.c). This one goes to memory that nobody may write to, and ends there: EFAULT.
 * sync_file_range(2) would also be told of a write that failed before, and whoever asks next, the program too, would not
 * be (Documentation/core-api/errseq.rst).
 */
static int write_back(int claim, uint64_t from, uint64_t n)
{
    long nowhere = KERNEL(SYS_mmap, NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (nowhere < 0 && nowhere > -4096)
        return (int)nowhere;
    long result = KERNEL(SYS_pread64, claim, nowhere, n, from);
    KERNEL(SYS_munmap, nowhere, n);
    return result == -EFAULT ? 0 : result < 0 ? (int)result : -EIO;
}

int extents_of_device(int claim, uint64_t size, uint64_t from, uint64_t n, struct extent_map *map)
{
    if (from >= size)
        return -EIO;
    if (n > size - from)
        n = size - from;
    *map = (struct extent_map){.from = from, .end = from + n, .count = 1, .list = {{from, n, from}}};
    return write_back(claim, from, n);
}

/* The first extent that ends behind `at`, or NULL. */
static const struct extent *extent_from(const struct extent_map *map, uint64_t at)
{
    for (unsigned i = 0; i < map->count; i++)
        if (map->list[i].at + map->list[i].n > at)
            return &map->list[i];
    return NULL;
}

bool extents_written(const struct extent_map *map, uint64_t at, uint64_t *n)
{
    const struct extent *extent = extent_from(map, at), *last = map->list + map->count;
    if (!extent || extent->at > at) {
        *n = (extent ? extent->at : map->end) - at;
        return false;
    }
    uint64_t end = extent->at + extent->n;
    while (++extent < last && extent->at == end)
        end += extent->n;
    *n = end - at;
    return true;
}

uint64_t extents_place(const struct extent_map *map, uint64_t at, uint64_t *n)
{
    const struct extent *extent = extent_from(map, at);
    *n = extent->at + extent->n - at;
    return extent->on_device + (at - extent->at);
}
