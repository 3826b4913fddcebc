/*
 * A run: a part of the source that has written blocks, and a part of the destination that has too, as the ranges of
 * the disks between which they are to be copied.
 */
#ifndef LIBOFFLOAD_RUN_H
#define LIBOFFLOAD_RUN_H

#include "device.h"
#include "extents.h"
#include "placement.h"

#include <stdbool.h>
#include <stdint.h>

#define RUN_RANGES 64

struct run {
    uint64_t n; /* bytes, of all ranges together */
    unsigned count;
    struct disk_range ranges[RUN_RANGES]; /* in the order of the file */
};

/* One file's side of a run. */
struct run_side {
    const struct extent_map *map;
    const struct placement *placement;
    uint64_t at; /* where in the file the run begins */
};

/*
 * Makes the ranges of n bytes, all of which both maps have, or of the first of them if they are too many. False if a
 * part lies beyond its disk's placement or is not of whole blocks of the disks.
 */
bool run_make(struct run *run, const struct disk_pair *disks, struct run_side source, struct run_side destination,
              uint64_t n);

/* Whether both are of the same ranges. */
bool run_same(const struct run *a, const struct run *b);

/* How many of the ranges from `first` on one command takes, at least one; *n: their bytes. */
unsigned run_command(const struct run *run, const struct disk_pair *disks, unsigned first, uint64_t *n);

#endif
