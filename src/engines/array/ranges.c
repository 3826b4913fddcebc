#include "ranges.h"

#include <stdbool.h>

static bool lies_within(const struct disk_pair *pair, const struct disk_range *range)
{
    return range->n <= pair->sizes[0] && range->from <= pair->sizes[0] - range->n && range->n <= pair->sizes[1] &&
           range->to <= pair->sizes[1] - range->n;
}

static bool is_sound(const struct disk_pair *pair, const struct disk_range *range)
{
    return range->n && range->n <= pair->range_bytes && (range->from | range->to | range->n) % pair->block == 0 &&
           lies_within(pair, range);
}

/* On one disk the order in which a command copies would count. */
static bool overlap(const struct disk_range *ranges, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < count; j++)
            if (ranges[i].to < ranges[j].from + ranges[j].n && ranges[j].from < ranges[i].to + ranges[i].n)
                return true;
    return false;
}

unsigned ranges_fit(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count)
{
    uint64_t left = pair->command_bytes;
    unsigned fit = 0;
    while (fit < count && fit < pair->ranges && ranges[fit].n <= left) {
        if (!is_sound(pair, &ranges[fit]))
            return 0;
        left -= ranges[fit++].n;
    }
    return pair->disks[0] == pair->disks[1] && overlap(ranges, fit) ? 0 : fit;
}
