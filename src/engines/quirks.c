#include "quirks.h"

#include <linux/magic.h>
#include <linux/version.h>
#include <stddef.h>
#include <string.h>

/* Those that linux/magic.h does not have, or has since lately. */
#define XFS_TYPE 0x58465342
#define ZFS_TYPE 0x2fc12fc1
#define BCACHEFS_TYPE 0xca451a4e
#define SMB2_TYPE 0xfe534d42
#define CIFS_TYPE 0xff534d42
#define CEPH_TYPE 0x00c36400
#define F2FS_TYPE 0xf2f52010
#define FUSE_TYPE 0x65735546

#define SINCE(major, minor) KERNEL_VERSION(major, minor, 0)
#define NEVER QUIRK_NEVER

/*
 * The first line for an engine and a file system counts.
 *
 * clone, 4.20: until then a clone of an unaligned end of file into the middle of another left wrong bytes (Btrfs,
 * kernel commit ac765f83f139; XFS, commit b39989009bdb). XFS before 6.1.121 and 6.12 can report success for a part of a
 * clone; the session looks at the size after every clone, on every kernel.
 * ZFS: clones were lost or zero-filled in OpenZFS 2.2.0 to 2.2.3 (openzfs issues 15526, 15728, 15933), and the version
 * of a module cannot be told from the file system. bcachefs: wrong data after a reflink (koverstreet/bcachefs issue
 * 991).
 *
 * array, 6.1: before, it cannot be learned whether a file can be read past the page cache (STATX_DIOALIGN); the file
 * systems are those that leave their blocks where they are.
 *
 * server, NFS: 6.1.53 is the first long-term kernel that survives a server that does not know a copy any more
 * (ERR_OFFLOAD_NO_REQ). SMB, 6.11: until 6.7 the client kept stale pages and a stale size of the
 * destination, and only since 6.11 it can be learned whether it writes past the cache (mountoptions.h).
 *
 * kernel, 5.3: copy_file_range(2) did not check its arguments before, and on SMB left empty files (golang/go 42400).
 */
const struct quirk quirks[] = {
    {"clone", "xfs", XFS_TYPE, SINCE(4, 20), REASON_KERNEL_TOO_OLD},
    {"clone", "btrfs", BTRFS_SUPER_MAGIC, SINCE(4, 20), REASON_KERNEL_TOO_OLD},
    {"clone", "overlay", OVERLAYFS_SUPER_MAGIC, SINCE(4, 20), REASON_KERNEL_TOO_OLD},
    {"clone", "ext4", EXT4_SUPER_MAGIC, NEVER, REASON_FS_CANNOT},
    {"clone", "tmpfs", TMPFS_MAGIC, NEVER, REASON_FS_CANNOT},
    {"clone", "ramfs", RAMFS_MAGIC, NEVER, REASON_FS_CANNOT},
    {"clone", "f2fs", F2FS_TYPE, NEVER, REASON_FS_CANNOT},
    {"clone", "vfat", MSDOS_SUPER_MAGIC, NEVER, REASON_FS_CANNOT},
    {"clone", "fuse", FUSE_TYPE, NEVER, REASON_FS_CANNOT},
    {"clone", "ceph", CEPH_TYPE, NEVER, REASON_FS_CANNOT},
    {"clone", "zfs", ZFS_TYPE, NEVER, REASON_FS_UNKNOWN},
    {"clone", "bcachefs", BCACHEFS_TYPE, NEVER, REASON_FS_UNKNOWN},
    {"clone", "nfs", NFS_SUPER_MAGIC, NEVER, REASON_ON_SERVER},
    {"clone", "smb3", SMB2_TYPE, NEVER, REASON_ON_SERVER},
    {"clone", "cifs", CIFS_TYPE, NEVER, REASON_ON_SERVER},

    {"array", "ext4", EXT4_SUPER_MAGIC, SINCE(6, 1), REASON_KERNEL_TOO_OLD},
    {"array", "xfs", XFS_TYPE, SINCE(6, 1), REASON_KERNEL_TOO_OLD},

    {"server", "nfs", NFS_SUPER_MAGIC, KERNEL_VERSION(6, 1, 53), REASON_KERNEL_TOO_OLD},
    {"server", "smb3", SMB2_TYPE, SINCE(6, 11), REASON_KERNEL_TOO_OLD},
    {"server", "cifs", CIFS_TYPE, SINCE(6, 11), REASON_KERNEL_TOO_OLD},

    {"kernel", "xfs", XFS_TYPE, SINCE(5, 3), REASON_KERNEL_TOO_OLD},
    {"kernel", "btrfs", BTRFS_SUPER_MAGIC, SINCE(5, 3), REASON_KERNEL_TOO_OLD},
};

const size_t quirks_count = sizeof quirks / sizeof *quirks;

bool fs_is_smb(uint64_t fs_type)
{
    return fs_type == SMB2_TYPE || fs_type == CIFS_TYPE;
}

enum reason quirk_refuses(const char *engine, uint64_t fs_type, unsigned kernel)
{
    for (size_t i = 0; i < quirks_count; i++)
        if (quirks[i].fs_type == fs_type && strcmp(quirks[i].engine, engine) == 0)
            return quirks[i].since != NEVER && kernel >= quirks[i].since ? REASON_NONE : quirks[i].before;
    return REASON_FS_UNKNOWN;
}
