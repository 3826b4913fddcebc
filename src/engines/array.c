/*
 * The array engine: the disks copy. SCSI disks by EXTENDED COPY, NVMe drives by Copy, from the blocks of one file to those
 * of another, in file systems that are mounted and know nothing of it. docs/array.md has how, and what is kept to.
 *
 * What others must not do meanwhile (move the blocks of either file, free them, write to them) is held off by leases; what
 * the destination's blocks must be (its own, and written) is asked for; that the page cache does not show what was there
 * before is seen to. Each call is a whole: nothing is kept from one to the next, and nothing stays open.
 */
#include "engine.h"

#include "../core/clock.h"
#include "../core/guards.h"
#include "../core/syscalls.h"
#include "array/allocate.h"
#include "array/claim.h"
#include "array/disks.h"
#include "array/lease.h"
#include "array/step.h"
#include "array/suits.h"
#include "quirks.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/vfs.h>

/* No command is begun later in a call of the program's than that. */
#define CALL_NS 250000000L
/* What one command may copy at most: someone who waits for a lease waits for that long. */
#define COMMAND_BYTES ((uint64_t)64 << 20)
/*
 * How often a command's time goes into that for which the kernel makes others wait: one that is lost must be known to be
 * so, and have been aborted, before its blocks can become another file's.
 */
#define COMMANDS_IN_LEASE 3
/* What the kernel makes of any shorter one, where commands go to a SCSI disk (BLK_MIN_SG_TIMEOUT in block/bsg.c). */
#define SHORTEST_TIMEOUT_MS 7000
/* Bytes. Block devices are copied in such, as files mostly are. */
#define RAW_GRANULE 4096U

/* Milliseconds that one command may take; 0 if none may be sent. */
static unsigned command_timeout(unsigned wanted)
{
    long last = leases_last();
    if (last < 0)
        return 0;
    if (last == 0 || last / COMMANDS_IN_LEASE >= (long)wanted)
        return wanted;
    return last / COMMANDS_IN_LEASE < SHORTEST_TIMEOUT_MS ? 0 : (unsigned)(last / COMMANDS_IN_LEASE);
}

/* Finds the disks and opens them. REASON_NONE, or nothing is open. */
static enum reason open_disks(const struct file_pair *pair, struct placement *source, struct placement *destination,
                              const struct disk_engine **engine, struct disk_pair *disks)
{
    enum reason why = placement_find(pair->source_device, source);
    if (why == REASON_NONE)
        why = placement_find(pair->destination_device, destination);
    if (why != REASON_NONE)
        return why;
    *engine = disks_engine(source->disk, destination->disk);
    if (!*engine)
        return REASON_DISKS_APART;
    why = (*engine)->open(disks, source->disk, destination->disk);
    if (why != REASON_NONE)
        return why;
    disks->timeout_ms = command_timeout(disks->timeout_ms);
    if (disks->command_bytes > COMMAND_BYTES)
        disks->command_bytes = COMMAND_BYTES;
    if (disks->timeout_ms && disks->block && disks->ranges && disks->range_bytes >= disks->block &&
        disks->command_bytes >= disks->block)
        return REASON_NONE;
    (*engine)->close(disks);
    return disks->timeout_ms ? REASON_DISK_CANNOT : REASON_NO_LEASE;
}

static unsigned granule(const struct file_pair *pair)
{
    struct statfs source;
    /* Of a block device, that tells of the file system in which its node lies. No block of a page or less is larger. */
    if (pair->raw_source)
        return pair->block > RAW_GRANULE ? pair->block : RAW_GRANULE;
    if (KERNEL(SYS_fstatfs, pair->source, &source) < 0 || source.f_bsize <= 0)
        return 0;
    return pair->block > source.f_bsize ? pair->block : (unsigned)source.f_bsize;
}

static enum reason fs_refuses(const struct file_pair *pair, uint64_t fs, bool raw)
{
    return raw ? REASON_NONE : quirk_refuses("array", fs, pair->kernel);
}

/* What can be told of the files without a look at their disks. */
static enum reason files_refuse(const struct file_pair *pair)
{
    enum reason source = fs_refuses(pair, pair->source_fs, pair->raw_source);
    enum reason destination = fs_refuses(pair, pair->destination_fs, pair->raw_destination);
    if (source == REASON_FS_UNKNOWN || destination == REASON_FS_UNKNOWN)
        return REASON_NO_ARRAY_FS;
    if (source != REASON_NONE || destination != REASON_NONE)
        return REASON_KERNEL_TOO_OLD;
    if (!suits_process())
        return REASON_DISK_FORBIDDEN;
    if (!suits_alone())
        return REASON_THREADS;
    if (!suits_stack())
        return REASON_NO_MEMORY;
    enum reason why = pair->raw_source ? REASON_NONE : suits_source(pair->source);
    if (why != REASON_NONE)
        return why;
    return pair->raw_destination ? suits_raw_destination(pair->destination) : suits_destination(pair->destination);
}

static enum reason refuses(const struct file_pair *pair)
{
    struct placement source, destination;
    const struct disk_engine *engine;
    struct disk_pair disks;
    struct claims claims;
    enum reason why = files_refuse(pair);
    if (why == REASON_NONE)
        why = open_disks(pair, &source, &destination, &engine, &disks);
    if (why != REASON_NONE)
        return why;
    engine->close(&disks);
    /* Others notice a claim: it is not made on a device whose disk would not copy. */
    why = claims_take(pair, &claims);
    if (why != REASON_NONE)
        return why;
    claims_give(&claims);
    struct file_state now;
    bool is_new = guard_look(pair->destination, &now) && now.size == 0;
    return is_new && !allocate_may_work(pair) ? REASON_UNWRITTEN : REASON_NONE;
}

/* ---- a call ---- */

/* The disks are open. */
static int64_t copy_leased(struct step *step, off_t from, off_t to, size_t n, enum reason *why)
{
    *why = REASON_NO_LEASE;
    if (!leases_take(step->pair))
        return -EAGAIN;
    step->until_ns = clock_ns() + CALL_NS;
    int64_t copied = step_copy(step, (uint64_t)from, (uint64_t)to, n, why);
    if (leases_give(step->pair))
        return copied;
    /* Somebody was not held off until the end. */
    step->failed = true;
    *why = REASON_LEASED_AWAY;
    return -EAGAIN;
}

static int64_t copy_claimed(struct step *step, off_t from, off_t to, size_t n, enum reason *why)
{
    *why = claims_take(step->pair, &step->claims);
    if (*why != REASON_NONE)
        return -EBUSY;
    int64_t copied = copy_leased(step, from, to, n, why);
    claims_give(&step->claims);
    return copied;
}

static int64_t copy_by(struct step *step, off_t from, off_t to, size_t n, enum reason *why)
{
    struct file_pair *pair = step->pair;
    step->granule = granule(pair);
    *why = files_refuse(pair);
    if (*why == REASON_NONE && (!step->granule || ((uint64_t)from | (uint64_t)to) % step->granule))
        *why = REASON_UNALIGNED;
    if (*why == REASON_NONE)
        *why = open_disks(pair, &step->source, &step->destination, &step->engine, &step->disks);
    if (*why != REASON_NONE)
        return -EOPNOTSUPP;
    int64_t copied = copy_claimed(step, from, to, n, why);
    step->engine->close(&step->disks);
    return copied;
}

static int64_t copy(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    enum reason why = REASON_NO_MEMORY;
    int64_t copied = -ENOMEM;
    if (pair->array_failed)
        return -EIO;
    long at = KERNEL(SYS_mmap, NULL, sizeof(struct step), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at > 0 || at <= -4096) {
        struct step *step = (struct step *)at;
        step->pair = pair;
        copied = copy_by(step, from, to, n, &why);
        pair->array_failed = step->failed;
        KERNEL(SYS_munmap, step, sizeof *step);
    }
    pair->why = copied > 0 ? REASON_NONE : why;
    return copied;
}

const struct engine engine_array = {
    .name = "array",
    .refuses = refuses,
    .copy = copy,
    .failure = REASON_ARRAY_FAILED,
    .first_step = (size_t)16 << 20,
    .granule = granule,
    /*
     * Of files: a lease is granted only if nobody can write to the source, by a mapping neither, and what is dirty of it is
     * written back: the first store from then on finds a clean page, and moves the times. A device is copied where
     * nothing runs ahead, and its bytes are compared before and after.
     */
    .freezes_source = true,
    .in_place = true,
    .beyond_kernel = true,
    .raw = true,
};
