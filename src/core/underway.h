/*
 * The program's own writes that are under way in other threads.
 *
 * A session looks at a file and then acts on it; a write that another thread is in the middle of would come between,
 * and no look can tell. So each such write is counted from before its hook asks for sessions until it has returned, and
 * a session does not begin while there is one: either the write finds the session running, and settles it, or the
 * session finds the write.
 */
#ifndef LIBOFFLOAD_UNDERWAY_H
#define LIBOFFLOAD_UNDERWAY_H

#include "owned.h"

#include <features.h>
#include <stdbool.h>

/* Writes of all threads to files that a session could have as its destination (owned.h). */
extern unsigned underway_writes;

/* Whether each glibc that this build can run with has a word for it. */
#define GLIBC_SAYS_ALWAYS __GLIBC_PREREQ(2, 32)

/*
 * Is not zero while the process has one thread alone, by glibc's own word (2.32 and later). Before, while it has no libpthread:
 * it was not started with it, and has not called dlopen(3) since.
 */
extern const char *underway_single __attribute__((visibility("hidden")));

/*
 * Whether pthread_create(3) has a hook (calls.def), without which what only a program of one thread has could go on beside a
 * thread that came unseen. That is the word of the libc that the library was built with: it can run with a newer one.
 */
#define THREADS_ARE_SEEN __GLIBC_PREREQ(2, 34)

/*
 * Whether the process has one thread, and a hook tells before there is another: what such a process has running is settled
 * then. Where there is no libpthread, that hook is dlopen(3)'s.
 */
#if THREADS_ARE_SEEN
static inline bool underway_told(void)
{
    return *underway_single;
}
#else
bool underway_told(void);
#endif

/* To be called by the constructor: finds glibc's word. */
void underway_start(void);

/* The program is about to load a library, which may bring libpthread. */
#if GLIBC_SAYS_ALWAYS
static inline void underway_loading(void)
{
}
#else
void underway_loading(void);
#endif

/*
 * A write to `fd` is about to be made. To be called before sessions are asked for. True if it is counted, which
 * underway_end() must be told. A thread that is cancelled or jumps out in the middle leaves its count behind: the
 * process begins no session any more.
 */
static inline bool underway_begin(int fd)
{
    if (*underway_single || !owned_holds(fd))
        return false;
    __atomic_add_fetch(&underway_writes, 1, __ATOMIC_SEQ_CST);
    /* Counted before any session is looked for, as a session runs before it looks for writes. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return true;
}

/* It has returned. */
static inline void underway_end(bool counted)
{
    if (counted)
        __atomic_sub_fetch(&underway_writes, 1, __ATOMIC_SEQ_CST);
}

/* Whether any such write is under way. */
static inline bool underway_any(void)
{
    return __atomic_load_n(&underway_writes, __ATOMIC_SEQ_CST) != 0;
}

#endif
