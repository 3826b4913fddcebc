#include "putting.h"

#include "../core/copy.h"
#include "../core/guards.h"
#include "lookup.h"

/* libio/libio.h of glibc: _IO_MAGIC and the bits of FILE._flags that decide what fwrite does. */
enum {
    MAGIC = (int)0xFBAD0000,
    MAGIC_MASK = (int)0xFFFF0000,
    UNBUFFERED = 0x0002,
    NO_READS = 0x0004,
    NO_WRITES = 0x0008,
    ERR_SEEN = 0x0020,
    IN_BACKUP = 0x0100,
    LINE_BUF = 0x0200,
    CURRENTLY_PUTTING = 0x0800,
    IS_APPENDING = 0x1000,
    DECIDING = MAGIC_MASK | NO_READS | NO_WRITES | ERR_SEEN | IN_BACKUP | LINE_BUF | CURRENTLY_PUTTING | IS_APPENDING,
};

/* Of FILE._flags2: a mapped file; writes that are no cancellation points (mode "c"). */
enum { MAPPED = 1, NOT_CANCELLED = 2 };

/* Smaller buffers are filled without regard to blocks (_IO_new_file_xsputn() in libio/fileops.c). */
#define SMALLEST_BLOCK 128

/*
 * Whether the table of the stream's functions, which lies behind it (struct _IO_FILE_plus, libio/libioP.h), is that for files.
 * fopencookie(3), popen(3), wide streams and those of another libc in the process (dlmopen(3)) have others.
 */
static bool is_on_file(const FILE *stream)
{
    static const void *file_functions;
    if (!file_functions)
        file_functions = lookup_next("_IO_file_jumps");
    return file_functions && *(const void *const *)(stream + 1) == file_functions;
}

/*
 * A file's stream, for writing alone. `putting`: whether it has been written to, which makes it one of bytes (fwide(3)); until
 * then it is none, and not wide either.
 */
static bool is_for_writing(const FILE *stream, int putting)
{
    return THREADS_ARE_SEEN && (stream->_flags & DECIDING) == (MAGIC | NO_READS | putting) &&
           !(stream->_flags2 & (MAPPED | NOT_CANCELLED)) && stream->_mode == (putting ? -1 : 0) &&
           stream->_cur_column == 0 && stream->_vtable_offset == 0 && stream->_fileno >= 0 && is_on_file(stream);
}

/* Where new_do_write() puts the end of the room. */
static char *room_end(const FILE *stream)
{
    return stream->_flags & UNBUFFERED ? stream->_IO_buf_base : stream->_IO_buf_end;
}

/* Every pointer is where new_do_write() has put it, but for the bytes that the buffer has taken since. */
static bool pointers_fit(const FILE *stream)
{
    const char *base = stream->_IO_buf_base, *end = room_end(stream);
    return base && stream->_IO_buf_end > base && stream->_IO_read_base == base && stream->_IO_read_ptr == base &&
           stream->_IO_read_end == base && stream->_IO_write_base == base &&
           (stream->_IO_write_end == end || (stream->_IO_write_end == base && stream->_IO_write_ptr == base)) &&
           stream->_IO_write_ptr >= base && stream->_IO_write_ptr <= end && !stream->_IO_save_base;
}

void putting_begin(FILE *stream, size_t n)
{
    struct file_state file;
    /* A terminal's stream turns out to be line buffered: then it is to be told by the write itself. */
    if (!is_for_writing(stream, 0) || stream->_IO_write_base || !guard_look(stream->_fileno, &file))
        return;
    __overflow(stream, EOF); /* as putc_unlocked(3) does */
    if (n >= (size_t)(stream->_IO_buf_end - stream->_IO_buf_base))
        stream->_IO_write_end = stream->_IO_write_ptr;
}

bool putting_known(const FILE *stream)
{
    return is_for_writing(stream, CURRENTLY_PUTTING) && pointers_fit(stream);
}

/* The buffer is empty, n bytes having been written (_IO_new_file_write(), new_do_write()). */
static void leave_empty(FILE *stream, size_t n)
{
    stream->_IO_write_ptr = stream->_IO_write_base;
    stream->_IO_write_end = room_end(stream);
    if (stream->_offset >= 0)
        stream->_offset += (off_t)n;
}

/* Whether it is the stream's own buffer, perhaps, that is put: what goes through the buffer changes it on the way. */
static bool is_of_buffer(const FILE *stream, const void *data, size_t n)
{
    uintptr_t from = (uintptr_t)data, base = (uintptr_t)stream->_IO_buf_base, end = (uintptr_t)stream->_IO_buf_end;
    return from < end && (base < from || n > base - from);
}

bool putting_serve(FILE *stream, const void *data, size_t n)
{
    size_t room = putting_room(stream), block = (size_t)(stream->_IO_buf_end - stream->_IO_buf_base);
    if (n <= room || is_of_buffer(stream, data, n))
        return false;
    size_t kept = block >= SMALLEST_BLOCK ? (n - room) % block : 0, written = n - kept;
    const struct iovec pieces[2] = {{stream->_IO_write_base, putting_pending(stream)}, {(void *)data, written}};
    size_t all = pieces[0].iov_len + written;
    /* Not all that finds no room is written: a buffer that setvbuf(3) has given has none at first. */
    if (all == 0 || copy_write_stream(stream->_fileno, pieces, 2) != all)
        return false;
    __builtin_memcpy(stream->_IO_write_ptr, data, room);
    leave_empty(stream, all);
    __builtin_memcpy(stream->_IO_write_ptr, (const char *)data + written, kept);
    stream->_IO_write_ptr += kept;
    return true;
}

bool putting_serve_pending(FILE *stream)
{
    if (!*underway_single || !putting_known(stream))
        return false;
    const struct iovec piece = {stream->_IO_write_base, putting_pending(stream)};
    if (piece.iov_len == 0)
        return true;
    if (copy_write_stream(stream->_fileno, &piece, 1) != piece.iov_len)
        return false;
    leave_empty(stream, piece.iov_len);
    return true;
}
