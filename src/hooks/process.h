/* What a call that makes a thread or a process, or that asks to be asked, means: by its name (process.c) or number (bynumber.c). */
#ifndef LIBOFFLOAD_PROCESS_H
#define LIBOFFLOAD_PROCESS_H

#include "../core/underway.h"

#include <sched.h>
#include <stdbool.h>
#include <sys/fanotify.h>

/*
 * Whether clone(2) with these flags makes a thread as pthread_create(3) does, by this call before glibc 2.34: of this process, with
 * all that is its own, and counted already. Another one is in nobody's count, and may be taken for the one that made it.
 */
static inline bool process_is_counted_thread(unsigned long flags)
{
    const unsigned long wanted = CLONE_THREAD | CLONE_FILES | CLONE_SETTLS;
    return (flags & wanted) == wanted && !*underway_single;
}

/* Whether its child shares the table of descriptors: it closes this process's, and is not told from outside. */
static inline bool process_shares_table(unsigned long flags)
{
    return flags & (CLONE_FILES | CLONE_THREAD) && !process_is_counted_thread(flags);
}

/*
 * Whether fanotify_init(2) with these flags is of one who lets others read, or not (FAN_CLASS_CONTENT, fanotify(7)). He is asked about
 * our own reads, too, and may make a call that waits for the thread that reads: to start a process before he answers, for one.
 */
static inline bool process_asks_to_be_asked(unsigned long flags)
{
    return flags & (FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT);
}

#endif
