/*
 * Memory maps. A mapping of a file shows the file's end, and writes to it unseen; and what a program does to the memory
 * that a lazy buffer lies in, it is to do to the bytes.
 */
#define FAMILY_MEMORY
#include "hook.h"

#include "../core/unseen.h"

#include <sys/mman.h>

EXPORT void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
    if (flags & MAP_FIXED)
        copy_memory_changing(at, n);
    if (!(flags & MAP_ANONYMOUS)) {
        copy_settle(fd);
        unseen_add(&mapped, fd);
    }
    return original_mmap(at, n, protection, flags, fd, from);
}

EXPORT int munmap(void *at, size_t n)
{
    copy_memory_changing(at, n);
    return original_munmap(at, n);
}

EXPORT void *mremap(void *at, size_t n, size_t wanted, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    void *to = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    copy_memory_changing(at, n);
    if (to)
        copy_memory_changing(to, wanted);
    return original_mremap(at, n, wanted, flags, to);
}

EXPORT int mprotect(void *at, size_t n, int protection)
{
    copy_memory_changing(at, n);
    return original_mprotect(at, n, protection);
}

EXPORT int madvise(void *at, size_t n, int advice)
{
    copy_memory_changing(at, n);
    return original_madvise(at, n, advice);
}

EXPORT int mlock(const void *at, size_t n)
{
    copy_memory_changing(at, n);
    return original_mlock(at, n);
}

EXPORT int mlockall(int flags)
{
    copy_memory_changing(NULL, SIZE_MAX);
    return original_mlockall(flags);
}

EXPORT int pkey_mprotect(void *at, size_t n, int protection, int key)
{
    copy_memory_changing(at, n);
    return original_pkey_mprotect(at, n, protection, key);
}
