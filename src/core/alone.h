/*
 * One call offloaded by itself, of a candidate that fits: what comes before and after exact.h. Between table_enter() and
 * table_leave().
 */
#ifndef LIBOFFLOAD_ALONE_H
#define LIBOFFLOAD_ALONE_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>

/* The program's write. True: it has been made. Otherwise the pair has been refused, and the program's own call is to be made. */
bool alone_write(struct candidate *candidate);

/* A copy that the kernel is asked for. Returns the bytes copied; no offset has moved. 0: as above. */
size_t alone_copy(struct candidate *candidate);

#endif
