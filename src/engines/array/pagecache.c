#include "pagecache.h"

#include "../../core/cachestat.h"
#include "../../core/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>

/* Pages come in pieces of up to that size and alignment, and one that reaches out of what is dropped stays. */
#define LARGEST_PIECE ((uint64_t)2 << 20)

#define PAGE ((uint64_t)4096)
#define MOST_AT_ONCE 256

/* How many pages of the mapping are in memory, or -1. */
static long count_resident(const char *mapping, uint64_t pages)
{
    unsigned char resident[MOST_AT_ONCE];
    long count = 0;
    for (uint64_t at = 0; at < pages; at += MOST_AT_ONCE) {
        uint64_t n = pages - at < MOST_AT_ONCE ? pages - at : MOST_AT_ONCE;
        if (KERNEL(SYS_mincore, mapping + at * PAGE, n * PAGE, resident) < 0)
            return -1;
        for (uint64_t i = 0; i < n; i++)
            count += resident[i] & 1;
    }
    return count;
}

static bool none_by_mincore(int fd, uint64_t from, uint64_t n)
{
    uint64_t begin = from - from % PAGE, pages = (from + n - begin + PAGE - 1) / PAGE;
    long mapping = KERNEL(SYS_mmap, NULL, pages * PAGE, PROT_NONE, MAP_SHARED, fd, begin);
    if (mapping < 0 && mapping > -4096)
        return false;
    long count = count_resident((const char *)mapping, pages);
    KERNEL(SYS_munmap, mapping, pages * PAGE);
    return count == 0;
}

static bool none_is_cached(int fd, uint64_t from, uint64_t n)
{
    struct cache_state state;
    long result = cachestat_of(fd, from, n, &state);
    if (result == -ENOSYS || result == -EPERM)
        return none_by_mincore(fd, from, n);
    return result == 0 && state.cached == 0;
}

bool pagecache_drop(int fd, uint64_t from, uint64_t n)
{
    uint64_t begin = from - from % LARGEST_PIECE;
    uint64_t end = (from + n + LARGEST_PIECE - 1) / LARGEST_PIECE * LARGEST_PIECE;
    KERNEL(SYS_fadvise64, fd, begin, end - begin, POSIX_FADV_DONTNEED);
    if (none_is_cached(fd, from, n))
        return true;
    /* On some processors pieces can be larger. */
    KERNEL(SYS_fadvise64, fd, 0, 0, POSIX_FADV_DONTNEED);
    return none_is_cached(fd, from, n);
}
