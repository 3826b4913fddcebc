/* read, write, and what moves a file's offset and end. */
#define FAMILY_FILEIO
#include "hook.h"

/* While a copy runs, a read need not be made, perhaps: the bytes it would have given, or 0. */
static __attribute__((noinline)) size_t read_in_copy(int fd, void *buf, size_t n)
{
    size_t there = 0;
    if (settings.lazy) {
        cancellation_point();
        there = copy_read_lazily(fd, buf, n);
    }
    if (!there)
        copy_look(fd);
    return there;
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
    size_t there = copy_running() ? read_in_copy(fd, buf, n) : 0;
    return copy_read(fd, buf, there ? (ssize_t)there : original_read(fd, buf, n));
}

EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
    before_room_check(1, n, room);
    size_t there = copy_running() ? read_in_copy(fd, buf, n) : 0;
    return copy_read(fd, buf, there ? (ssize_t)there : original___read_chk(fd, buf, n, room));
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
    if (copy_may_serve(fd, buf, n)) {
        cancellation_point();
        if (copy_write(fd, buf, n))
            return (ssize_t)n;
    }
    bool counted = copy_writing(fd);
    return copy_wrote(fd, original_write(fd, buf, n), counted);
}

/* Programs ask for the offset all through a copy (dd, Python, ddrescue); it is always exact. The end may not be. */
EXPORT off_t lseek(int fd, off_t offset, int whence)
{
    copy_seeking(fd, offset, whence);
    return original_lseek(fd, offset, whence);
}

EXPORT int ftruncate(int fd, off_t size)
{
    bool counted = copy_writing(fd);
    return copy_changed(original_ftruncate(fd, size), counted);
}

EXPORT int fallocate(int fd, int mode, off_t from, off_t n)
{
    bool counted = copy_writing(fd);
    return copy_changed(original_fallocate(fd, mode, from, n), counted);
}

EXPORT int posix_fallocate(int fd, off_t from, off_t n)
{
    bool counted = copy_writing(fd);
    return copy_changed(original_posix_fallocate(fd, from, n), counted);
}

/*
 * What is ahead of the program is not to be put on the disk with what it has written: after a power cut the file would be longer
 * than the program has left it, however it went on and whenever it ended.
 */

EXPORT int fsync(int fd)
{
    copy_look(fd);
    return original_fsync(fd);
}

EXPORT int fdatasync(int fd)
{
    copy_look(fd);
    return original_fdatasync(fd);
}

EXPORT int syncfs(int fd)
{
    copy_settle_all();
    return original_syncfs(fd);
}

EXPORT void sync(void)
{
    copy_settle_all();
    original_sync();
}
