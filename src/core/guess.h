/*
 * Where the bytes of a write may be from that were not read to the memory they are written from: moved to another
 * buffer in between, read by another thread, or lying in a mapping of their file. Looked for by content.
 */
#ifndef LIBOFFLOAD_GUESS_H
#define LIBOFFLOAD_GUESS_H

#include "recogniser.h"
#include "session.h"

#include <stdbool.h>

/*
 * Looks among the files that the process has read last for one that holds the first and last bytes of the candidate's
 * write: at the write's own place, as in a copy of a whole file, or where this thread has read to. Fills in the
 * candidate's source and `from`, and `to` if it is -1. Reads a few hundred bytes of each file, of the destination's own
 * file system alone: what the kernel makes up (proc, sysfs) may not bear to be read once more.
 *
 * Safe in a signal handler.
 */
bool guess_source(struct candidate *candidate);

/*
 * Whether the note's place in its file holds other first or last bytes than the write: another thread has read to the same
 * memory since, of which this one has no note. No file is read that could not be the source of a guess, since to read a
 * device or a file in /proc again may wait, or take what the program is yet to read. Safe in a signal handler.
 */
bool guess_contradicts(const struct read_note *note, int destination, const struct program_write *write);

/*
 * A guess that finds nothing, or whose candidate comes to nothing, makes further ones rarer: the thread's next is made
 * after 1, 2, 4 ... 1024 writes that could have been one, and not before something is read. Writes of less than
 * EXACT_LEAST bytes and others are counted apart. Both are safe in a signal handler.
 */

/* Whether to guess at a write of n bytes. Counts the write. */
bool guess_is_due(size_t n);

/* What came of the guess. */
void guess_was(size_t n, bool right);

/* A descriptor was mapped into memory: n bytes from `from` on, at that address. */
void guess_note_mapping(int fd, const void *at, size_t n, off_t from);

#endif
