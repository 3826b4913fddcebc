/*
 * Which descriptors the program uses behind our back: those of its stdio streams, whose buffers libc writes without
 * calling any hook, and those it has mapped into memory.
 *
 * A set of descriptor numbers. It may hold a number too many, after a close that no hook saw: that costs a copy its
 * offload. A number beyond its range counts as held as soon as one beyond it was added.
 */
#ifndef LIBOFFLOAD_UNSEEN_H
#define LIBOFFLOAD_UNSEEN_H

#include <stdbool.h>
#include <stdint.h>

#define UNSEEN_RANGE 4096

struct unseen_use {
    uint8_t held[UNSEEN_RANGE / 8];
    bool beyond;
};

extern struct unseen_use streamed, mapped;

/* Adds a descriptor, and takes out those from `first` to `last`. Threads may do so at the same time. */
void unseen_add(struct unseen_use *set, int fd);
void unseen_remove_range(struct unseen_use *set, int first, int last);

/* Whether the descriptor may be in the set. */
static inline bool unseen_holds(const struct unseen_use *set, int fd)
{
    if ((unsigned)fd >= UNSEEN_RANGE)
        return set->beyond;
    return __atomic_load_n(&set->held[fd / 8], __ATOMIC_RELAXED) >> fd % 8 & 1;
}

/* Takes a descriptor that is being closed out of both sets, in which few are. */
static inline void unseen_forget(int fd)
{
    if ((unsigned)fd < UNSEEN_RANGE && (streamed.held[fd / 8] | mapped.held[fd / 8]) >> fd % 8 & 1) {
        unseen_remove_range(&streamed, fd, fd);
        unseen_remove_range(&mapped, fd, fd);
    }
}

#endif
