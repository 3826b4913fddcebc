#include "sharing.h"

#include "syscalls.h"

#include <linux/fiemap.h>
#include <linux/fs.h>

bool sharing_stretch(int fd, off_t at, off_t n, struct stretch *stretch)
{
    struct {
        struct fiemap head;
        struct fiemap_extent extent;
    } map = {.head = {.fm_start = (uint64_t)at, .fm_length = (uint64_t)n, .fm_extent_count = 1}};
    /* XFS still tells the old block of what has been written to the page cache alone. */
    map.head.fm_flags = FIEMAP_FLAG_SYNC;
    const struct fiemap_extent *found = &map.extent;
    uint64_t from = (uint64_t)at,
             known = FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED | FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_UNWRITTEN;
    if (KERNEL(SYS_ioctl, fd, FS_IOC_FIEMAP, &map) < 0)
        return false;
    *stretch = (struct stretch){.n = (uint64_t)n, .is_hole = true};
    if (map.head.fm_mapped_extents == 0)
        return true;
    if (found->fe_logical > from) {
        stretch->n = found->fe_logical - from;
        return true;
    }
    uint64_t before = from - found->fe_logical;
    *stretch = (struct stretch){.n = found->fe_length - before,
                                .place = found->fe_physical + before,
                                .unwritten = found->fe_flags & FIEMAP_EXTENT_UNWRITTEN};
    return before < found->fe_length && !(found->fe_flags & ~known);
}

static bool is_clone_of(const struct stretch *source, const struct stretch *clone)
{
    if (source->is_hole || clone->is_hole)
        return clone->is_hole && (source->is_hole || source->unwritten);
    return clone->place == source->place && clone->unwritten == source->unwritten;
}

bool sharing_lies_in(int fd, off_t from, off_t n, struct stretch stretch)
{
    for (off_t done = 0; done < n;) {
        struct stretch found;
        if (!sharing_stretch(fd, from + done, n - done, &found) || !is_clone_of(&stretch, &found))
            return false;
        done += (off_t)found.n;
        stretch.place += stretch.is_hole ? 0 : found.n;
    }
    return true;
}

bool sharing_all(int source, off_t from, int clone, off_t to, off_t n)
{
    for (off_t done = 0; done < n;) {
        struct stretch one, other;
        if (!sharing_stretch(source, from + done, n - done, &one) ||
            !sharing_stretch(clone, to + done, n - done, &other) || !is_clone_of(&one, &other))
            return false;
        done += (off_t)(one.n < other.n ? one.n : other.n);
    }
    return true;
}
