/* Proof by comparing: the program's buffer holds what the source holds. */
#ifndef LIBOFFLOAD_COMPARE_H
#define LIBOFFLOAD_COMPARE_H

#include "../core/reasons.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The most that is read of the source at once: small enough to stay in a core's cache. */
#define COMPARE_SCRATCH ((size_t)128 << 10)

/* And the least. */
#define COMPARE_LEAST ((size_t)16 << 10)

/*
 * What was read of the source last: a program that writes in small pieces has it read once for many of them. Whoever
 * holds it must see that the source had not changed until then, or forget it.
 */
struct compare_scratch {
    char *bytes; /* the holder's own, page aligned; or NULL */
    size_t room; /* bytes there, COMPARE_SCRATCH or more */
    off_t from;  /* in the source */
    size_t held; /* bytes from there on, 0 if none */
    bool known;  /* to the holder: the source had not changed when they were read; gone with the next read */
    size_t step; /* bytes that are read at once, COMPARE_LEAST to COMPARE_SCRATCH */
};

static inline void compare_forget(struct compare_scratch *scratch)
{
    scratch->held = 0;
    scratch->known = false;
}

/*
 * Sees to it that there is room for n bytes, COMPARE_SCRATCH at least; what was held is forgotten where it is made
 * larger. False if the process may not have the memory: what there was stays.
 */
bool compare_take(struct compare_scratch *scratch, size_t n);

/*
 * So many bytes are going to be compared in all. The first touch of a page costs more than a call for it, on a virtual
 * machine fifty times as much, so of a small source less is read at once.
 */
void compare_expect(struct compare_scratch *scratch, off_t whole);

/* Gives all of it back. */
void compare_drop(struct compare_scratch *scratch);

/*
 * Whether n bytes of the program's memory can be read without a signal: none of them lies where nothing is mapped, is
 * not allowed or is beyond a mapped file's end. What wraps around the end of memory, or is not the program's, cannot.
 * Costs a system call for each page; of seven pages and more one or two in all, and one more for each MiB, on Linux 5.14 and
 * later. Safe in a signal handler.
 */
bool compare_readable(const void *bytes, size_t n);

/*
 * Has the kernel read n bytes of the program's memory (process_vm_readv(2)). False if they are not all there, and under a
 * seccomp filter. Safe in a signal handler.
 */
bool compare_fetch(void *to, const void *bytes, size_t n);

/* Whether that is in the range of addresses that a program's memory can have, whatever is there. */
bool compare_is_memory(const void *bytes, size_t n);

/*
 * The program has mapped a file: from now on what is compared may go while it is compared, where somebody truncates the
 * file, and a load would end the process (SIGBUS). It is then read by the kernel first, which costs another copy.
 */
void compare_what_may_go(void);

/*
 * The program is about to make memory that it may not read (mprotect(2), pkeys(7)), or that is shared, where a guard hides a
 * page that is there: from now on that it is there is not enough, and it is touched by the kernel first.
 */
void compare_what_may_be_forbidden(void);

/*
 * Whether the first and the last bytes of n > 0 at `buffer`, a few hundred at most, are those at that place in the
 * source: worth a closer look. The memory is known to be readable.
 */
bool compare_begins(const void *buffer, size_t n, int source, off_t from);

/*
 * Compares the n bytes at `buffer`, memory of the program that may be unreadable, with those at `from` in the source,
 * as far as `scratch` holds them, and else as they are now. Returns REASON_NONE if all are equal,
 * REASON_CHANGED_BYTES if not or if the source ends before, REASON_BUFFER_GONE if the buffer cannot be read. The
 * source is read with pread(2): its offset does not move. Safe in a signal handler.
 */
enum reason compare_buffer(const void *buffer, size_t n, int source, off_t from, struct compare_scratch *scratch);

/* The same, of n > 0 bytes, with what the scratch holds alone; what it lacks counts as other bytes. Reads no file. */
enum reason compare_held(const void *buffer, size_t n, off_t from, const struct compare_scratch *scratch);

/*
 * As compare_buffer(), for n bytes of those that the pieces hold one after the other, from byte `skip` on. There are as
 * many. `held_only`: as compare_held().
 */
enum reason compare_pieces(const struct iovec *pieces, size_t skip, size_t n, int source, off_t from,
                           struct compare_scratch *scratch, bool held_only);

/* Reads n bytes at `from` of the source, not more than there is room for, and holds them. False if there are fewer. */
bool compare_hold(struct compare_scratch *scratch, int source, off_t from, size_t n);

/* Reads the first n of the bytes that are held once more: whether they are still the same. Holds these alone then. */
bool compare_holds_still(struct compare_scratch *scratch, int source, size_t n);

#endif
