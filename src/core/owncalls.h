/*
 * What the program's own calls copied, for the report alone.
 */
#ifndef LIBOFFLOAD_OWNCALLS_H
#define LIBOFFLOAD_OWNCALLS_H

#include "session.h"

/*
 * Makes a record of a copy that the program has the kernel make, which candidate->refused tells of. `count` adds to what the
 * record says, or is NULL. No session is locked by the caller, who may be between table_enter() and table_leave() or not.
 */
void owncalls_note(struct candidate *candidate, void (*count)(struct session *, const struct candidate *));

#endif
