/*
 * The report (OFFLOAD_REPORT): a JSON object a line for each pair of files that a copy was recognised for, and, if the
 * user wants to see progress, one now and then while a large copy is under way. liboffload(7) describes the fields.
 */
#ifndef LIBOFFLOAD_REPORT_H
#define LIBOFFLOAD_REPORT_H

#include "session.h"

/*
 * Opens the file that the settings name, for the life of the process, on a close-on-exec descriptor far above those
 * that the program will be given. Called by the constructor, before the program can see descriptor numbers. A file of
 * the user's that cannot be opened is told in one line on standard error.
 */
void report_open(void);

/* Whether reports are asked for. */
bool report_wanted(void);

/* Keeps the names of a locked session's files, whose descriptors are open, until report_copy() or report_forget(). */
void report_keep_names(struct session *session);

/* The name kept of a locked session's source, or destination: an absolute path, "" if it cannot be had, or NULL. */
const char *report_source(const struct session *session);
const char *report_destination(const struct session *session);

/* Appends the line of a locked session, if names were kept and a report is wanted, and forgets them. */
void report_copy(struct session *session);

/* Forgets the names. */
void report_forget(struct session *session);

/*
 * The program has come on with the copy of a locked session, or is about to begin (`begins`): appends a line of
 * progress if there is to be one by now.
 */
void report_progress(struct session *session, bool begins);

#endif
