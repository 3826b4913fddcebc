#include "refusals.h"

#include "engines/quirks.h"
#include "lines.h"
#include "names.h"
#include "servers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#define XFS_TYPE 0x58465342

/* ---- XFS: its headers are not needed for this alone (xfs_fs.h, struct xfs_fsop_geom_v4) ---- */

struct xfs_geometry {
    uint32_t before[22];
    uint32_t version;
    uint32_t flags;
    uint32_t after[4];
};
#define XFS_GEOMETRY _IOR('X', 124, struct xfs_geometry)
#define XFS_GEOMETRY_REFLINK (1 << 20)
_Static_assert(sizeof(struct xfs_geometry) == 112, "as the kernel has it");

bool xfs_lacks_reflink(int fd)
{
    struct xfs_geometry geometry = {0};
    return ioctl(fd, XFS_GEOMETRY, &geometry) == 0 && !(geometry.flags & XFS_GEOMETRY_REFLINK);
}

/* ---- swap ---- */

static bool same_file(const struct statx *a, const struct statx *b)
{
    return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor && a->stx_ino == b->stx_ino;
}

bool is_swap(const struct statx *status)
{
    char line[4200];
    bool found = false;
    FILE *swaps = fopen("/proc/swaps", "re");
    while (swaps && !found && fgets(line, sizeof line, swaps)) {
        struct statx swap;
        line[strcspn(line, " \t")] = '\0';
        found =
            line[0] == '/' && statx(AT_FDCWD, line, AT_NO_AUTOMOUNT, STATX_INO, &swap) == 0 && same_file(&swap, status);
    }
    if (swaps)
        fclose(swaps);
    return found;
}

/* ---- overlay ---- */

/* The directory that holds an overlay's own files, opened, or -1 if it cannot be seen from here. */
static int open_upper(const struct mount *overlay)
{
    char path[4096];
    if (!overlay || !mount_option(overlay, "upperdir", path, sizeof path))
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The mount of an overlay's own files, or NULL; *lacks_reflink: it is an XFS without. */
static const struct mount *upper_mount(const struct places *p, bool *lacks_reflink)
{
    int fd = open_upper(p->mount);
    const struct mount *found = fd < 0 ? NULL : mounts_of(&p->mounts, fd);
    *lacks_reflink = fd >= 0 && xfs_lacks_reflink(fd);
    if (fd >= 0)
        close(fd);
    return found;
}

/* Whether the table refuses to clone on a file system of that name under any kernel. */
static bool never_clones(const char *type)
{
    for (size_t i = 0; i < quirks_count; i++)
        if (strcmp(quirks[i].engine, "clone") == 0 && strcmp(quirks[i].name, type) == 0)
            return quirks[i].since == QUIRK_NEVER;
    return true;
}

static enum refusal overlay_refusal(const struct places *p, const struct trial *trial)
{
    bool lacks_reflink;
    const struct mount *upper = upper_mount(p, &lacks_reflink);
    if (upper && (lacks_reflink || never_clones(upper->type)))
        return REFUSAL_UPPER;
    return trial->error == EXDEV ? REFUSAL_LOWER : REFUSAL_UNKNOWN;
}

/* ---- which ---- */

static bool two_mounts(const struct places *p, const struct file_pair *pair)
{
    return pair->kernel < KERNEL_VERSION(5, 19, 0) && p->mount && p->source_mount && p->mount != p->source_mount &&
           pair->source_device == pair->destination_device;
}

enum refusal refusal_find(const struct places *p, const struct trial *trial, bool nocow)
{
    const struct file_pair *pair = &trial->pair;
    if (trial->made && trial->why == REASON_NONE)
        return REFUSAL_UNKNOWN;
    if (is_swap(&p->source_status))
        return REFUSAL_SWAP;
    if (pair->destination_fs == XFS_TYPE && xfs_lacks_reflink(p->directory_fd))
        return REFUSAL_NO_REFLINK;
    if (two_mounts(p, pair))
        return REFUSAL_TWO_MOUNTS;
    if (pair->destination_fs == BTRFS_SUPER_MAGIC && trial_is_nocow(p->source_fd) != nocow)
        return REFUSAL_NOCOW;
    if (pair->destination_fs == BTRFS_SUPER_MAGIC && trial->error == EXDEV)
        return REFUSAL_OTHER_BTRFS;
    if (pair->destination_fs == OVERLAYFS_SUPER_MAGIC)
        return overlay_refusal(p, trial);
    return REFUSAL_UNKNOWN;
}

/* ---- in words ---- */

static void print(const char *label, const char *words, const char *cure)
{
    lines_say(label, "no: %s.", words);
    lines_say("", "%s", cure);
}

static void print_upper(const char *label, const struct places *p)
{
    bool lacks_reflink;
    const struct mount *upper = upper_mount(p, &lacks_reflink);
    lines_say(label, "no: this overlay keeps its files on %s%s, which cannot share extents.",
              upper ? upper->type : "a file system", lacks_reflink ? " made without reflink" : "");
    lines_say("", "Put its upper and work directories on XFS made with reflink=1, or on Btrfs.");
}

static void print_nocow(const char *label, const struct places *p)
{
    bool source = trial_is_nocow(p->source_fd);
    lines_say(label,
              "no: the %s has the attribute \"no copy on write\" (chattr +C) and the %s has not, and Btrfs shares "
              "extents only between two files that agree.",
              source ? "source" : "destination", source ? "destination" : "source");
    lines_say("",
              "Give an empty destination the source's attribute before the copy (chattr %cC), or set it on the "
              "destination's directory for all that is made there.",
              source ? '+' : '-');
}

void refusal_print(const char *label, enum refusal refusal, const struct places *p)
{
    switch (refusal) {
    case REFUSAL_UNKNOWN:
        break;
    case REFUSAL_SWAP:
        print(label, "the source is swap space in use, which is not shared", "Switch it off first (swapoff).");
        break;
    case REFUSAL_NO_REFLINK:
        print(label, "this XFS was made without reflink",
              "That cannot be added to it: make it anew with mkfs.xfs -m reflink=1 and put the files back.");
        break;
    case REFUSAL_TWO_MOUNTS:
        print(label,
              "source and destination are reached through two mounts of one file system, and kernels before Linux "
              "5.19 share extents only within one mount",
              "Name both by paths below the same mount, or run Linux 5.19 or later.");
        break;
    case REFUSAL_NOCOW:
        print_nocow(label, p);
        break;
    case REFUSAL_UPPER:
        print_upper(label, p);
        break;
    case REFUSAL_LOWER:
        print(label, "the source lies in a lower layer of the overlay, on another file system than the upper one",
              "Keep both layers on one file system, or change the source once (touch), which copies it up.");
        break;
    case REFUSAL_OTHER_BTRFS:
        print(label, reason_words(REASON_OTHER_FS), reason_cure(REASON_OTHER_FS));
        break;
    }
}

/* The mount of the two that speaks too old a version, or NULL. */
static const struct mount *too_old_mount(const struct places *p)
{
    if (p->mount && mount_too_old(p->mount))
        return p->mount;
    return p->source_mount && mount_too_old(p->source_mount) ? p->source_mount : NULL;
}

/* `error`: what the server, or the client in its place, has answered. */
static void print_server_failed(const char *label, int error, const struct places *p)
{
    const struct mount *too_old = too_old_mount(p);
    char protocol[16];
    if (too_old) {
        lines_say(label, "no: the bytes came through this machine, since no server copies in %s, which %s speaks.",
                  mount_protocol(too_old, protocol), too_old == p->mount ? "this mount" : "the source's mount");
        lines_say("", "%s", mount_too_old(too_old));
    } else if (p->mount && p->source_mount && mounts_of_two_servers(p->mount, p->source_mount)) {
        print(label, "source and destination are on two servers, and the one did not fetch the bytes from the other",
              "Put both files on one server.");
    } else if (error && error != EXDEV) {
        lines_say(label, "no: %s (%s).", reason_words(REASON_SERVER_FAILED), strerror(error));
    } else {
        print(label, reason_words(REASON_SERVER_CANNOT), reason_cure(REASON_SERVER_CANNOT));
    }
}

char *kernel_version(unsigned version, char text[16])
{
    int n = snprintf(text, 16, "%u.%u", version >> 16 & 255, version >> 8 & 255);
    if (version & 255)
        snprintf(text + n, 16 - (size_t)n, ".%u", version & 255);
    return text;
}

static void print_too_old(const char *label, const char *engine, const struct file_pair *pair)
{
    char since[16], this[16];
    for (size_t i = 0; i < quirks_count; i++)
        if (strcmp(quirks[i].engine, engine) == 0 && quirks[i].fs_type == pair->destination_fs) {
            lines_say(label, "no: %s.", reason_words(REASON_KERNEL_TOO_OLD));
            lines_say("", "Run Linux %s or later; this is %s.", kernel_version(quirks[i].since, since),
                      kernel_version(pair->kernel, this));
            return;
        }
}

/* A Btrfs has one device number as a mount, and another in each subvolume. */
static bool are_subvolumes(const struct places *p)
{
    return p->mount && p->source_mount && strcmp(p->mount->type, "btrfs") == 0 &&
           p->mount->major == p->source_mount->major && p->mount->minor == p->source_mount->minor;
}

static void print_other_fs(const char *label, const struct places *p)
{
    if (are_subvolumes(p)) {
        print(label,
              "source and destination are in two subvolumes of one Btrfs, which have device numbers of their own, and "
              "copy_file_range is not tried across them",
              "Put both into one subvolume, if it has to be this engine.");
        return;
    }
    if (p->mount && p->source_mount)
        lines_say(label, "no: %s (%s, %s).", reason_words(REASON_OTHER_FS), p->source_mount->type, p->mount->type);
    else
        lines_say(label, "no: %s.", reason_words(REASON_OTHER_FS));
    lines_say("", "%s", reason_cure(REASON_OTHER_FS));
}

static void print_quota(const char *label, const struct places *p)
{
    char *point = p->mount ? name_printable(p->mount->point) : NULL;
    lines_say(label, "no: %s.", reason_words(REASON_QUOTA));
    lines_say("", "Switch them off if nobody needs them: btrfs quota disable %s", point ? point : "MOUNTPOINT");
    free(point);
}

void reason_print(const char *label, enum reason why, int error, const char *engine, const struct places *p,
                  const struct file_pair *pair)
{
    bool by_table = why == REASON_FS_UNKNOWN || why == REASON_FS_CANNOT;
    bool by_kernel = strcmp(engine, "kernel") == 0;
    if (why == REASON_SERVER_FAILED || why == REASON_SERVER_CANNOT)
        print_server_failed(label, error, p);
    else if (why == REASON_KERNEL_TOO_OLD)
        print_too_old(label, engine, pair);
    else if (why == REASON_OTHER_FS)
        print_other_fs(label, p);
    else if (why == REASON_QUOTA)
        print_quota(label, p);
    else if (by_table && by_kernel)
        print(label, "it is used only where it is known to gain something: on XFS and Btrfs", reason_cure(why));
    else if (error)
        lines_say(label, "no: %s (%s).", reason_words(why), strerror(error));
    else
        print(label, reason_words(why), reason_cure(why));
}
