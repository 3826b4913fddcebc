#include "compare.h"

#include "../core/settings.h"
#include "../core/syscalls.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define PAGE ((uintptr_t)4096)

/*
 * Whether the bytes can be read without a signal: write(2) gives EFAULT for a buffer that is gone, and so must we.
 * Linux 5.14 tells it by madvise(MADV_POPULATE_READ), which fails where a load would fault; on older kernels, where this
 * is EINVAL, each page is read by process_vm_readv(2), which fails likewise.
 */
static bool readable(const char *bytes, size_t n)
{
    uintptr_t first = (uintptr_t)bytes & ~(PAGE - 1);
    uintptr_t end = ((uintptr_t)bytes + n + PAGE - 1) & ~(PAGE - 1);
    long populated = KERNEL(SYS_madvise, first, end - first, MADV_POPULATE_READ);
    if (populated != -EINVAL || settings.filtered)
        return populated == 0;
    long pid = KERNEL(SYS_getpid);
    for (uintptr_t page = first; page < end; page += PAGE) {
        char byte;
        struct iovec here = {&byte, 1}, there = {(void *)page, 1};
        if (KERNEL(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0) != 1)
            return false;
    }
    return true;
}

enum reason compare_buffer(const void *buffer, size_t n, int source, off_t from, void *scratch)
{
    const char *bytes = buffer;
    while (n) {
        size_t part = n < COMPARE_SCRATCH ? n : COMPARE_SCRATCH;
        if (!readable(bytes, part))
            return REASON_BUFFER_GONE;
        if (KERNEL(SYS_pread64, source, scratch, part, from) != (long)part || memcmp(bytes, scratch, part) != 0)
            return REASON_CHANGED_BYTES;
        bytes += part;
        from += (off_t)part;
        n -= part;
    }
    return REASON_NONE;
}
