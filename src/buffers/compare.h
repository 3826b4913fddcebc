/* Proof by comparing: the program's buffer holds what the source holds. */
#ifndef LIBOFFLOAD_COMPARE_H
#define LIBOFFLOAD_COMPARE_H

#include "../core/reasons.h"

#include <stddef.h>
#include <sys/types.h>

/* Bytes of scratch memory that a comparison needs: small enough to stay in a core's cache. */
#define COMPARE_SCRATCH ((size_t)64 << 10)

/*
 * Compares the n bytes at `buffer`, memory of the program that may be unreadable, with those at `from` in the source.
 * `scratch` is COMPARE_SCRATCH bytes, page aligned, of the caller's own. Returns REASON_NONE if all are equal,
 * REASON_CHANGED_BYTES if not or if the source ends before, REASON_BUFFER_GONE if the buffer cannot be read. The
 * source is read with pread(2): its offset does not move. Safe in a signal handler.
 */
enum reason compare_buffer(const void *buffer, size_t n, int source, off_t from, void *scratch);

#endif
