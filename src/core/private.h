/* Descriptors of the library's own in the program's table: close-on-exec, and far above what the program is given. */
#ifndef LIBOFFLOAD_PRIVATE_H
#define LIBOFFLOAD_PRIVATE_H

#include <stdbool.h>

enum private_use { PRIVATE_REPORT, PRIVATE_USES };

/* The descriptor of each use, or -1. Set by private_keep(); others ask whether a number is among them. */
extern int private_descriptors[PRIVATE_USES];

/* Keeps a descriptor, which is open, for a use. */
void private_keep(enum private_use use, int fd);

/*
 * Whether the number of a use still leads to the file that it was kept for. The program may have put another there (dup2(2)), which is
 * its own to close.
 */
bool private_leads_there(enum private_use use);

/*
 * Moves a descriptor up, out of the program's way. Takes and returns a descriptor or a negative errno. The low number
 * was taken for a moment: only where no other thread can see that.
 */
int private_descriptor(long low);

/* The same, but that where the program may have forbidden itself system calls (seccomp) the number is taken for ours without one. */
bool private_is_ours(enum private_use use);

/* Whether the descriptor is one of ours, which the program must not close, since it does not know of it. */
static inline bool private_is(int fd)
{
    return fd >= 0 && fd == private_descriptors[PRIVATE_REPORT] && private_is_ours(PRIVATE_REPORT);
}

/* The lowest of ours from `first` to `last`, or last + 1. */
unsigned private_next(unsigned first, unsigned last);

#endif
