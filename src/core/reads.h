/*
 * Reads of a copy's source that need not be made (OFFLOAD_BUFFERS=lazy): the destination has the bytes already, and they
 * come into the program's buffer when somebody looks at it (buffers/lazy.h). The calls of copy.h for that are here too.
 */
#ifndef LIBOFFLOAD_READS_H
#define LIBOFFLOAD_READS_H

#include "session.h"

/* How the session's laziness ends, for that reason or, if it is REASON_NONE, because the copy does. */
void reads_end(struct session *session, enum reason why);

/*
 * The program is about to do something while a copy runs: what a filler that was killed has left empty is read before anything
 * is written from it.
 */
void reads_end_if_killed(void);

#endif
