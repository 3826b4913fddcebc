/* What the kernel has of a file in memory, which it does not know to be old when a disk has changed by itself. */
#ifndef LIBOFFLOAD_PAGECACHE_H
#define LIBOFFLOAD_PAGECACHE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Drops the file's pages that hold any of the n bytes from `from` on, and some around them. They must have been written
 * back. False if any stays, because it is mapped, locked or dirty, or if that cannot be learned: cachestat(2) tells it
 * since Linux 6.5, before that mincore(2), which needs a descriptor that is open for reading too.
 */
bool pagecache_drop(int fd, uint64_t from, uint64_t n);

#endif
