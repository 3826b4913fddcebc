/*
 * stdio streams: libc reads, writes and closes their descriptors without calling any hook. A descriptor that belongs to
 * a stream is no destination of ours; here it is learnt which do, and what closes them.
 */
#define FAMILY_STDIO
#include "hook.h"

#include "../core/unseen.h"
#include "putting.h"

#include <errno.h>

/* A stream's descriptor, or -1 for one that has none (fmemopen); fileno(3) would set errno then. */
static int descriptor_of(FILE *stream)
{
    int kept = errno;
    int fd = fileno(stream);
    errno = kept;
    return fd;
}

/*
 * A stream has the number from now on. Another one may have it already: fdopen(3) makes a second, and a number that was
 * closed beneath a stream is used again. Of two, the one that is closed does not tell which is left.
 */
static void number_taken(int fd)
{
    if (unseen_add(&streamed, fd))
        unseen_add(&several, fd);
}

static FILE *stream_opened(FILE *stream)
{
    if (stream) {
        int fd = descriptor_of(stream);
        copy_opened(fd);
        number_taken(fd);
    }
    return stream;
}

static void stream_closing(FILE *stream)
{
    int fd = descriptor_of(stream);
    if (fd < 0)
        return;
    copy_closing(fd, fd);
    if (!unseen_holds(&several, fd))
        unseen_remove(&streamed, fd);
}

/* libc moves a stream that appends to the file's end when it opens it: not to what is ahead of the program. */
static void stream_opening(const char *path, const char *mode)
{
    if (path && mode[0] == 'a')
        copy_settle_path(AT_FDCWD, path, 0);
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    stream_opening(path, mode);
    return stream_opened(original_fopen(path, mode));
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
    copy_look(fd);
    FILE *stream = original_fdopen(fd, mode);
    /* Whose the descriptor is has not changed. */
    if (stream) {
        number_taken(fd);
        /* These have one from the start. */
        if (fd <= STDERR_FILENO)
            unseen_add(&several, fd);
    }
    return stream;
}

EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
    stream_closing(stream);
    stream_opening(path, mode);
    return stream_opened(original_freopen(path, mode, stream));
}

EXPORT FILE *setmntent(const char *path, const char *mode)
{
    stream_opening(path, mode);
    return stream_opened(original_setmntent(path, mode));
}

EXPORT FILE *tmpfile(void)
{
    return stream_opened(original_tmpfile());
}

EXPORT int fflush(FILE *stream)
{
    if (!stream)
        copy_settle_all();
    else if (copy_running() && !putting_serve_pending(stream))
        copy_settle(descriptor_of(stream));
    return original_fflush(stream);
}

EXPORT int fclose(FILE *stream)
{
    if (copy_running())
        putting_serve_pending(stream);
    stream_closing(stream);
    return original_fclose(stream);
}

EXPORT int endmntent(FILE *stream)
{
    if (stream)
        stream_closing(stream);
    return original_endmntent(stream);
}

/* Goes to the file's end inside libc, and writes there. */
EXPORT int addmntent(FILE *stream, const struct mntent *entry)
{
    copy_look(stream->_fileno);
    return original_addmntent(stream, entry);
}

/* Opens the file by itself, and writes at its end. */
EXPORT void updwtmp(const char *path, const struct utmp *entry)
{
    copy_settle_path(AT_FDCWD, path, 0);
    original_updwtmp(path, entry);
}

/* To that file go getutent(3), pututline(3), login(3) and all their kin from now on, and none of them is told its name. */
EXPORT int utmpname(const char *path)
{
    copy_finish();
    return original_utmpname(path);
}

/* These write to a descriptor inside libc. */
EXPORT int vdprintf(int fd, const char *format, va_list values)
{
    bool counted = copy_writing(fd);
    return (int)copy_wrote(fd, original_vdprintf(fd, format, values), counted);
}

EXPORT int dprintf(int fd, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int written = vdprintf(fd, format, values);
    va_end(values);
    return written;
}

int __vdprintf_chk(int fd, int flag, const char *format, va_list values);
EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list values)
{
    bool counted = copy_writing(fd);
    return (int)copy_wrote(fd, original___vdprintf_chk(fd, flag, format, values), counted);
}

int __dprintf_chk(int fd, int flag, const char *format, ...);
EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int written = __vdprintf_chk(fd, flag, format, values);
    va_end(values);
    return written;
}
