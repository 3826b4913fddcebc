/*
 * Memory: a mapping of a file shows the file's end, and writes to it unseen; and what may not be read ends who reads it. What is
 * done to a lazy buffer's memory is told by the kernel's events, but for these: new rights, and advice of other kinds, come
 * without one; a part of a mapping that was cut in pieces cannot be moved together with the rest; shmat(2) may replace
 * what is there; mlockall(2) may leave the filler no room to map a file.
 */
#define FAMILY_MEMORY
#include "hook.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/shm.h>

EXPORT void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
    if (!(flags & MAP_ANONYMOUS))
        copy_mapping(fd);
    /* A guard in shared memory hides a page that is there (MADV_GUARD_INSTALL, madvise(2)). */
    if (flags & MAP_SHARED)
        copy_forbidding();
    void *mapping = original_mmap(at, n, protection, flags, fd, from);
    if (mapping != MAP_FAILED && !(flags & MAP_ANONYMOUS))
        copy_mapped(fd, mapping, n, from);
    return mapping;
}

EXPORT int mprotect(void *at, size_t n, int protection)
{
    if (!(protection & PROT_READ))
        copy_forbidding();
    copy_memory_changing(at, n);
    return original_mprotect(at, n, protection);
}

EXPORT void *shmat(int id, const void *at, int flags)
{
    copy_forbidding();
    if (flags & SHM_REMAP)
        copy_memory_changing(NULL, SIZE_MAX);
    return original_shmat(id, at, flags);
}

/* Whether memory with a key may be read the program decides without a call (pkeys(7)). */
EXPORT int pkey_mprotect(void *at, size_t n, int protection, int key)
{
    copy_forbidding();
    copy_memory_changing(at, n);
    return original_pkey_mprotect(at, n, protection, key);
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

EXPORT int madvise(void *at, size_t n, int advice)
{
    copy_memory_changing(at, n);
    return original_madvise(at, n, advice);
}

EXPORT int mlockall(int flags)
{
    copy_lazy_ending();
    return original_mlockall(flags);
}
