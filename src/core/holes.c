#include "holes.h"

#include "syscalls.h"

#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

bool holes_has_blocks(int fd, off_t from, off_t end)
{
    struct fiemap map = {.fm_start = (uint64_t)from, .fm_length = (uint64_t)(end - from)};
    return from < end && (KERNEL(SYS_ioctl, fd, FS_IOC_FIEMAP, &map) < 0 || map.fm_mapped_extents);
}

bool holes_make(int fd, off_t from, off_t end)
{
    return KERNEL(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, end - from) == 0;
}
