/* The report: one JSON object a line for each pair of files that a copy was recognised for (OFFLOAD_REPORT). */
#ifndef LIBOFFLOAD_REPORT_H
#define LIBOFFLOAD_REPORT_H

#include "session.h"

/*
 * Opens the file that the settings name, for the life of the process, on a close-on-exec descriptor far above those
 * that the program will be given. Called by the constructor, before the program can see descriptor numbers. A file that
 * cannot be opened is told in one line on standard error.
 */
void report_open(void);

/* Whether reports are asked for. */
bool report_wanted(void);

/* Keeps the names of a locked session's files, whose descriptors are open, until report_copy(). */
void report_keep_names(struct session *session);

/* Appends the line of a locked session, if names were kept, and forgets them. */
void report_copy(struct session *session);

#endif
