#include "step.h"

#include "../../core/clock.h"
#include "../../core/guards.h"
#include "../../core/syscalls.h"
#include "allocate.h"
#include "lease.h"
#include "pagecache.h"
#include "plaincopy.h"

#include <errno.h>

/* What blocks are given to at once: what they are for is copied before anything else. */
#define ALLOCATE_LEAST ((uint64_t)4 << 20)
#define ALLOCATE_MOST ((uint64_t)16 << 20)

static bool time_is_up(const struct step *s)
{
    return clock_ns() >= s->until_ns;
}

/* Whether the step may end with all before `to` copied. */
static bool may_end(const struct step *s, uint64_t to)
{
    return to >= s->promised && (time_is_up(s) || leases_wanted(s->pair));
}

static bool by_plain_calls(struct step *s, uint64_t from, uint64_t to, uint64_t n)
{
    return plain_copy(s->pair->source, from, s->pair->destination, to, n, s->memory, sizeof s->memory) == 0;
}

/* ---- a run ---- */

static struct run_side source_side(const struct step *s, uint64_t from)
{
    return (struct run_side){&s->source_map, &s->source, from};
}

static struct run_side destination_side(const struct step *s, uint64_t to)
{
    return (struct run_side){&s->destination_map, &s->destination, to};
}

static uint64_t size_of(int fd)
{
    struct file_state now;
    return guard_look(fd, &now) ? (uint64_t)now.size : 0;
}

static int map_source(struct step *s, uint64_t from, uint64_t n)
{
    int claim = s->claims.source;
    return s->pair->raw_source ? extents_of_device(claim, size_of(claim), from, n, &s->source_map)
                               : extents_map(s->pair->source, from, n, EXTENT_SOURCE, &s->source_map);
}

static int map_destination(struct step *s, uint64_t to, uint64_t n)
{
    int claim = s->claims.destination;
    return s->pair->raw_destination ? extents_of_device(claim, size_of(claim), to, n, &s->destination_map)
                                    : extents_map(s->pair->destination, to, n, EXTENT_DESTINATION, &s->destination_map);
}

static bool map_both(struct step *s, uint64_t from, uint64_t to, uint64_t n)
{
    return map_source(s, from, n) == 0 && map_destination(s, to, n) == 0;
}

/* Whether the device is still where it was: a logical volume can be moved under a mounted file system. */
static bool stayed(struct step *s, dev_t device, const struct placement *was)
{
    if (!was->movable)
        return true;
    return placement_find(device, &s->moved) == REASON_NONE && placement_same(&s->moved, was);
}

/* Whether the n bytes lie where they lay when the run was made. */
static bool lies_as_before(struct step *s, uint64_t from, uint64_t to)
{
    uint64_t n = s->run.n, source, destination;
    return stayed(s, s->pair->source_device, &s->source) && stayed(s, s->pair->destination_device, &s->destination) &&
           map_both(s, from, to, n) && extents_written(&s->source_map, from, &source) && source >= n &&
           extents_written(&s->destination_map, to, &destination) && destination >= n &&
           run_make(&s->again, &s->disks, source_side(s, from), destination_side(s, to), n) &&
           run_same(&s->again, &s->run);
}

/*
 * Has the disks copy the run, command by command, until one fails, the time is up or someone waits for a lease. Returns
 * the bytes that are copied; *doubtful: those behind them that a failed command may have copied, or not.
 */
static uint64_t command_disks(struct step *s, uint64_t to, uint64_t *doubtful)
{
    uint64_t done = 0;
    unsigned next = 0;
    *doubtful = 0;
    while (next < s->run.count && !(done && may_end(s, to + done))) {
        uint64_t asked;
        unsigned count = run_command(&s->run, &s->disks, next, &asked);
        int copied = s->engine->copy(&s->disks, s->run.ranges + next, count);
        if (copied <= 0 || (unsigned)copied > count) {
            *doubtful = asked;
            break;
        }
        for (unsigned end = next + (unsigned)copied; next < end; next++)
            done += s->run.ranges[next].n;
    }
    return done;
}

/*
 * Both parts have written blocks. The kernel's pages of the destination are dropped before the disks begin, so that
 * pages which cannot be are found while nothing is changed; and after, for someone may have read meanwhile. What the
 * disks leave in doubt is written by plain calls: they fill the page cache, and the disk from it.
 */
static int64_t copy_run(struct step *s, uint64_t from, uint64_t to, uint64_t n, enum reason *why)
{
    uint64_t doubtful;
    if (!run_make(&s->run, &s->disks, source_side(s, from), destination_side(s, to), n)) {
        *why = REASON_DISK_FORMAT;
        return -EINVAL;
    }
    if (!pagecache_drop(s->pair->destination, to, s->run.n)) {
        *why = REASON_STILL_CACHED;
        return -EBUSY;
    }
    uint64_t done = command_disks(s, to, &doubtful);
    bool seen = lies_as_before(s, from, to) && (!done || pagecache_drop(s->pair->destination, to, done));
    s->failed = doubtful || !seen;
    if (!seen && !by_plain_calls(s, from, to, done))
        return -EIO;
    if (doubtful && !by_plain_calls(s, from + done, to + done, doubtful))
        return -EIO;
    return (int64_t)(done + doubtful);
}

/* ---- what lies there ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* For how many bytes from `to` on the destination reads as zeros without having a block; 0 if it has one there. */
static uint64_t vacant(const struct step *s, uint64_t to, uint64_t size, uint64_t n)
{
    uint64_t part;
    if (s->pair->raw_destination)
        return 0;
    /* What a file system keeps behind the end is its own. */
    if (to >= size)
        return n;
    return extents_written(&s->destination_map, to, &part) ? 0 : least(part, n);
}

/* The source has no blocks for these bytes: where the destination has none either, it stays so. */
static int64_t copy_hole(struct step *s, uint64_t from, uint64_t to, uint64_t size, uint64_t n)
{
    uint64_t part = vacant(s, to, size, n);
    if (part)
        return (int64_t)part;
    extents_written(&s->destination_map, to, &part);
    part = least(least(part, n), sizeof s->memory);
    return by_plain_calls(s, from, to, part) ? (int64_t)part : -EIO;
}

/* How many bytes of new blocks are asked for: about what a command copies. */
static uint64_t at_once(const struct step *s)
{
    uint64_t n = s->disks.command_bytes < ALLOCATE_LEAST ? ALLOCATE_LEAST : s->disks.command_bytes;
    n = least(n, ALLOCATE_MOST);
    return n - n % s->granule;
}

/* The source has written blocks for these bytes. The destination gets such where it has none. */
static int64_t copy_data(struct step *s, uint64_t from, uint64_t to, uint64_t size, uint64_t n, enum reason *why)
{
    uint64_t part = least(vacant(s, to, size, n), at_once(s));
    if (part && !allocate_written(s->pair, to, part)) {
        *why = REASON_UNWRITTEN;
        return -EOPNOTSUPP;
    }
    if (part)
        s->promised = to + part;
    if (part && map_destination(s, to, part) < 0) {
        *why = REASON_NOT_PLAIN;
        return -EOPNOTSUPP;
    }
    if (!extents_written(&s->destination_map, to, &part)) {
        *why = REASON_UNWRITTEN;
        return -EOPNOTSUPP;
    }
    return copy_run(s, from, to, least(part, n), why);
}

/* Some of the n bytes, all of one kind. */
static int64_t copy_some(struct step *s, uint64_t from, uint64_t to, uint64_t n, enum reason *why)
{
    uint64_t size = size_of(s->pair->destination), part;
    /* A block in which the destination ends keeps what is behind its end: zeros. */
    uint64_t whole = size - size % s->granule;
    if (n < s->granule || (to < size && to >= whole)) {
        n = least(n, s->granule);
        return by_plain_calls(s, from, to, n) ? (int64_t)n : -EIO;
    }
    n -= n % s->granule;
    if (to < whole)
        n = least(n, whole - to);
    if (!map_both(s, from, to, n)) {
        *why = REASON_NOT_PLAIN;
        return -EOPNOTSUPP;
    }
    n = least(s->source_map.end - from, s->destination_map.end - to);
    if (!extents_written(&s->source_map, from, &part))
        return copy_hole(s, from, to, size, least(part, n));
    return copy_data(s, from, to, size, least(part, n), why);
}

/* What the destination has got, blocks or a length, without having the source's bytes. */
static bool keep_promises(struct step *s, uint64_t from, uint64_t to, uint64_t *done)
{
    int destination = s->pair->destination;
    uint64_t reached = to + *done;
    if (reached < s->promised && !by_plain_calls(s, from + *done, reached, s->promised - reached))
        return false;
    if (reached < s->promised)
        *done = s->promised - to;
    /* A hole at the source's end. This makes the file longer and never, as ftruncate(2) might, shorter. */
    return !*done || s->pair->raw_destination || size_of(destination) >= to + *done ||
           KERNEL(SYS_fallocate, destination, 0, to + *done - 1, 1) == 0;
}

int64_t step_copy(struct step *s, uint64_t from, uint64_t to, uint64_t n, enum reason *why)
{
    uint64_t done = 0;
    int64_t copied = 0;
    s->promised = 0;
    /* As a write would, and before it: a copy that is cut off has left its time. */
    guard_touch(s->pair->destination, (off_t)size_of(s->pair->destination));
    while (done < n && !s->failed && !(done && may_end(s, to + done))) {
        *why = REASON_ARRAY_FAILED;
        copied = copy_some(s, from + done, to + done, n - done, why);
        if (copied <= 0)
            break;
        done += (uint64_t)copied;
    }
    if (!keep_promises(s, from, to, &done))
        return -EIO;
    return done ? (int64_t)done : copied ? copied : -EIO;
}
