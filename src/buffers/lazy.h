/*
 * Lazy buffers: a read that is not done until somebody looks.
 *
 * The whole pages of the program's buffer are emptied, and filled with the bytes of the read at the moment they are
 * touched, by whomever (filler.h). If nobody has touched them when the program writes them out, no byte has moved, and
 * the filler's books are the proof. What lies in the part pages at the buffer's ends is read and compared.
 *
 * Only in a process with one thread: another could put new memory where a buffer was unmapped, in the moment before
 * the kernel tells of it.
 *
 * Calls belong to the copy whose session is locked; all signals are blocked, but in lazy_is_orphaned().
 */
#ifndef LIBOFFLOAD_LAZY_H
#define LIBOFFLOAD_LAZY_H

#include "../core/guards.h"
#include "../core/reasons.h"
#include "filler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The lazy side of one copy, of which a process has room for a thousand: small. All zero: it has none. */
struct lazy_copy {
    enum reason refused; /* why it is not on (any more), or REASON_NONE */
    unsigned faults;     /* how many touches had to be filled in all */
    bool on;
    uint8_t feed;  /* its place at the filler */
    uint8_t looks; /* how often the program looked at a buffer */
    uint8_t moves; /* how often a buffer was given up for another */
};

/* Where a copy's bytes are: the program's descriptors, and the files' states. */
struct lazy_files {
    int source, destination;
    off_t shift; /* an offset in the destination, less that of the same byte in the source */
    const struct file_state *source_state, *destination_state;
};

/* Makes a copy lazy. REASON_NONE, or why it cannot be; then nothing has changed. */
enum reason lazy_begin(struct lazy_copy *copy, const struct lazy_files *files);

/* Whether a read of n bytes into the buffer is large enough to be lazy. Looks at the numbers only. */
bool lazy_pays(const void *buffer, size_t n);

/*
 * Makes the buffer's whole pages lazy, as if n bytes at `from` had been read into them, and reads the part pages. The
 * destination must have these bytes. False: the read has to be made; nothing of the buffer has changed but what the read
 * overwrites, and no page of it is lazy.
 */
bool lazy_read(struct lazy_copy *copy, const struct lazy_files *files, void *buffer, size_t n, off_t from);

/* Tells that the destination is left in that state now, by the library itself. Nothing happens if the copy is not lazy. */
void lazy_renew(const struct lazy_copy *copy, const struct file_state *destination);

enum lazy_proof {
    LAZY_UNPROVEN,
    LAZY_WHOLE_PAGES, /* the part pages at the ends are still to be compared with the source */
    LAZY_ALL,
};

/*
 * What is known of the buffer that is written: that it is as a lazy read from `from` left it, which is what the destination
 * has. *pages is set in any case.
 */
enum lazy_proof lazy_prove(struct lazy_copy *copy, const void *buffer, size_t n, off_t from, struct span *pages);

/* Fills what is still empty and ends the copy's laziness. Nothing happens if it is not on. */
void lazy_end(struct lazy_copy *copy, enum reason why);

/* What is lazy of n bytes from `at` on is filled: something is about to be done to them that events do not tell. */
void lazy_let_go(const void *at, size_t n);

/* Whether the filler was killed while pages may be owed. */
bool lazy_is_orphaned(void);

/* In a fork's child: the filler is the parent's. */
void lazy_forget(void);

#endif
