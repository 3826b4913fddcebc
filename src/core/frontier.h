/*
 * The frontier: up to where the engine has filled the destination, ahead of the mark. Here it moves on, a step at a time: each
 * is a call of the engine's, with what must hold before it and after it. For a session that runs, locked.
 */
#ifndef LIBOFFLOAD_FRONTIER_H
#define LIBOFFLOAD_FRONTIER_H

#include "session.h"

#include <stdbool.h>
#include <sys/types.h>

/* Brings the frontier to `goal` or, if the engine freezes the source, beyond. */
enum reason frontier_reach(struct session *session, off_t goal);

/* One call of the engine on the way there. */
enum reason frontier_advance(struct session *session, off_t goal);

/*
 * Brings the frontier one step on with an engine that does not freeze the source, ahead of the program. What the source
 * holds is read before the copy and once more after it: so it is what the destination holds, whatever comes of the
 * source later.
 */
enum reason frontier_step_ahead(struct session *session);

/*
 * REASON_NONE if the destination is as we left it. If another machine has changed it, which this one has not known of
 * until now, what the program has written since the last step is written after that: as the pages of a plain copy would
 * be.
 */
enum reason frontier_check_destination(const struct session *session);

/*
 * After a look that failed: a server that cannot be asked has not said that the destination is not as we left it. Then
 * it is enough that the descriptor still means this file.
 */
bool frontier_is_out_of_reach(const struct session *session);

/* Whether the destination has from there on, up to the frontier, the blocks that the last step has put there. */
bool frontier_has_what_was_put(const struct session *session, off_t from);

#endif
