/*
 * Guards: whether a file is still as it was.
 *
 * A file is known by what fstat(2) says of it. That a later change shows there needs care: the kernel stamps files with
 * the time of its last tick (1 to 10 ms, ktime_get_coarse_real_ts64()), so that two changes within one tick can look
 * like one. Since Linux 6.13 the file systems with FS_MGTIME stamp finer once someone has looked (kernel
 * Documentation/filesystems/multigrain-ts.rst).
 */
#ifndef LIBOFFLOAD_GUARDS_H
#define LIBOFFLOAD_GUARDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct file_state {
    dev_t device;
    ino_t inode;
    off_t size; /* bytes */
    struct timespec modified, changed;
    bool set_id; /* a write clears a bit of its mode, unless the writer has the right to leave it (CAP_FSETID) */
    bool raw;    /* a block device, whose times say nothing of its bytes: they are 0; `device` is its own number */
};

/* Looks at the file behind a descriptor. False if that is neither a regular file nor a block device, or nothing. */
bool guard_look(int fd, struct file_state *state);

/*
 * As guard_look(), for a file on a server (NFS, SMB): writes back what is dirty of it here, and has the server say how
 * the file is (AT_STATX_FORCE_SYNC, statx(2)), where fstat(2) may tell what was so some seconds ago. May wait for the
 * server. Needs Linux 4.11.
 */
bool guard_look_at_server(int fd, struct file_state *state);

/* Whether two times are one, to the nanosecond. */
bool guard_same_time(struct timespec a, struct timespec b);

/* Whether both are states of one file. */
bool guard_same_file(const struct file_state *a, const struct file_state *b);

/*
 * A number made of what tells the file behind the descriptor, which has been looked at, from others, and from one that
 * was deleted and whose inode number it has now: of device and inode number and, where the file system has handles and no
 * seccomp filter is there, of the inode's generation (name_to_handle_at(2)).
 * Other files may have the same one. 0 if it cannot be learnt. System calls only.
 */
uint64_t guard_number(int fd, const struct file_state *state);

/* Whether both are states of one file that was not changed in between. */
bool guard_same_state(const struct file_state *a, const struct file_state *b);

/* Whether the file behind the descriptor is the same and as it was. */
bool guard_unchanged(int fd, const struct file_state *was);

/*
 * Whether the destination still takes writes, where that does not show when it is looked at: a Btrfs that an error has made
 * read-only says how its files are as before, and XFS does not. fs_type: statfs(2) f_type. Waits where a write would.
 */
bool guard_takes_writes(int fd, uint64_t fs_type);

/*
 * Whether a change of the file from now on would show in its state: its stamps are older than the clock that the
 * kernel would stamp with, or the file system stamps finely. Ask before the content is relied on.
 */
bool guard_would_show(const struct file_state *state, bool fine_stamps);

/* As guard_would_show(), at a given time of the kernel's stamping clock. */
bool guard_would_show_at(const struct file_state *state, bool fine_stamps, struct timespec now);

/*
 * Marks the destination, which the library has just changed itself, so that anyone else's change will show: where
 * stamps are coarse the file gets a time of modification, now, with nanoseconds that no write would give it
 * (utimensat(2); the file must belong to the process's user). False if that is not allowed.
 */
bool guard_stamp(int fd, bool fine_stamps);

/*
 * Gives the file the modification time of this moment, as write(2) does: after writes that were dropped. Needs only
 * a descriptor open for writing.
 */
void guard_touch(int fd, off_t size);

/*
 * Gives a file that is open for reading the time of access of this moment, as read(2) does where its mount keeps such
 * times. Reads nothing.
 */
void guard_access(int fd);

/* Whether this kernel (LINUX_VERSION_CODE form) stamps files of this type (statfs(2) f_type) finely. */
bool guard_fine_stamps(unsigned kernel, uint64_t fs_type);

#endif
