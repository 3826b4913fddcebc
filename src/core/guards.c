#include "guards.h"

#include "settings.h"
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

bool guard_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool earlier(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

static bool has_set_id(mode_t mode)
{
    return mode & (S_ISUID | S_ISGID);
}

/* Several nodes can be one device: it is known by its number. */
static bool look_at_device(int fd, dev_t device, struct file_state *state)
{
    uint64_t size;
    if (KERNEL(SYS_ioctl, fd, BLKGETSIZE64, &size) < 0 || size > INT64_MAX)
        return false;
    *state = (struct file_state){.device = device, .size = (off_t)size, .raw = true};
    return true;
}

bool guard_look(int fd, struct file_state *state)
{
    struct stat st;
    if (KERNEL(SYS_fstat, fd, &st) < 0)
        return false;
    if (!S_ISREG(st.st_mode))
        return S_ISBLK(st.st_mode) && look_at_device(fd, st.st_rdev, state);
    *state = (struct file_state){.device = st.st_dev,
                                 .inode = st.st_ino,
                                 .size = st.st_size,
                                 .modified = st.st_mtim,
                                 .changed = st.st_ctim,
                                 .set_id = has_set_id(st.st_mode)};
    return true;
}

bool guard_same_file(const struct file_state *a, const struct file_state *b)
{
    return a->device == b->device && a->inode == b->inode && a->raw == b->raw;
}

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv), over the bytes of n words. Never 0. */
static uint64_t number_made_of(const uint64_t *words, size_t n)
{
    uint64_t number = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n * sizeof *words; i++)
        number = (number ^ (words[i / 8] >> i % 8 * 8 & 255)) * 0x100000001b3u;
    return number ? number : 1;
}

/* A block device has several nodes, each with a handle of its own. */
static bool may_have_handle(const struct file_state *state)
{
    if (!settings.filter_known)
        settings_ask_for_filter();
    return !state->raw && !settings.filtered;
}

/*
 * What stands last in a handle: the generation, or (tmpfs) another part of what does not change. What comes before it may:
 * XFS has more of the inode's number there when it is mounted again with inode64 instead of inode32.
 */
static uint32_t generation_in(const struct file_handle *handle)
{
    uint32_t generation = 0;
    if (handle->handle_bytes >= sizeof generation)
        memcpy(&generation, handle->f_handle + handle->handle_bytes - sizeof generation, sizeof generation);
    return generation;
}

uint64_t guard_number(int fd, const struct file_state *state)
{
    struct {
        struct file_handle head;
        uint8_t room[MAX_HANDLE_SZ];
    } handle = {.head.handle_bytes = MAX_HANDLE_SZ};
    int mount;
    long told = -EOPNOTSUPP;
    if (may_have_handle(state))
        told = KERNEL(SYS_name_to_handle_at, fd, "", &handle, &mount, AT_EMPTY_PATH);
    if (told < 0 && told != -EOPNOTSUPP && told != -EOVERFLOW && told != -ENOSYS)
        return 0;
    const uint64_t names[] = {state->device, state->inode, told == 0 ? generation_in(&handle.head) : 0};
    return number_made_of(names, sizeof names / sizeof *names);
}

static struct timespec timespec_of(struct statx_timestamp stamp)
{
    return (struct timespec){.tv_sec = stamp.tv_sec, .tv_nsec = stamp.tv_nsec};
}

bool guard_look_at_server(int fd, struct file_state *state)
{
    struct statx st;
    int flags = AT_EMPTY_PATH | AT_STATX_FORCE_SYNC;
    if (KERNEL(SYS_statx, fd, "", flags, STATX_BASIC_STATS, &st) < 0 || !S_ISREG(st.stx_mode))
        return false;
    *state = (struct file_state){.device = makedev(st.stx_dev_major, st.stx_dev_minor),
                                 .inode = st.stx_ino,
                                 .size = (off_t)st.stx_size,
                                 .modified = timespec_of(st.stx_mtime),
                                 .changed = timespec_of(st.stx_ctime),
                                 .set_id = has_set_id(st.stx_mode)};
    return true;
}

bool guard_same_state(const struct file_state *a, const struct file_state *b)
{
    return guard_same_file(a, b) && a->size == b->size && guard_same_time(a->modified, b->modified) &&
           guard_same_time(a->changed, b->changed);
}

bool guard_unchanged(int fd, const struct file_state *was)
{
    struct file_state is;
    return guard_look(fd, &is) && guard_same_state(&is, was);
}

/* A write of nothing changes nothing, and is refused as one of bytes is (btrfs_do_write_iter(), since Linux 5.11). */
bool guard_takes_writes(int fd, uint64_t fs_type)
{
    return fs_type != BTRFS_SUPER_MAGIC || KERNEL(SYS_write, fd, "", 0) == 0;
}

/* A file system that keeps whole seconds only, or two (FAT), shows it by a stamp without nanoseconds. */
static struct timespec next_stamp(struct timespec stamp)
{
    if (stamp.tv_nsec == 0)
        stamp.tv_sec += 2;
    return stamp;
}

bool guard_would_show_at(const struct file_state *state, bool fine_stamps, struct timespec now)
{
    return fine_stamps || (earlier(next_stamp(state->changed), now) && earlier(next_stamp(state->modified), now));
}

bool guard_would_show(const struct file_state *state, bool fine_stamps)
{
    struct timespec now;
    if (fine_stamps)
        return true;
    KERNEL(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &now);
    return guard_would_show_at(state, false, now);
}

bool guard_stamp(int fd, bool fine_stamps)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
    if (fine_stamps)
        return true;
    KERNEL(SYS_clock_gettime, CLOCK_REALTIME, &times[1]);
    return KERNEL(SYS_utimensat, fd, NULL, times, 0) == 0;
}

void guard_touch(int fd, off_t size)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    if (KERNEL(SYS_utimensat, fd, NULL, times, 0) < 0)
        /* Not the owner. ftruncate(2) to the present size sets the times too, with the descriptor's right alone. */
        KERNEL(SYS_ftruncate, fd, size);
}

/* To map a file is an access (file_accessed() in each file system's mmap); what is mapped is not looked at. */
void guard_access(int fd)
{
    long at = KERNEL(SYS_mmap, NULL, 1, PROT_NONE, MAP_PRIVATE, fd, 0);
    if (at >= 0 || at <= -4096)
        KERNEL(SYS_munmap, at, 1);
}

bool guard_fine_stamps(unsigned kernel, uint64_t fs_type)
{
    if (kernel < KERNEL_VERSION(6, 13, 0))
        return false;
    return fs_type == XFS_SUPER_MAGIC || fs_type == BTRFS_SUPER_MAGIC || fs_type == EXT4_SUPER_MAGIC ||
           fs_type == TMPFS_MAGIC;
}
