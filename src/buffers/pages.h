/* Empty pages: filling them, and letting them go. Calls belong to the filler alone, in an odd turn or in an order. */
#ifndef LIBOFFLOAD_PAGES_H
#define LIBOFFLOAD_PAGES_H

#include "filler.h"

/*
 * Empties the pages of the order's region, registers them and enters them in the books. 0 or a positive errno: EINVAL for
 * memory that cannot be emptied without loss, EBUSY for pages that somebody touched meanwhile, ENOSPC for too many
 * regions. The caller is the program's only thread, and waits.
 */
int pages_prepare(struct filler *filler);

/* Fills what is still empty of the region, and lets it go. Waits for a disk, perhaps, and up to ten seconds for memory. */
void pages_retire(struct filler *filler, struct region *region);

/* Fills what is owed of every region: nothing is owed any more. */
void pages_fill_all(struct filler *filler);

/*
 * A touch of an empty page: one that is owed, or one that the program has emptied itself, whose bytes are zeros. Whoever
 * waits for it is woken.
 */
void pages_touched(struct filler *filler, uintptr_t page);

/* The number behind a word of a status file (proc_pid_status(5)), or -1. Overwrites filler->bytes. */
long pages_number_in(struct filler *filler, int fd, const char *word);

#endif
