/*
 * The clone engine: two files share extents (ioctl_ficlonerange(2)). Costs by the extent, not by the byte.
 *
 * Why a clone freezes the source: the file system writes the range's dirty pages back first, under both files' locks
 * (generic_remap_file_range_prep() in fs/remap_range.c), and writing a page back write-protects it in every mapping. A
 * store into a mapping after that faults, and the fault moves the file's times (file_update_time() in page_mkwrite).
 */
#include "engine.h"

#include "../core/syscalls.h"
#include "quirks.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>

/* The hexadecimal digits of a file system's identity as sysfs writes them, with dashes. Returns the end. */
static char *write_identity(char *at, const uint8_t identity[16])
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[identity[i] >> 4];
        *at++ = hex[identity[i] & 15];
    }
    return at;
}

/*
 * Whether a Btrfs file system counts space by quota groups: a clone is within the limit that a plain copy would meet
 * (EDQUOT), for it is not counted before the next commit. Shown in sysfs since Linux 5.9 (fs/btrfs/sysfs.c).
 */
static bool has_quota_groups(int fd)
{
    struct btrfs_ioctl_fs_info_args info = {0};
    char path[80] = "/sys/fs/btrfs/";
    if (KERNEL(SYS_ioctl, fd, BTRFS_IOC_FS_INFO, &info) < 0)
        return true;
    memcpy(write_identity(path + strlen(path), info.fsid), "/qgroups", sizeof "/qgroups");
    return KERNEL(SYS_faccessat, AT_FDCWD, path, 0) == 0;
}

static enum reason refuses(const struct file_pair *pair)
{
    /* Subvolumes of one Btrfs have device numbers of their own; whether they are of one the kernel says (EXDEV). */
    bool may_be_one = pair->source_device == pair->destination_device ||
                      (pair->source_fs == BTRFS_SUPER_MAGIC && pair->destination_fs == BTRFS_SUPER_MAGIC);
    if (!may_be_one)
        return REASON_OTHER_FS;
    enum reason quirk = quirk_refuses("clone", pair->destination_fs, pair->kernel);
    if (quirk == REASON_NONE && pair->destination_fs == BTRFS_SUPER_MAGIC && has_quota_groups(pair->destination))
        return REASON_QUOTA;
    return quirk;
}

static int64_t copy(const struct file_pair *pair, off_t from, off_t to, size_t n)
{
    struct file_clone_range range = {
        .src_fd = pair->source,
        .src_offset = (uint64_t)from,
        .src_length = n,
        .dest_offset = (uint64_t)to,
    };
    long result = KERNEL(SYS_ioctl, pair->destination, FICLONERANGE, &range);
    return result < 0 ? result : (int64_t)n;
}

static unsigned granule(const struct file_pair *pair)
{
    return pair->block;
}

const struct engine engine_clone = {"clone", refuses, copy, granule, .freezes_source = true};
