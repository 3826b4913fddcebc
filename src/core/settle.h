/*
 * How copies end: one, those of a file, or all, before somebody would meet what the library has put ahead of the program.
 * Behind the calls of copy.h that say so, and for the files that serve calls.
 *
 * Everything here but settle_over() is called between table_enter() and table_leave(), with the signals blocked.
 */
#ifndef LIBOFFLOAD_SETTLE_H
#define LIBOFFLOAD_SETTLE_H

#include "session.h"
#include "settings.h"

#include <stdbool.h>

/* Nothing is offloaded any more, for a reason that copy_finish() or one of its kin (copy.h) tells. Is never false again. */
extern bool settle_finished __attribute__((visibility("hidden")));

/* One of them: the program may have installed a seccomp filter since it was started. */
extern bool settle_filtered __attribute__((visibility("hidden")));

/* Whether nothing is to be offloaded any more, or nothing ever was (OFFLOAD=off). May be asked at any time. */
static inline bool settle_over(void)
{
    return settings.off || settle_finished;
}

/*
 * Whether what no hook sees later need not be noted either. Before the settings are read it is: other libraries' constructors run
 * before ours.
 */
static inline bool settle_over_for_good(void)
{
    return settle_finished || (settings.off && settings.known);
}

/* For table_each_of_file(): the session, locked, is settled because its file is used otherwise, and given back. */
void settle_visit(struct session *session, const void *nothing);

/* The running session of the descriptor, locked, or NULL. What another thread has asked to end ends first. */
struct session *settle_running(int destination);

/* Gives back a session with which the program has come on. */
void settle_leave(struct session *session);

#endif
