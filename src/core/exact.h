/*
 * Exact offload: one write of the program's, or one copy that it has the kernel make, is offloaded by itself, at its
 * own place and when it is made. Nothing runs ahead of the program, so nothing has to be taken back, and the file may
 * be anybody's: another process that has it open sees what it would see of the plain call.
 *
 * The session here is a record in the table (table.h): locked, not running. It keeps what would have to be found out
 * for each call anew: the engine, memory to compare in.
 */
#ifndef LIBOFFLOAD_EXACT_H
#define LIBOFFLOAD_EXACT_H

#include "session.h"

/*
 * Bytes below which a write or copy is left to the program. Cloning 64 KiB with all that belongs to it takes as long as
 * writing them to the page cache (docs/decisions/018), and saves writing them to the disk.
 */
#define EXACT_LEAST ((size_t)64 << 10)

/*
 * Whether the session, ready since a former candidate, is so for this one: it is of the same files. Takes over where
 * the candidate's bytes stand, and how its files were when they were looked at.
 */
bool exact_renew(struct session *session, const struct candidate *candidate);

/*
 * As session_limits(), for n bytes at the candidate's place. What was shared for the calls before took no room, which plain
 * calls would have taken; so there has to be room for the whole copy, unless it goes into blocks that are there.
 */
enum reason exact_limits(const struct session *session, const struct candidate *candidate, size_t n);

/*
 * Has the engine put what the candidate's source holds where the program is writing it. REASON_NONE if the destination
 * holds the program's bytes now; the descriptor's offset has not moved. Otherwise the program's own write is to be
 * made, all of it: some of its place may hold the source's bytes by now.
 */
enum reason exact_write(struct session *session, const struct candidate *candidate);

/*
 * Takes back what the last exact_write() did with the candidate, whose write is going to be the program's own after all, and elsewhere. An
 * engine that writes over what is there (in_place) leaves it.
 */
void exact_take_back(struct session *session, const struct candidate *candidate);

/*
 * Has the engine copy up to candidate->n bytes for a call that asks the kernel for it. Returns how many it copied, a
 * part perhaps, up to a signal's coming or the last whole block; or 0 and says why. No descriptor's offset has moved.
 */
size_t exact_copy(struct session *session, const struct candidate *candidate, enum reason *why);

#endif
