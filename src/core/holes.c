#include "holes.h"

#include "cachestat.h"
#include "settings.h"
#include "syscalls.h"

#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

bool holes_has_blocks(int fd, off_t from, off_t end)
{
    struct fiemap map = {.fm_start = (uint64_t)from, .fm_length = (uint64_t)(end - from)};
    return from < end && (KERNEL(SYS_ioctl, fd, FS_IOC_FIEMAP, &map) < 0 || map.fm_mapped_extents);
}

/*
 * XFS allocates beyond the end of a growing file by itself, and takes it back. What the program has asked for stays,
 * and marks the file (xfs_alloc_file_space() in fs/xfs/xfs_bmap_util.c).
 */
static bool marks_promises(uint64_t fs_type)
{
    return fs_type == XFS_SUPER_MAGIC || fs_type == OVERLAYFS_SUPER_MAGIC;
}

static bool may_be_promised(int fd, uint64_t fs_type)
{
    struct fsxattr attributes;
    return !marks_promises(fs_type) || KERNEL(SYS_ioctl, fd, FS_IOC_FSGETXATTR, &attributes) < 0 ||
           attributes.fsx_xflags & FS_XFLAG_PREALLOC;
}

bool holes_are_promised(int fd, uint64_t fs_type, off_t from, off_t end)
{
    return from < end && may_be_promised(fd, fs_type) && holes_has_blocks(fd, from, end);
}

/* Whether each block of the range that is there is marked as never written. */
static bool all_are_unwritten(int fd, off_t from, off_t end)
{
    const uint32_t known = FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED | FIEMAP_EXTENT_UNWRITTEN;
    while (from < end) {
        struct {
            struct fiemap head;
            struct fiemap_extent extent;
        } map = {.head = {.fm_start = (uint64_t)from, .fm_length = (uint64_t)(end - from), .fm_extent_count = 1}};
        if (KERNEL(SYS_ioctl, fd, FS_IOC_FIEMAP, &map) < 0)
            return false;
        if (map.head.fm_mapped_extents == 0)
            return true;
        if (!(map.extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) || map.extent.fe_flags & ~known)
            return false;
        from = (off_t)(map.extent.fe_logical + map.extent.fe_length);
    }
    return true;
}

/*
 * What was written may still be in the page cache alone, and its block still be marked as unwritten: first no page may be
 * there, which one that is being written back is until its block is marked (xfs_end_ioend_write() in fs/xfs/xfs_aops.c).
 */
bool holes_are_unpromised(int fd, uint64_t fs_type, off_t from, off_t end)
{
    struct cache_state pages;
    return from < end && fs_type == XFS_SUPER_MAGIC && !settings.filtered && !may_be_promised(fd, fs_type) &&
           cachestat_of(fd, (uint64_t)from, (uint64_t)(end - from), &pages) == 0 && pages.cached == 0 &&
           all_are_unwritten(fd, from, end);
}

bool holes_make(int fd, off_t from, off_t end)
{
    return KERNEL(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, end - from) == 0;
}
