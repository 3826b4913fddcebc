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

/* Looked at by so many at once: on the stack of a signal handler, which may have two kilobytes. */
#define EXTENTS 4

/* Whether each block of the range that is there is marked as never written. */
static bool all_are_unwritten(int fd, off_t from, off_t end)
{
    struct {
        struct fiemap map;
        struct fiemap_extent extents[EXTENTS];
    } found;
    const uint32_t plain = FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED | FIEMAP_EXTENT_UNWRITTEN;
    while (from < end) {
        found.map = (struct fiemap){
            .fm_start = (uint64_t)from, .fm_length = (uint64_t)(end - from), .fm_extent_count = EXTENTS};
        if (KERNEL(SYS_ioctl, fd, FS_IOC_FIEMAP, &found.map) < 0 || found.map.fm_mapped_extents > EXTENTS)
            return false;
        for (uint32_t i = 0; i < found.map.fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &found.extents[i];
            if (!(extent->fe_flags & FIEMAP_EXTENT_UNWRITTEN) || extent->fe_flags & ~plain)
                return false;
            from = (off_t)(extent->fe_logical + extent->fe_length);
        }
        if (found.map.fm_mapped_extents < EXTENTS)
            return true;
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
