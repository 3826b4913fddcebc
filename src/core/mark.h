/*
 * The mark: how far the program has come. Writes at it are proven equal to the source here and dropped, copies that the kernel is asked
 * for are the engine's; both move it. And the session's end, after which the destination ends at the mark. For a session that is
 * locked.
 */
#ifndef LIBOFFLOAD_MARK_H
#define LIBOFFLOAD_MARK_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The program writes to the destination, at the descriptor's offset. True: the destination holds all of it, the mark,
 * and the descriptor's offset, have moved; the write is not to be made. False: the session was settled, nothing has
 * moved.
 */
bool mark_write(struct session *session, const struct program_write *write);

/*
 * The program has the kernel copy n bytes from `from` in the source to the destination's offset. As mark_write(),
 * but may serve fewer: the bytes served, or 0. The source's offset is the caller's to move.
 */
size_t mark_copy(struct session *session, off_t from, size_t n);

/*
 * Ends the offload: the destination is cut back to the mark if it is as we left it, and gets the time of the last
 * write that was dropped. Nothing happens if the session is not running.
 */
void mark_settle(struct session *session, enum reason why);

#endif
