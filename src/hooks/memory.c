/* Memory maps of files: a mapping shows the file's end, and writes to it unseen. */
#define FAMILY_MEMORY
#include "hook.h"

#include <sys/mman.h>

EXPORT void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
    if (!(flags & MAP_ANONYMOUS))
        copy_mapping(fd);
    void *mapping = original_mmap(at, n, protection, flags, fd, from);
    if (mapping != MAP_FAILED && !(flags & MAP_ANONYMOUS))
        copy_mapped(fd, mapping, n, from);
    return mapping;
}
