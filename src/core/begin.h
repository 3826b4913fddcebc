/*
 * How a copy begins: whether what the program does could be one, by its files and places and by who else uses them, and a
 * session or a record for it in the table.
 *
 * Called between table_enter() and table_leave() where a session is returned; it is locked then.
 */
#ifndef LIBOFFLOAD_BEGIN_H
#define LIBOFFLOAD_BEGIN_H

#include "recogniser.h"
#include "session.h"

#include <stdbool.h>

/*
 * Could the candidate be part of a copy, as far as its files tell? `note`: how its bytes were read, or NULL if its place
 * in the source is known. Needs no table. True, with candidate->refused set, if it could not but the report should
 * tell of it.
 */
bool begin_fits(struct candidate *candidate, const struct read_note *note);

/*
 * A new session to serve the candidate, which fits, or NULL. The candidate may then be offloaded by itself, if
 * candidate->exact says why nothing could run ahead; otherwise it has been refused.
 */
struct session *begin_session(struct candidate *candidate);

/* The record by which a candidate that fits can be offloaded by itself, or NULL and why there is none. */
struct session *begin_exact(struct candidate *candidate, enum reason *why);

/* The record of a copy that the program has the kernel make, for the report, or NULL. */
struct session *begin_record(struct candidate *candidate);

/* The candidate came to nothing: its pair of files is asked about less often from now on, or never again. */
void begin_refuse(const struct candidate *candidate, enum reason why);

/*
 * Whether a stdio stream of the process leads to the file, or what may be one: by another descriptor than `stream`, or one
 * of the standard streams' other than `standard`.
 */
bool begin_is_streamed(const struct file_state *file, int stream, int standard);

#endif
