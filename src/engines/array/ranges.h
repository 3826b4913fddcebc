/* The ranges of a copy, held against what the disks take. */
#ifndef LIBOFFLOAD_RANGES_H
#define LIBOFFLOAD_RANGES_H

#include "device.h"

/*
 * How many of the ranges, from the first on, one command takes by the pair's limits. 0 if there is none, or if one of
 * these lies off the pair's blocks or beyond a disk's end, or is written over what another is copied from.
 */
unsigned ranges_fit(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count);

#endif
