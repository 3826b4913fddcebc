/* Copies that the program asks the kernel for: no byte passes through the program. */
#define FAMILY_KERNELCOPY
#include "hook.h"

#include <errno.h>
#include <sys/syscall.h>

/* What one call of the program's gives of which a part is copied, and the rest was asked of the original. */
static ssize_t with_rest(size_t copied, ssize_t more, int error)
{
    if (more > 0)
        return (ssize_t)copied + more;
    errno = error;
    return (ssize_t)copied;
}

EXPORT ssize_t sendfile(int out, int in, off_t *from, size_t n)
{
    size_t rest;
    int error = errno;
    copy_look(in);
    size_t copied = copy_between(out, in, from, n, &rest);
    if (copied && !rest)
        return (ssize_t)copied;
    bool counted = copy_writing(out);
    ssize_t more = copy_wrote(out, original_sendfile(out, in, from, copied ? rest : n), counted);
    return copied ? with_rest(copied, more, error) : more;
}

/* The kernel shares extents for this call, and asks servers, by itself: only what it cannot do is served. */
static ssize_t copy_a_range(const long a[6], ssize_t (*original)(const long a[6]))
{
    struct copied_range asked = {(int)a[0], (int)a[2], (off_t *)a[1], (off_t *)a[3], (size_t)a[4], 0};
    long rest[6] = {a[0], a[1], a[2], a[3], 0, a[5]};
    int error = errno;
    copy_look(asked.in);
    bool counted = copy_writing(asked.out);
    size_t copied = (unsigned)a[5] ? 0 : copy_range(&asked);
    if (!copied)
        copy_note_own_call(asked.in, asked.out);
    rest[4] = copied ? (long)asked.rest : a[4];
    ssize_t more = copied && !asked.rest ? 0 : original(rest);
    copy_wrote(asked.out, more, counted);
    return copied ? with_rest(copied, more, error) : more;
}

static ssize_t range_by_name(const long a[6])
{
    return original_copy_file_range((int)a[0], (off_t *)a[1], (int)a[2], (off_t *)a[3], (size_t)a[4], (unsigned)a[5]);
}

static ssize_t range_by_number(const long a[6])
{
    return original_syscall(SYS_copy_file_range, a[0], a[1], a[2], a[3], a[4], a[5]);
}

EXPORT ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags)
{
    return copy_a_range((const long[6]){in, (long)from, out, (long)to, (long)n, flags}, range_by_name);
}

long copy_range_by_number(const long a[6])
{
    return copy_a_range(a, range_by_number);
}

/* The second of two calls that copy through a pipe. 0: it is to be made. */
static ssize_t splice_pair(int in, int out, off_t *to, size_t n, unsigned flags)
{
    cancellation_point();
    long spliced = copy_splice(in, out, to, n, flags);
    if (spliced >= 0)
        return spliced;
    errno = (int)-spliced;
    return -1;
}

EXPORT ssize_t splice(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags)
{
    ssize_t spliced = !from && copy_may_splice(in, out) ? splice_pair(in, out, to, n, flags) : 0;
    if (spliced)
        return spliced;
    copy_look(in);
    bool counted = copy_writing(out);
    return copy_spliced(in, from, out, copy_wrote(out, original_splice(in, from, out, to, n, flags), counted));
}
