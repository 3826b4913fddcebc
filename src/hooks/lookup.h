/*
 * Looks functions up as dlsym(RTLD_NEXT) does, for the hundred originals of a program's start.
 *
 * One pass over the loaded objects takes a quarter of the instructions that as many calls of dlsym(3) take, and saves
 * about 12 us of every program's start (docs/decisions/002-start.md).
 */
#ifndef LIBOFFLOAD_LOOKUP_H
#define LIBOFFLOAD_LOOKUP_H

#include <stddef.h>

struct wanted {
    const char *name;
    void *variable; /* a pointer to a function, which is to point to the one found */
};

/*
 * Points each variable to the function of that name in the first object behind this library in the program's search
 * order, in its default version; those that are not found anywhere stay as they are. Where an object or a symbol is of
 * a kind not known here, dlsym(3) is asked. Not for signal handlers; to be called while nothing is being loaded:
 * from a constructor at the program's start.
 */
void lookup_next(const struct wanted *wanted, size_t count);

/*
 * The path by which the dynamic linker loaded this library, which may be a relative one, or an empty string. Stays in memory. To
 * be called as lookup_next().
 */
const char *lookup_own_path(void);

#endif
