/*
 * Looks functions up as dlsym(RTLD_NEXT) does at the program's start, but without its lock and its memory: what stands in for an
 * original finds it at its first call, which may be a signal handler's (docs/decisions/024).
 */
#ifndef LIBOFFLOAD_LOOKUP_H
#define LIBOFFLOAD_LOOKUP_H

#include <stdbool.h>

/*
 * The function, or the data, of that name in the first object behind this library in the program's search order, in its default version;
 * NULL if none has it. Objects that the program loads later do not count. For any thread and for signal handlers, except where an
 * object or a symbol is of a kind not known here: there dlsym(3) is asked. Leaves errno alone.
 */
void *lookup_next(const char *name);

/*
 * The constructor's own, while nothing is being loaded: notes which objects there are at the program's start. True if all can be
 * read without dlsym(3).
 */
bool lookup_start(void);

/*
 * The path by which the dynamic linker loaded this library, which may be a relative one, or an empty string. Stays in memory. To
 * be called as lookup_start().
 */
const char *lookup_own_path(void);

#endif
