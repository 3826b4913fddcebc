#include "run.h"

#include <string.h>

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where `done` bytes on from the side's beginning lie on its disk; *n is cut to what follows there. */
static uint64_t place(struct run_side side, uint64_t done, uint64_t *n)
{
    uint64_t in_extent, in_part;
    uint64_t on_device = extents_place(side.map, side.at + done, &in_extent);
    uint64_t on_disk = placement_of(side.placement, on_device, &in_part);
    *n = least(*n, least(in_extent, in_part));
    return on_disk;
}

/* The most that one range may have, in whole blocks. */
static uint64_t longest_range(const struct disk_pair *disks)
{
    uint64_t most = least(disks->range_bytes, disks->command_bytes);
    return most - most % disks->block;
}

bool run_make(struct run *run, const struct disk_pair *disks, struct run_side source, struct run_side destination,
              uint64_t n)
{
    uint64_t longest = longest_range(disks);
    run->n = 0;
    run->count = 0;
    while (run->n < n && run->count < RUN_RANGES) {
        struct disk_range *range = &run->ranges[run->count];
        range->n = least(n - run->n, longest);
        range->from = place(source, run->n, &range->n);
        range->to = place(destination, run->n, &range->n);
        if (!range->n || (range->from | range->to | range->n) % disks->block)
            return false;
        run->n += range->n;
        run->count++;
    }
    return run->count > 0;
}

bool run_same(const struct run *a, const struct run *b)
{
    return a->n == b->n && a->count == b->count && memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges) == 0;
}

unsigned run_command(const struct run *run, const struct disk_pair *disks, unsigned first, uint64_t *n)
{
    unsigned count = 0;
    *n = 0;
    while (first + count < run->count &&
           (count == 0 || (count < disks->ranges && run->ranges[first + count].n <= disks->command_bytes - *n))) {
        *n += run->ranges[first + count].n;
        count++;
    }
    return count;
}
