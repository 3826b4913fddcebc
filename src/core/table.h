/*
 * The table of this process's sessions.
 *
 * It lies in memory that a fork() empties (MADV_WIPEONFORK, madvise(2)): a child, by whichever call it was made, starts
 * with no session, and the parent's go on. A child of vfork() shares the parent's memory but not its pid, and is told
 * that there is no table.
 *
 * A thread holds the lock of at most one session, for the time of one call of the program, with all signals blocked but
 * those that would end the process: no handler can come in between, and whoever waits for the lock waits for a thread
 * that is running, or for a server.
 */
#ifndef LIBOFFLOAD_TABLE_H
#define LIBOFFLOAD_TABLE_H

#include "session.h"

/* Copies of one process that are followed at once. A further one is reported as REASON_TOO_MANY. */
#define TABLE_SIZE 1024

/* How many places of the table are taken: a hint, to be read without a lock. */
extern unsigned table_taken __attribute__((visibility("hidden")));

/*
 * To be called before anything else here, by every call of the program that needs the table; false if there is none
 * to be had (vfork child, no memory, kernel before 4.14). Then blocks all signals; *blocked receives what was blocked.
 */
bool table_enter(uint64_t *blocked);

/*
 * As table_enter(), for a call that only a running session can serve. Does not ask for the pid: in a vfork child, where
 * memory and files are the parent's, a session that runs is as good as in the parent.
 */
bool table_enter_running(uint64_t *blocked);

/* Makes the table this process's, if it is nobody's. By it a child in this memory is told from this process and its forks. */
void table_make_own(void);

/* Whether the table is another process's, in whose memory this one runs, or there is none: after table_make_own() only. */
bool table_is_anothers(void);

/* Ends what table_enter() or table_enter_running() began. */
void table_leave(uint64_t blocked);

/* The session whose destination is this descriptor, locked, or NULL. */
struct session *table_find(int destination);

/* A running session whose source is this descriptor, locked, or NULL. */
struct session *table_find_source(int source);

/* A fresh session for this destination, locked; NULL if all are taken, or another thread claims one for it just now. */
struct session *table_claim(int destination);

/* Locks a session that was just unlocked, if nobody else has it and it runs. */
bool table_lock_again(struct session *session);

/* Unlocks a session. */
void table_unlock(struct session *session);

/* Gives the place of a locked session that is not running back, and unlocks it. */
void table_release(struct session *session);

/* Descriptors from `first` to `last`. */
struct descriptor_range {
    unsigned first, last;
};

static inline bool range_holds(struct descriptor_range range, int fd)
{
    return (unsigned)fd >= range.first && (unsigned)fd <= range.last;
}

/*
 * Calls `visit` with every session taken, locked and in turn. `visit` unlocks or releases it. A session whose files are
 * on a server and that another thread has is not visited but asked to settle (session.h): a fork or an exit does not
 * wait for servers.
 */
void table_each(void (*visit)(struct session *session, const void *what), const void *what);

/* Calls `visit` likewise, with the range, for every session that has a descriptor in it. No other is waited for. */
void table_each_in(struct descriptor_range range, void (*visit)(struct session *session, const void *range));

/* Counts n bytes that the program wrote itself to that descriptor. Needs no table_enter(). */
void table_count_written(int destination, size_t n);

/*
 * Whether a running session's destination may be this descriptor or this file (NULL: not a regular one), or, if
 * `or_source`, its source this file. Needs no table_enter(), waits for nobody; most calls of a program that copies
 * concern other files.
 */
bool table_may_concern(int fd, const struct file_state *file, bool or_source);

/*
 * Whether another running session writes to a file of this one's, or reads what this one writes. Waits for nobody. To
 * be asked once this one runs: of two that begin at once at least one sees the other.
 */
bool table_has_rival(const struct session *session);

/*
 * Calls `visit` likewise with every running session whose destination is that file, or, if `or_source`, whose source
 * is. Sessions of other files are not waited for.
 */
void table_each_of_file(const struct file_state *file, bool or_source,
                        void (*visit)(struct session *session, const void *what), const void *what);

#endif
