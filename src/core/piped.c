#include "piped.h"

#include "../buffers/compare.h"
#include "owned.h"
#include "syscalls.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct piped piped;

static bool same_pipe(int a, int b)
{
    struct stat first, second;
    return KERNEL(SYS_fstat, a, &first) == 0 && KERNEL(SYS_fstat, b, &second) == 0 && S_ISFIFO(first.st_mode) &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

bool piped_fills(const struct piped *from, int pipe)
{
    int holds = 0;
    if (!owned_holds_pipe(from->end) || !owned_holds_pipe(pipe) || !same_pipe(from->end, pipe))
        return false;
    /* In packets (O_DIRECT, pipe(2)) what was put back would come in other pieces. */
    long flags = KERNEL(SYS_fcntl, from->end, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || flags & O_DIRECT)
        return false;
    /* The other end: from the one for writing nothing is spliced (EBADF), and vmsplice(2) would fill the pipe by it. */
    flags = KERNEL(SYS_fcntl, pipe, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY)
        return false;
    /* Room for as many bytes, by whole pages: what was taken out can be put back. */
    return KERNEL(SYS_ioctl, pipe, FIONREAD, &holds) == 0 && holds > 0 && (size_t)holds == from->n &&
           KERNEL(SYS_fcntl, pipe, F_GETPIPE_SZ) >= holds;
}

/* Little address space is left to the program. */
static bool may_take(const struct compare_scratch *scratch, size_t n)
{
    struct rlimit limit;
    return n <= scratch->room ||
           (KERNEL(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
}

bool piped_drain(int pipe, struct iovec *bytes)
{
    static struct compare_scratch drained;
    if (!may_take(&drained, bytes->iov_len) || !compare_take(&drained, bytes->iov_len))
        return false;
    bytes->iov_base = drained.bytes;
    /* By the way that splice(2) takes them out (__splice_from_pipe() in fs/splice.c), and wakes who waits for room. */
    long moved = KERNEL(SYS_vmsplice, pipe, bytes, 1, 0);
    bytes->iov_len = moved > 0 ? (size_t)moved : 0;
    return moved > 0;
}
