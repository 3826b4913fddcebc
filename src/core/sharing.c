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
    uint64_t from = (uint64_t)at, known = FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED | FIEMAP_EXTENT_SHARED;
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
    *stretch = (struct stretch){.n = found->fe_length - before, .place = found->fe_physical + before};
    return before < found->fe_length && !(found->fe_flags & ~known);
}

bool sharing_lies_in(int fd, off_t from, off_t n, struct stretch stretch)
{
    for (off_t done = 0; done < n;) {
        struct stretch found;
        uint64_t place = stretch.is_hole ? 0 : stretch.place + (uint64_t)done;
        if (!sharing_stretch(fd, from + done, n - done, &found) || found.is_hole != stretch.is_hole ||
            found.place != place)
            return false;
        done += (off_t)found.n;
    }
    return true;
}

bool sharing_all(int a, off_t from, int b, off_t to, off_t n)
{
    for (off_t done = 0; done < n;) {
        struct stretch one, other;
        if (!sharing_stretch(a, from + done, n - done, &one) || !sharing_stretch(b, to + done, n - done, &other) ||
            one.is_hole != other.is_hole || one.place != other.place)
            return false;
        done += (off_t)(one.n < other.n ? one.n : other.n);
    }
    return true;
}
