/*
 * The program's writes: those that go on with a copy, begin one, or are offloaded by themselves. The calls of copy.h for
 * writes are here too.
 */
#ifndef LIBOFFLOAD_WRITE_H
#define LIBOFFLOAD_WRITE_H

#include "session.h"

#include <stdbool.h>

/*
 * The candidate's write is the first of a copy, perhaps, or one of those that are offloaded each by itself. True: it has
 * been made. The candidate fits. Between table_enter() and table_leave().
 */
bool write_candidate(struct candidate *candidate);

#endif
