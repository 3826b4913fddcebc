/* What the page cache has of a file: cachestat(2). */
#ifndef LIBOFFLOAD_CACHESTAT_H
#define LIBOFFLOAD_CACHESTAT_H

#include "syscalls.h"

#include <stdint.h>

/* Pages, as struct cachestat in linux/mman.h has them. */
struct cache_state {
    uint64_t cached, dirty, written_back, evicted, recently_evicted;
};

/*
 * Counts the pages that are cached of n > 0 bytes from `from` on. 0, or a negative errno: -ENOSYS before Linux 6.5. Of a
 * file on overlayfs the pages are another file's. Safe in a signal handler.
 */
static inline long cachestat_of(int fd, uint64_t from, uint64_t n, struct cache_state *state)
{
    struct {
        uint64_t from, n;
    } range = {from, n};
    return KERNEL(SYS_cachestat, fd, &range, state, 0);
}

#endif
