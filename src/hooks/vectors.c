/* Reads and writes at an offset of their own, of several buffers, or in the background. */
#define FAMILY_VECTORS
#include "hook.h"

EXPORT ssize_t pread(int fd, void *buf, size_t n, off_t from)
{
    copy_look(fd);
    return copy_read_at(fd, original_pread(fd, buf, n, from));
}

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n, off_t from, size_t room)
{
    copy_look(fd);
    return copy_read_at(fd, original___pread_chk(fd, buf, n, from, room));
}

EXPORT ssize_t pwrite(int fd, const void *buf, size_t n, off_t to)
{
    cancellation_point();
    if (to >= 0 && copy_pwrite(fd, buf, n, to))
        return (ssize_t)n;
    copy_settle(fd);
    return copy_wrote(fd, original_pwrite(fd, buf, n, to));
}

EXPORT ssize_t readv(int fd, const struct iovec *v, int count)
{
    copy_look(fd);
    return copy_read_pieces(fd, original_readv(fd, v, count));
}

static ssize_t pieces_length(const struct iovec *v, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += v[i].iov_len;
    return (ssize_t)n;
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int count)
{
    cancellation_point();
    if (copy_writev(fd, v, count, -1))
        return pieces_length(v, count);
    copy_settle(fd);
    return copy_wrote(fd, original_writev(fd, v, count));
}

EXPORT ssize_t preadv(int fd, const struct iovec *v, int count, off_t from)
{
    copy_look(fd);
    return copy_read_at(fd, original_preadv(fd, v, count, from));
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int count, off_t to)
{
    cancellation_point();
    if (to >= 0 && copy_writev(fd, v, count, to))
        return pieces_length(v, count);
    copy_settle(fd);
    return copy_wrote(fd, original_pwritev(fd, v, count, to));
}

EXPORT ssize_t preadv2(int fd, const struct iovec *v, int count, off_t from, int flags)
{
    copy_look(fd);
    return copy_read_at(fd, original_preadv2(fd, v, count, from, flags));
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t to, int flags)
{
    cancellation_point();
    if (to >= -1 && flags == 0 && copy_writev(fd, v, count, to))
        return pieces_length(v, count);
    copy_settle(fd);
    return copy_wrote(fd, original_pwritev2(fd, v, count, to, flags));
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
