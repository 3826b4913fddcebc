/* Reads and writes at an offset of their own, of several buffers, or in the background. */
#define FAMILY_VECTORS
#include "hook.h"

EXPORT ssize_t pread(int fd, void *buf, size_t n, off_t from)
{
    copy_look(fd);
    return copy_read_at(fd, buf, original_pread(fd, buf, n, from), from);
}

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n, off_t from, size_t room)
{
    copy_look(fd);
    return copy_read_at(fd, buf, original___pread_chk(fd, buf, n, from, room), from);
}

EXPORT ssize_t pwrite(int fd, const void *buf, size_t n, off_t to)
{
    bool asks = n >= EXACT_LEAST && to >= 0 && copy_may_serve(fd, buf, n);
    if (asks)
        cancellation_point();
    bool counted = copy_writing(fd);
    if (asks && copy_write_at(fd, buf, n, to)) {
        copy_wrote(fd, 0, counted);
        return (ssize_t)n;
    }
    return copy_wrote(fd, original_pwrite(fd, buf, n, to), counted);
}

EXPORT ssize_t readv(int fd, const struct iovec *v, int count)
{
    copy_look(fd);
    return original_readv(fd, v, count);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int count)
{
    bool counted = copy_writing(fd);
    return copy_wrote(fd, original_writev(fd, v, count), counted);
}

EXPORT ssize_t preadv(int fd, const struct iovec *v, int count, off_t from)
{
    copy_look(fd);
    return original_preadv(fd, v, count, from);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int count, off_t to)
{
    bool counted = copy_writing(fd);
    return copy_wrote(fd, original_pwritev(fd, v, count, to), counted);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *v, int count, off_t from, int flags)
{
    copy_look(fd);
    return original_preadv2(fd, v, count, from, flags);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t to, int flags)
{
    bool counted = copy_writing(fd);
    return copy_wrote(fd, original_pwritev2(fd, v, count, to, flags), counted);
}

EXPORT int aio_read(struct aiocb *request)
{
    copy_look(request->aio_fildes);
    return original_aio_read(request);
}

EXPORT int aio_write(struct aiocb *request)
{
    copy_settle(request->aio_fildes);
    return original_aio_write(request);
}
