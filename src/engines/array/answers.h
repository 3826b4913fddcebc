/*
 * What the last two disks have answered, for a moment: a program that writes over a file is served block by block, and would have
 * six questions asked for each.
 *
 * It holds for disks that are reached by the same nodes. A disk that becomes another one while it is there says so when it is next
 * sent a command (UNIT ATTENTION), which scsi.c heeds; what is asked beforehand could be no more than a moment old either.
 */
#ifndef LIBOFFLOAD_ANSWERS_H
#define LIBOFFLOAD_ANSWERS_H

#include "device.h"

#include <stdbool.h>

/* Gives the pair, which is open, its sector, sizes and names, if they are known. For a process of one thread; signal safe. */
bool answers_known(struct disk_pair *pair);

/* Notes those of the pair, in place of what was noted before. Likewise. */
void answers_note(const struct disk_pair *pair);

/* Nothing is known any more. Likewise. */
void answers_forget(void);

#endif
