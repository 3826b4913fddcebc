/*
 * What the program uses behind our back: the descriptors of its stdio streams, whose buffers libc writes without calling
 * any hook, and the files that it has mapped into memory.
 *
 * A set of descriptor numbers. It may hold a number too many, after a close that no hook saw: that costs a copy its
 * offload. A number beyond its range counts as held as soon as one beyond it was added.
 *
 * A stream has its number until fclose(3), whatever close(2) or dup2(2) make the number mean in the meantime: the stream goes on
 * with that.
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

/* `several`: of the first, those that more than one stream has had at once; which of them are left is not known. */
extern struct unseen_use streamed, several;

/*
 * Adds a descriptor, and takes out those from `first` to `last`. Threads may do so at the same time. Whether it was, or
 * may have been, in the set before.
 */
bool unseen_add(struct unseen_use *set, int fd);
void unseen_remove_range(struct unseen_use *set, int first, int last);

/* Whether the descriptor may be in the set. */
static inline bool unseen_holds(const struct unseen_use *set, int fd)
{
    if ((unsigned)fd >= UNSEEN_RANGE)
        return set->beyond;
    return __atomic_load_n(&set->held[fd / 8], __ATOMIC_RELAXED) >> fd % 8 & 1;
}

/* Takes one descriptor out of the set, in which few are. */
static inline void unseen_remove(struct unseen_use *set, int fd)
{
    if ((unsigned)fd < UNSEEN_RANGE && unseen_holds(set, fd))
        unseen_remove_range(set, fd, fd);
}

/*
 * The files that were ever mapped, or read or written in the background, by guard_number(); after a 0, all files. A
 * mapping stays when its descriptor is closed, and munmap(2) may take away a part of it: so a file stays in the set.
 * Another file may have the same number: that costs a copy what would have run ahead. Threads may do both at the same
 * time.
 */
void unseen_add_file(uint64_t number);
bool unseen_may_be_mapped(uint64_t number);

/* Whether the set has any file. If not, numbers need not be asked for. */
extern bool unseen_any_file;

#endif
