/*
 * Reads and writes of stdio streams. libc reads and writes their descriptors where no hook sees it; what fread and
 * fwrite are about to do is known beforehand all the same (putting.h).
 */
#define FAMILY_STREAMS
#include "hook.h"

#include "../core/unseen.h"
#include "putting.h"

/* libc has macros of these names (bits/stdio.h). */
#undef fread_unlocked
#undef fwrite_unlocked

/* ---- writing ---- */

/* fwrite of n bytes, as an offload: true if it is done. A stream that other threads may use is left alone. */
static bool served(FILE *stream, const void *data, size_t n)
{
    if (!*underway_single || !owned_holds(stream->_fileno) || !copy_may_serve_pieces(stream->_fileno) || copy_over())
        return false;
    putting_begin(stream, n);
    if (!putting_known(stream))
        return false;
    /* What was never opened, standard output, is a stream like others from here on: more may be put unseen. */
    unseen_add(&streamed, stream->_fileno);
    cancellation_point();
    return putting_serve(stream, data, n);
}

/* fwrite that is going to write to the stream's descriptor. */
static __attribute__((noinline)) size_t write_stream(const void *data, size_t size, size_t count, FILE *stream,
                                                     size_t (*original)(const void *, size_t, size_t, FILE *))
{
    int fd = stream->_fileno;
    size_t pending = putting_pending(stream);
    if (served(stream, data, size * count))
        return count;
    bool counted = copy_writing(fd);
    size_t whole = original(data, size, count, stream);
    /* Another thread may have closed the stream by now. */
    size_t left = *underway_single ? putting_pending(stream) : pending;
    copy_wrote(fd, (ssize_t)(pending + size * whole - left), counted);
    return whole;
}

EXPORT size_t fwrite(const void *data, size_t size, size_t count, FILE *stream)
{
    if (!putting_writes(stream, size * count))
        return original_fwrite(data, size, count, stream);
    return write_stream(data, size, count, stream, original_fwrite);
}

EXPORT size_t fwrite_unlocked(const void *data, size_t size, size_t count, FILE *stream)
{
    if (!putting_writes(stream, size * count))
        return original_fwrite_unlocked(data, size, count, stream);
    return write_stream(data, size, count, stream, original_fwrite_unlocked);
}

/* ---- reading ---- */

/*
 * Leaves a note of what was read, if the bytes are those before the descriptor's offset; else of the file alone. None
 * where another thread may have closed the stream by now. In each hook itself: a call would cost as much as the half of it.
 */
static inline __attribute__((always_inline)) size_t note_read(const FILE *stream, const void *data, size_t size,
                                                              size_t count)
{
    size_t n = size * count;
    if (n < GUESS_LEAST || !*underway_single || stream->_fileno < 0)
        return count;
    if (stream->_IO_read_ptr == stream->_IO_read_end)
        recogniser_note(stream->_fileno, data, n);
    else if (!recogniser_is_irregular(stream->_fileno))
        recogniser_note_source(stream->_fileno);
    return count;
}

EXPORT size_t fread(void *data, size_t size, size_t count, FILE *stream)
{
    return note_read(stream, data, size, original_fread(data, size, count, stream));
}

EXPORT size_t fread_unlocked(void *data, size_t size, size_t count, FILE *stream)
{
    return note_read(stream, data, size, original_fread_unlocked(data, size, count, stream));
}

EXPORT size_t __fread_chk(void *data, size_t room, size_t size, size_t count, FILE *stream)
{
    before_room_check(size, count, room);
    return note_read(stream, data, size, original___fread_chk(data, room, size, count, stream));
}

EXPORT size_t __fread_unlocked_chk(void *data, size_t room, size_t size, size_t count, FILE *stream)
{
    before_room_check(size, count, room);
    return note_read(stream, data, size, original___fread_unlocked_chk(data, room, size, count, stream));
}

/* These end the process as __fread_chk does, but only when they have met a line that is too long. */

EXPORT char *__fgets_chk(char *line, size_t room, int n, FILE *stream)
{
    if (n > 0 && (size_t)n > room)
        copy_settle_all();
    return original___fgets_chk(line, room, n, stream);
}

EXPORT char *__fgets_unlocked_chk(char *line, size_t room, int n, FILE *stream)
{
    if (n > 0 && (size_t)n > room)
        copy_settle_all();
    return original___fgets_unlocked_chk(line, room, n, stream);
}

/* ---- seeking: from the file's end perhaps, and what is written next is written elsewhere ---- */

EXPORT int fseek(FILE *stream, long offset, int whence)
{
    copy_look(stream->_fileno);
    return original_fseek(stream, offset, whence);
}

EXPORT int fseeko(FILE *stream, off_t offset, int whence)
{
    copy_look(stream->_fileno);
    return original_fseeko(stream, offset, whence);
}

EXPORT int fsetpos(FILE *stream, const fpos_t *position)
{
    copy_look(stream->_fileno);
    return original_fsetpos(stream, position);
}

EXPORT void rewind(FILE *stream)
{
    copy_look(stream->_fileno);
    original_rewind(stream);
}
