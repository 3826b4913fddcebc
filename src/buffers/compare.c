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
 * Linux 5.14 tells it by madvise(MADV_POPULATE_READ), which fails where a load would fault; on older kernels, where
 * this is EINVAL, each page is read by process_vm_readv(2), which fails likewise.
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

/* How many bytes from there on are held. */
static size_t held_from(const struct compare_scratch *scratch, off_t from)
{
    off_t end = scratch->from + (off_t)scratch->held;
    return from >= scratch->from && from < end ? (size_t)(end - from) : 0;
}

/* Reads what is to be compared, and for small writes what the next ones will need. */
static void hold(struct compare_scratch *scratch, int source, off_t from, size_t n)
{
    long got = KERNEL(SYS_pread64, source, scratch->bytes, n, from);
    scratch->from = from;
    scratch->held = got > 0 ? (size_t)got : 0;
}

static enum reason compare(const char *bytes, size_t n, int source, off_t from, struct compare_scratch *scratch,
                           bool ahead)
{
    while (n) {
        if (!held_from(scratch, from))
            hold(scratch, source, from, ahead || n > COMPARE_SCRATCH ? COMPARE_SCRATCH : n);
        size_t held = held_from(scratch, from);
        size_t part = n < held ? n : held;
        if (!readable(bytes, part ? part : 1))
            return REASON_BUFFER_GONE;
        if (!part || memcmp(bytes, scratch->bytes + (from - scratch->from), part) != 0)
            return REASON_CHANGED_BYTES;
        bytes += part;
        from += (off_t)part;
        n -= part;
    }
    return REASON_NONE;
}

enum reason compare_buffer(const void *buffer, size_t n, int source, off_t from, struct compare_scratch *scratch)
{
    return compare(buffer, n, source, from, scratch, n < COMPARE_SCRATCH);
}

enum reason compare_exactly(const void *buffer, size_t n, int source, off_t from, struct compare_scratch *scratch)
{
    return compare(buffer, n, source, from, scratch, false);
}
