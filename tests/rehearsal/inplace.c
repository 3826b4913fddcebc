/*
 * An engine for tests: it copies by reading and writing, in place, as a disk array would, so that what the library does
 * around such an engine can be tried on every file system. Nothing of it is in what is installed.
 *
 * OFFLOAD_REHEARSAL=fails: every copy fails half way, after it has been made up to there.
 */
#include "engines/engine.h"

#include "core/syscalls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STEP ((size_t)256 << 10)
#define BLOCK 4096

static bool fails;

static __attribute__((constructor)) void read_environment(void)
{
    const char *told = getenv("OFFLOAD_REHEARSAL");
    fails = told && strcmp(told, "fails") == 0;
}

static enum reason refuses(const struct file_pair *pair)
{
    return pair->source_device == pair->destination_device ? REASON_NONE : REASON_OTHER_FS;
}

static int64_t copy_through(char *bytes, const struct file_pair *pair, off_t from, off_t to, size_t n)
{
    long got = KERNEL(SYS_pread64, pair->source, bytes, fails ? n / 2 : n, from);
    if (got <= 0)
        return got;
    got = KERNEL(SYS_pwrite64, pair->destination, bytes, got, to);
    return fails ? -EIO : got;
}

static int64_t copy(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    size_t step = n < STEP ? n : STEP;
    long at = KERNEL(SYS_mmap, NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return at;
    int64_t copied = copy_through((char *)at, pair, from, to, step);
    KERNEL(SYS_munmap, at, STEP);
    return copied;
}

static unsigned granule(const struct file_pair *pair)
{
    (void)pair;
    return BLOCK;
}

extern const struct engine engine_rehearsal;
const struct engine engine_rehearsal = {
    .name = "rehearsal",
    .refuses = refuses,
    .copy = copy,
    .failure = REASON_ENGINE_FAILED,
    .first_step = STEP,
    .granule = granule,
    .in_place = true,
    .beyond_kernel = true,
};
