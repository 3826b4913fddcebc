/*
 * A step: one call of the array engine. The bytes of a file's part come into another file's part, and whatever goes wrong
 * on the way, what the call says to be there is there, and no block was written but the destination's own in that part.
 */
#ifndef LIBOFFLOAD_STEP_H
#define LIBOFFLOAD_STEP_H

#include "../engine.h"
#include "claim.h"
#include "device.h"
#include "extents.h"
#include "placement.h"
#include "run.h"

#include <stdbool.h>
#include <stdint.h>

/* Too much for the stack of a signal handler: its holder maps memory for it. Pages, so `memory` is first. */
struct step {
    char memory[64 << 10];
    struct file_pair *pair;
    const struct disk_engine *engine;
    struct disk_pair disks; /* open */
    struct claims claims;   /* held */
    struct placement source, destination;
    uint64_t granule;  /* bytes: a multiple of both file systems' blocks */
    long until_ns;     /* of clock_ns(): no command is begun after that */
    bool failed;       /* what was asked of the disks is not known to be done, or is not known to be seen */
    uint64_t promised; /* up to here the destination has blocks, and is as long, of which not all need be copied yet */
    /* Used by it alone. */
    struct extent_map source_map, destination_map;
    struct run run, again;
    struct placement moved;
};

/*
 * Copies n bytes from `from` to `to`, both multiples of the granule, in part or all. Both files' leases are held, and
 * devices claimed. Returns how many bytes from there on the destination holds, or a negative errno and, in *why, the
 * reason for users. After step->failed no other may be tried with these files.
 */
int64_t step_copy(struct step *step, uint64_t from, uint64_t to, uint64_t n, enum reason *why);

#endif
