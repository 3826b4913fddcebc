/*
 * What glibc's fwrite(3) does with a stream that is only written to: which bytes it writes to the descriptor now, which
 * it keeps in the buffer. Where an offload does that write in its place, the stream is left as fwrite would leave it.
 *
 * This is the only place that sets a stream's fields; hooks of streams read some as well. Their places cannot change: programs
 * compiled with putc_unlocked(3) set them (bits/types/struct_FILE.h). What is relied on besides is in docs/decisions/020.
 */
#ifndef LIBOFFLOAD_PUTTING_H
#define LIBOFFLOAD_PUTTING_H

#include "../core/recogniser.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes that the stream's buffer holds and the descriptor has not been given. */
static inline size_t putting_pending(const FILE *stream)
{
    return (size_t)(stream->_IO_write_ptr - stream->_IO_write_base);
}

/* Bytes for which the buffer has room; none if it is not used. */
static inline size_t putting_room(const FILE *stream)
{
    return stream->_IO_write_end > stream->_IO_write_ptr ? (size_t)(stream->_IO_write_end - stream->_IO_write_ptr) : 0;
}

/*
 * Whether putting n bytes into the stream makes a write worth a look. Of any stream; asked at each fwrite of a program.
 * Where nothing is put there need not be one: fwrite(3) returns before it looks at it (_IO_fwrite() in libio/iofwrite.c).
 */
static inline bool putting_writes(const FILE *stream, size_t n)
{
    return n && n > putting_room(stream) && putting_pending(stream) + n >= GUESS_LEAST;
}

/*
 * If nothing was put into the stream yet, has libc give it its buffer, as fwrite(3) of n bytes would: which finds no room
 * in it then, and writes all that it can at once.
 */
void putting_begin(FILE *stream, size_t n);

/* Whether the stream is one whose writes are known here. Not to be asked where another thread may use it. */
bool putting_known(const FILE *stream);

/*
 * fwrite(3) of n bytes to a stream that is known, where putting_writes(). True: the bytes are written, and those that
 * fwrite would keep are in the buffer. False: nothing has happened.
 */
bool putting_serve(FILE *stream, const void *data, size_t n);

/*
 * The same for what fflush(3) or fclose(3) write. Whether a stream that is known holds nothing (any more), so that these
 * have nothing to write.
 */
bool putting_serve_pending(FILE *stream);

#endif
