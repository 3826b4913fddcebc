#include "suits.h"

#include "../../core/guards.h"
#include "../../core/syscalls.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Since Linux 6.1; in older headers there is room where struct statx has stx_dio_offset_align. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000U
#endif
#define DIO_OFFSET_ALIGN 0x9c

/* Since Linux 5.4, 5.5 and 5.8. */
#ifndef STATX_ATTR_VERITY
#define STATX_ATTR_VERITY 0x100000
#endif
#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x200000
#endif
#ifndef FS_VERITY_FL
#define FS_VERITY_FL 0x00100000
#endif
#ifndef FS_DAX_FL
#define FS_DAX_FL 0x02000000
#endif

bool suits_process(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uint32_t needed = 1U << CAP_SYS_RAWIO | 1U << CAP_SYS_ADMIN | 1U << CAP_LEASE | 1U << CAP_FOWNER;
    return KERNEL(SYS_capget, &head, data) == 0 && (data[0].effective & needed) == needed;
}

const char *suits_threads = "/proc/self/task";

/* A folder has a link for itself, one from its parent, and one from each folder in it. */
bool suits_alone(void)
{
    struct stat st;
    return KERNEL(SYS_newfstatat, AT_FDCWD, suits_threads, &st, 0) == 0 && st.st_nlink == 3;
}

bool suits_stack(void)
{
    stack_t stack;
    return KERNEL(SYS_sigaltstack, NULL, &stack) == 0 && !(stack.ss_flags & SS_ONSTACK);
}

/*
 * What can be read and written past the page cache has its bytes in its blocks as they are: no journal of data, no
 * encryption, compression or verity, nothing kept in the inode (ext4_should_use_dio() in fs/ext4/file.c).
 */
static bool takes_direct_io(int fd)
{
    struct statx st;
    uint32_t align;
    uint64_t unfit = STATX_ATTR_ENCRYPTED | STATX_ATTR_COMPRESSED | STATX_ATTR_VERITY | STATX_ATTR_DAX;
    if (KERNEL(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_DIOALIGN, &st) < 0)
        return false;
    memcpy(&align, (const char *)&st + DIO_OFFSET_ALIGN, sizeof align);
    return S_ISREG(st.stx_mode) && st.stx_mask & STATX_DIOALIGN && align && !(st.stx_attributes & unfit);
}

/* On the device that the file system is mounted from, without anything that makes it no plain file. */
static bool is_plain(int fd)
{
    struct fsxattr attributes;
    long flags = 0;
    long unfit = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_JOURNAL_DATA_FL | FS_COMPR_FL | FS_ENCRYPT_FL | FS_VERITY_FL |
                 FS_INLINE_DATA_FL | FS_DAX_FL;
    if (KERNEL(SYS_ioctl, fd, FS_IOC_GETFLAGS, &flags) < 0 || flags & unfit)
        return false;
    return KERNEL(SYS_ioctl, fd, FS_IOC_FSGETXATTR, &attributes) == 0 && !(attributes.fsx_xflags & FS_XFLAG_REALTIME);
}

enum reason suits_source(int fd)
{
    return is_plain(fd) && takes_direct_io(fd) ? REASON_NONE : REASON_NOT_PLAIN;
}

/* What a write takes away from a file (file_remove_privs() in fs/inode.c). */
static bool has_privileges(int fd)
{
    struct file_state now;
    char capabilities[64];
    if (!guard_look(fd, &now) || now.set_id)
        return true;
    return KERNEL(SYS_fgetxattr, fd, "security.capability", capabilities, sizeof capabilities) >= 0;
}

enum reason suits_raw_destination(int fd)
{
    int read_only = 0;
    return KERNEL(SYS_ioctl, fd, BLKROGET, &read_only) == 0 && !read_only ? REASON_NONE : REASON_NOT_WRITABLE;
}

enum reason suits_destination(int fd)
{
    if (!is_plain(fd) || !takes_direct_io(fd))
        return REASON_NOT_PLAIN;
    return has_privileges(fd) ? REASON_SET_ID : REASON_NONE;
}
