/*
 * Memory maps. A mapping of a file shows the file's end, and writes to it unseen. What is done to a lazy buffer's memory
 * is told by the kernel's events, but for these: new rights, and advice of other kinds, come without one; part of a
 * mapping that was cut in pieces cannot be moved together with the rest; and shmat(2) replaces what is there.
 */
#define FAMILY_MEMORY
#include "hook.h"

#include "../core/unseen.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/shm.h>

EXPORT void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
    if (!(flags & MAP_ANONYMOUS)) {
        copy_settle(fd);
        unseen_add(&mapped, fd);
    }
    return original_mmap(at, n, protection, flags, fd, from);
}

EXPORT void *mremap(void *at, size_t n, size_t wanted, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    void *to = va_arg(rest, void *);
    va_end(rest);
    copy_memory_changing(at, n);
    return original_mremap(at, n, wanted, flags, to);
}

EXPORT int mprotect(void *at, size_t n, int protection)
{
    copy_memory_changing(at, n);
    return original_mprotect(at, n, protection);
}

EXPORT int pkey_mprotect(void *at, size_t n, int protection, int key)
{
    copy_memory_changing(at, n);
    return original_pkey_mprotect(at, n, protection, key);
}

EXPORT int madvise(void *at, size_t n, int advice)
{
    copy_memory_changing(at, n);
    return original_madvise(at, n, advice);
}

EXPORT void *shmat(int id, const void *at, int flags)
{
    if (flags & SHM_REMAP)
        copy_memory_changing(NULL, SIZE_MAX);
    return original_shmat(id, at, flags);
}
