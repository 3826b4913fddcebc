#include "engine.h"

#include "../core/syscalls.h"

#include <fcntl.h>
#include <linux/btrfs.h>
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

enum reason quota_refuses(const struct file_pair *pair)
{
    bool counts = pair->destination_fs == BTRFS_SUPER_MAGIC && has_quota_groups(pair->destination);
    return counts ? REASON_QUOTA : REASON_NONE;
}
