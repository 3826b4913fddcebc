/* What opens, closes, duplicates and hands on descriptors. */
#define FAMILY_DESCRIPTORS
#include "hook.h"

#include "../core/handed.h"
#include "../core/private.h"
#include "../core/syscalls.h"
#include "../core/unseen.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>

/* open(2): a mode is passed only with these flags. */
static bool takes_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = takes_mode(flags) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return copy_opened(original_open(path, flags, mode));
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = takes_mode(flags) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return copy_opened(original_openat(dir, path, flags, mode));
}

#if __GLIBC_PREREQ(2, 43)
EXPORT int openat2(int dir, const char *path, const struct open_how *how, size_t size)
{
    return copy_opened(original_openat2(dir, path, how, size));
}
#endif

EXPORT int creat(const char *path, mode_t mode)
{
    return copy_opened(original_creat(path, mode));
}

int __open_2(const char *path, int flags);
EXPORT int __open_2(const char *path, int flags)
{
    return copy_opened(original___open_2(path, flags));
}

int __openat_2(int dir, const char *path, int flags);
EXPORT int __openat_2(int dir, const char *path, int flags)
{
    return copy_opened(original___openat_2(dir, path, flags));
}

EXPORT int mkstemp(char *path)
{
    return copy_opened(original_mkstemp(path));
}

EXPORT int mkostemp(char *path, int flags)
{
    return copy_opened(original_mkostemp(path, flags));
}

EXPORT int mkstemps(char *path, int suffix)
{
    return copy_opened(original_mkstemps(path, suffix));
}

EXPORT int mkostemps(char *path, int suffix, int flags)
{
    return copy_opened(original_mkostemps(path, suffix, flags));
}

EXPORT int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
    return copy_opened(original_open_by_handle_at(mount, handle, flags));
}

EXPORT int pipe(int ends[2])
{
    return copy_made_pipe(ends, original_pipe(ends));
}

EXPORT int pipe2(int ends[2], int flags)
{
    return copy_made_pipe(ends, original_pipe2(ends, flags));
}

EXPORT int close(int fd)
{
    if (private_is(fd)) {
        errno = EBADF; /* what it is to the program */
        return -1;
    }
    copy_closing(fd, fd);
    return original_close(fd);
}

/* Closes a range with ours left out. */
static int close_around(unsigned first, unsigned last, int flags)
{
    unsigned ours = first <= INT_MAX ? private_next(first, last < INT_MAX ? last : INT_MAX) : INT_MAX;
    if (ours > last || ours > INT_MAX || !private_is((int)ours))
        return original_close_range(first, last, flags);
    int below = ours > first ? original_close_range(first, ours - 1, flags) : 0;
    return below != 0 || ours == last ? below : close_around(ours + 1, last, flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    if (flags & (int)CLOSE_RANGE_UNSHARE)
        copy_finish_for_tables();
    if (!(flags & (int)CLOSE_RANGE_CLOEXEC))
        copy_closing((int)first, last > INT_MAX ? INT_MAX : (int)last);
    return close_around(first, last, flags);
}

/* closefrom(3) ends the process if it cannot close, and looks through /proc on old kernels: libc's to do. */
EXPORT void closefrom(int first)
{
    int from = first < 0 ? 0 : first;
    copy_closing(from, INT_MAX);
    if (private_next((unsigned)from, INT_MAX) > INT_MAX || close_around((unsigned)from, ~0U, 0) != 0)
        original_closefrom(first);
}

/* Where one may be marked, by another number the mark would not be found again. */
static void duplicating(int fd)
{
    handed_forget();
    copy_look(fd);
}

EXPORT int dup(int fd)
{
    duplicating(fd);
    return copy_duplicated(fd, original_dup(fd));
}

EXPORT int dup2(int fd, int as)
{
    duplicating(fd);
    if (fd != as)
        copy_closing(as, as);
    return copy_duplicated(fd, original_dup2(fd, as));
}

EXPORT int dup3(int fd, int as, int flags)
{
    duplicating(fd);
    copy_closing(as, as);
    return copy_duplicated(fd, original_dup3(fd, as, flags));
}

EXPORT int fcntl(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    long argument = va_arg(rest, long);
    va_end(rest);
    if (command == F_GETFD || command == F_SETFD || command == F_GETFL)
        return original_fcntl(fd, command, argument);
    handed_forget();
    copy_settle(fd);
    if (command == F_SETLK || command == F_SETLKW)
        handed_lock_taken();
    int result = original_fcntl(fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copy_duplicated(fd, result) : result;
}

/* A request of ioctl_ficlonerange(2) has succeeded: the program has no need of us. */
static void note_clone(int fd, unsigned long request, const void *argument)
{
    const struct file_clone_range *range = argument;
    if (request == FICLONE)
        copy_note_own_clone((int)(intptr_t)argument, 0, fd, 0, 0);
    else if (request == FICLONERANGE)
        copy_note_own_clone((int)range->src_fd, (off_t)range->src_offset, fd, (off_t)range->dest_offset,
                            range->src_length);
}

/* Whether the request writes to the file (ioctl_ficlonerange(2)). */
static bool clones(unsigned long request)
{
    return request == FICLONE || request == FICLONERANGE;
}

/*
 * What is asked of a file, a folder or a disk may be about other files: FICLONE names its source, a Btrfs snapshot has all of
 * a tree, a loop device a file's size, and in a file system that is frozen (FIFREEZE) nothing can be cut back.
 */
static void asking(int fd)
{
    struct stat st;
    if (copy_running() && KERNEL(SYS_fstat, fd, &st) == 0 &&
        (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode)))
        copy_settle_all();
}

/* Of /dev/userfaultfd, as linux/userfaultfd.h has it since Linux 6.1; bynumber.c has why. */
#define NEW_USERFAULTFD _IO(0xAA, 0x00)

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (request == NEW_USERFAULTFD)
        copy_finish_for_good();
    bool counted = clones(request) && underway_begin(fd);
    asking(fd);
    int result = copy_changed(original_ioctl(fd, request, argument), counted);
    if (result == 0)
        note_clone(fd, request, argument);
    return result;
}

EXPORT int flock(int fd, int operation)
{
    copy_settle(fd);
    return original_flock(fd, operation);
}

EXPORT int lockf(int fd, int command, off_t n)
{
    copy_settle(fd);
    handed_lock_taken();
    return original_lockf(fd, command, n);
}

/* A message over a local socket may carry descriptors to another process (unix(7), SCM_RIGHTS). */
static void sending(int fd)
{
    handed_forget();
    int domain = 0;
    socklen_t length = sizeof domain;
    if (copy_running() && KERNEL(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX)
        copy_settle_all();
}

/*
 * The descriptors in a message that has been sent or received: what they mean another process has as well, and may have
 * begun to write. A number that was received may have been an own file's until it was closed unseen.
 */
static void shared_by(struct msghdr *message, void shared(int fd))
{
    struct cmsghdr *part = message->msg_controllen ? CMSG_FIRSTHDR(message) : NULL;
    for (; part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, (char *)part + at, sizeof fd);
            shared(fd);
        }
    }
}

static int all_shared_by(struct mmsghdr *messages, int count, void shared(int fd))
{
    for (int i = 0; i < count; i++)
        shared_by(&messages[i].msg_hdr, shared);
    return count;
}

static void sent_descriptor(int fd)
{
    recogniser_forget(fd);
    copy_given_away(fd);
    copy_settle(fd);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    sending(fd);
    ssize_t sent = original_sendmsg(fd, message, flags);
    if (sent >= 0) {
        struct msghdr copy = *message;
        shared_by(&copy, sent_descriptor);
    }
    return sent;
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    sending(fd);
    return all_shared_by(messages, original_sendmmsg(fd, messages, count, flags), sent_descriptor);
}

#if __GLIBC_PREREQ(2, 36)
int pidfd_getfd(int process, int fd, unsigned flags);
EXPORT int pidfd_getfd(int process, int fd, unsigned flags)
{
    int fetched = original_pidfd_getfd(process, fd, flags);
    copy_received(fetched);
    return fetched;
}
#endif

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t received = original_recvmsg(fd, message, flags);
    if (received >= 0)
        shared_by(message, copy_received);
    return received;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit)
{
    return all_shared_by(messages, original_recvmmsg(fd, messages, count, flags, limit), copy_received);
}
