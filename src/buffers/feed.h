/* Where the bytes of empty pages come from. Calls belong to the filler alone. */
#ifndef LIBOFFLOAD_FEED_H
#define LIBOFFLOAD_FEED_H

#include "filler.h"

/*
 * Finds the feed's files, so that both can be read if they have to be: the program's descriptor of the source is to be had
 * (pidfd_getfd(2), Linux 5.6), and either file may be opened for reading. Opens neither. False, and nothing is held, if not.
 */
bool feed_take(const struct filler *filler, struct feed *feed);

/* Lets go of the feed's files. */
void feed_drop(struct feed *feed);

/*
 * Puts n bytes, FILLER_CHUNK at most, that the source had at `from` when the copy began into filler->bytes. False if
 * neither file has them any more, or the disks fail.
 *
 * Waits for a disk, perhaps, but for no lock of a file's that somebody may hold who waits for a page: what is read is
 * mapped, and a page fault on a mapping takes none that a read, a write or a clone holds while it touches the program's
 * memory.
 */
bool feed_fetch(struct filler *filler, const struct feed *feed, size_t n, off_t from);

/* Whether one of the files is not as it was: what is owed is to be filled from the other, before that changes as well. */
bool feed_has_changed(const struct feed *feed);

#endif
