/* Proof by comparing: the program's buffer holds what the source holds. */
#ifndef LIBOFFLOAD_COMPARE_H
#define LIBOFFLOAD_COMPARE_H

#include "../core/reasons.h"

#include <stddef.h>
#include <sys/types.h>

/* Bytes of scratch memory that a comparison needs: small enough to stay in a core's cache. */
#define COMPARE_SCRATCH ((size_t)64 << 10)

/*
 * What was read of the source last: a program that writes in small pieces has it read once for many of them. Whoever
 * holds it must see that the source has not changed since, or forget it.
 */
struct compare_scratch {
    char *bytes; /* COMPARE_SCRATCH of them, page aligned, the holder's own; or NULL */
    off_t from;  /* in the source */
    size_t held; /* bytes from there on, 0 if none */
};

static inline void compare_forget(struct compare_scratch *scratch)
{
    scratch->held = 0;
}

/*
 * Compares the n bytes at `buffer`, memory of the program that may be unreadable, with those at `from` in the source,
 * as far as `scratch` holds them, and else as they are now. Returns REASON_NONE if all are equal,
 * REASON_CHANGED_BYTES if not or if the source ends before, REASON_BUFFER_GONE if the buffer cannot be read. The
 * source is read with pread(2): its offset does not move. Safe in a signal handler.
 */
enum reason compare_buffer(const void *buffer, size_t n, int source, off_t from, struct compare_scratch *scratch);

/* As compare_buffer(), for bytes whose neighbours in the source will not be asked for: no more is read than these. */
enum reason compare_exactly(const void *buffer, size_t n, int source, off_t from, struct compare_scratch *scratch);

#endif
