/*
 * Leases (fcntl(2), F_SETLEASE): while they are held, nobody else begins to write, truncate, punch or move the blocks of
 * either file, for that needs an open or a truncate(2), which waits for the lease to be given back; and nobody who could
 * do so without one has the file open, for then the kernel grants no lease.
 *
 * They are held within one call of the program only, with all signals blocked. The kernel tells the holder that someone
 * waits by SIGIO, which ends a program that does not expect it: here nobody is told, it is asked for (leases_wanted()).
 */
#ifndef LIBOFFLOAD_LEASE_H
#define LIBOFFLOAD_LEASE_H

#include "../engine.h"

#include <stdbool.h>

/*
 * Takes a read lease on the source and a write lease on the destination; there are none of block devices, so that these
 * count as held. False, and nothing is held, if one cannot be had: the source is open for writing anywhere, the
 * destination open at all but by this one description, the program has leases or asynchronous input of its own there, or
 * the process lacks CAP_LEASE and does not own the file. All signals must be blocked, and the process must have one
 * thread.
 */
bool leases_take(const struct file_pair *pair);

/* Whether someone waits for either, or either is gone. */
bool leases_wanted(const struct file_pair *pair);

/* Gives both back. True if both were held until now. */
bool leases_give(const struct file_pair *pair);

/* For how many milliseconds the kernel makes others wait at most; 0: as long as it takes. -1 if it does not say. */
long leases_last(void);

#endif
