/*
 * The clone engine: two files share extents (ioctl_ficlonerange(2)). Costs by the extent, not by the byte.
 *
 * Why a clone freezes the source: the file system writes the range's dirty pages back first, under both files' locks
 * (generic_remap_file_range_prep() in fs/remap_range.c), and writing a page back write-protects it in every mapping. A
 * store into a mapping after that faults, and the fault moves the file's times (file_update_time() in page_mkwrite).
 */
#include "engine.h"

#include "../core/syscalls.h"
#include "quirks.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>

static enum reason refuses(const struct file_pair *pair)
{
    /* Subvolumes of one Btrfs have device numbers of their own; whether they are of one the kernel says (EXDEV). */
    bool may_be_one = pair->source_device == pair->destination_device ||
                      (pair->source_fs == BTRFS_SUPER_MAGIC && pair->destination_fs == BTRFS_SUPER_MAGIC);
    enum reason quirk = quirk_refuses("clone", pair->destination_fs, pair->kernel);
    if (!may_be_one && quirk != REASON_ON_SERVER)
        return REASON_OTHER_FS;
    return quirk == REASON_NONE ? quota_refuses(pair) : quirk;
}

static int64_t copy(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    struct file_clone_range range = {
        .src_fd = pair->source,
        .src_offset = (uint64_t)from,
        .src_length = n,
        .dest_offset = (uint64_t)to,
    };
    long result = KERNEL(SYS_ioctl, pair->destination, FICLONERANGE, &range);
    return result < 0 ? result : (int64_t)n;
}

static unsigned granule(const struct file_pair *pair)
{
    return pair->block;
}

const struct engine engine_clone = {
    .name = "clone",
    .refuses = refuses,
    .copy = copy,
    .failure = REASON_ENGINE_FAILED,
    .first_step = (size_t)4 << 20,
    .granule = granule,
    .freezes_source = true,
};
