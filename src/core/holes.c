#include "holes.h"

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

bool holes_are_promised(int fd, uint64_t fs_type, off_t from, off_t end)
{
    struct fsxattr attributes;
    bool may_be = !marks_promises(fs_type) || KERNEL(SYS_ioctl, fd, FS_IOC_FSGETXATTR, &attributes) < 0 ||
                  attributes.fsx_xflags & FS_XFLAG_PREALLOC;
    return from < end && may_be && holes_has_blocks(fd, from, end);
}

bool holes_make(int fd, off_t from, off_t end)
{
    return KERNEL(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, end - from) == 0;
}
