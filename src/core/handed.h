/*
 * Standard output that a process has to itself (owned.h), handed on to the program that the process becomes.
 *
 * `copier >file`: a shell's child opens the file, and then becomes the copier (execve(2)), which cannot know that nobody
 * else has the open file description. The library in the shell's child does, and tells the library in the copier by a mark on the
 * description itself: whom it sends signals to (F_SETOWN_EX, fcntl(2)) and which (F_SETSIG), since a regular file sends none. The
 * owner is the process, which stays what it is; the mark is taken off before the copier's main runs.
 *
 * The mark may only be met by the program that it was made for: one in between, without the library, could start
 * a child, which has the description too. So it is made only for a program that the dynamic linker will load this library into.
 */
#ifndef LIBOFFLOAD_HANDED_H
#define LIBOFFLOAD_HANDED_H

#include <stdbool.h>

/*
 * Whether there may be a mark of this process's. At first there may: another library's constructor, which runs before ours, could
 * start a child that has what was handed on.
 */
extern bool handed_marked;

/*
 * The process is about to become the program `path` with that environment (execve(2), from which all may be pointers to nowhere).
 * Marks standard output if it is the process's own. Not thread-safe: does nothing in a process with several threads.
 */
void handed_on(const char *path, char *const *environment);

/* Takes a mark off, and tells whether there was one: put on by the call above, which failed, or by the program before this. */
bool handed_take_off(void);

/* A child is about to be started, or the process becomes another program in a way that hands nothing on. */
static inline void handed_forget(void)
{
    if (__builtin_expect(handed_marked, false))
        handed_take_off();
}

/* The process takes a lock of fcntl(2), which it would lose if the file that it becomes were opened and closed. */
void handed_lock_taken(void);

/*
 * The constructor's own: keeps what the library was loaded by, and takes what was handed on as the process's own. `path`: the
 * library's, by the dynamic linker's word, which stays in memory.
 */
void handed_start(char *const *environment, const char *path);

#endif
