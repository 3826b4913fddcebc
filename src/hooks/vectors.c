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
    before_room_check(1, n, room);
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
    return copy_read_pieces(fd, v, count, original_readv(fd, v, count), -1);
}

/* At the descriptor's offset: the bytes that are there already, or 0. */
static ssize_t served_at_offset(int fd, const struct iovec *v, int count)
{
    if (!copy_may_serve_pieces(fd))
        return 0;
    cancellation_point();
    return (ssize_t)copy_write_pieces(fd, v, count, -1);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int count)
{
    ssize_t served = served_at_offset(fd, v, count);
    if (served)
        return served;
    bool counted = copy_writing(fd);
    return copy_wrote(fd, original_writev(fd, v, count), counted);
}

EXPORT ssize_t preadv(int fd, const struct iovec *v, int count, off_t from)
{
    copy_look(fd);
    return copy_read_pieces(fd, v, count, original_preadv(fd, v, count, from), from);
}

/* What goes to an offset of its own: the bytes that are there already, or 0. *counted is for copy_wrote(). */
static ssize_t served_at(int fd, const struct iovec *v, int count, off_t to, bool *counted)
{
    bool asks = to >= 0 && copy_may_serve_pieces(fd);
    if (asks)
        cancellation_point();
    *counted = copy_writing(fd);
    return asks ? (ssize_t)copy_write_pieces(fd, v, count, to) : 0;
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int count, off_t to)
{
    bool counted;
    ssize_t served = served_at(fd, v, count, to, &counted);
    ssize_t written = served ? 0 : original_pwritev(fd, v, count, to);
    copy_wrote(fd, written, counted);
    return served ? served : written;
}

EXPORT ssize_t preadv2(int fd, const struct iovec *v, int count, off_t from, int flags)
{
    copy_look(fd);
    return copy_read_pieces(fd, v, count, original_preadv2(fd, v, count, from, flags), from);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t to, int flags)
{
    bool counted;
    ssize_t served = to == -1 && !flags ? served_at_offset(fd, v, count) : 0;
    if (served)
        return served;
    served = served_at(fd, v, count, flags ? -1 : to, &counted);
    ssize_t written = served ? 0 : original_pwritev2(fd, v, count, to, flags);
    copy_wrote(fd, written, counted);
    return served ? served : written;
}

/* What aio(7) does glibc does in threads: what is not for a program of several ends first. */
static void starting_thread(void)
{
    copy_settle_streams();
    copy_lazy_ending();
}

EXPORT int aio_read(struct aiocb *request)
{
    copy_leaving_for_later(request->aio_fildes, false);
    starting_thread();
    return original_aio_read(request);
}

EXPORT int aio_write(struct aiocb *request)
{
    copy_leaving_for_later(request->aio_fildes, true);
    starting_thread();
    return original_aio_write(request);
}

EXPORT int aio_fsync(int operation, struct aiocb *request)
{
    copy_look(request->aio_fildes);
    starting_thread();
    return original_aio_fsync(operation, request);
}

EXPORT int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *event)
{
    /* In another mode the list is not looked at, and may be nowhere. */
    for (int i = 0; (mode == LIO_WAIT || mode == LIO_NOWAIT) && i < count; i++)
        if (list[i] && list[i]->aio_lio_opcode != LIO_NOP)
            copy_leaving_for_later(list[i]->aio_fildes, list[i]->aio_lio_opcode != LIO_READ);
    starting_thread();
    return original_lio_listio(mode, list, count, event);
}
