/* Memory: a mapping of a file shows the file's end, and writes to it unseen; and what may not be read ends who reads it. */
#define FAMILY_MEMORY
#include "hook.h"

#include <sys/mman.h>

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
    return original_mprotect(at, n, protection);
}

EXPORT void *shmat(int id, const void *at, int flags)
{
    copy_forbidding();
    return original_shmat(id, at, flags);
}

/* Whether memory with a key may be read the program decides without a call (pkeys(7)). */
EXPORT int pkey_mprotect(void *at, size_t n, int protection, int key)
{
    copy_forbidding();
    return original_pkey_mprotect(at, n, protection, key);
}
