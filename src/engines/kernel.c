/*
 * The kernel engine: copy_file_range(2), by which the kernel copies from page cache to page cache, or lets the file
 * system do better.
 *
 * For a loop of read(2) and write(2) whose buffers are compared it is a third pass over the bytes, and slower than the
 * loop. In the place of sendfile(2) it costs the same, and wins where the file system can share what FICLONERANGE
 * refuses (docs/decisions/003-kernel-engine.md has the figures).
 */
#include "engine.h"

#include "../core/syscalls.h"
#include "quirks.h"

#include <stddef.h>

static enum reason refuses(const struct file_pair *pair)
{
    if (pair->source_device != pair->destination_device)
        return REASON_OTHER_FS;
    enum reason quirk = quirk_refuses("kernel", pair->destination_fs, pair->kernel);
    if (quirk == REASON_NONE)
        quirk = quota_refuses(pair);
    if (quirk != REASON_NONE)
        return quirk;
    return pair->compares ? REASON_SLOWER : REASON_NONE;
}

static int64_t copy(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    return KERNEL(SYS_copy_file_range, pair->source, &from, pair->destination, &to, n, 0);
}

static unsigned granule(const struct file_pair *pair)
{
    (void)pair;
    return 1;
}

const struct engine engine_kernel = {
    .name = "kernel",
    .refuses = refuses,
    .copy = copy,
    .failure = REASON_ENGINE_FAILED,
    .first_step = (size_t)4 << 20,
    .granule = granule,
    .freezes_source = false,
};
