#include "compare.h"

#include "../core/settings.h"
#include "../core/syscalls.h"
#include "../core/underway.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define PAGE ((uintptr_t)4096)

/* No program's memory reaches so far (47 bits on x86-64, 48 on arm64, where more are asked for by a hint of mmap(2)). */
#if defined(__x86_64__)
#define MEMORY_END (((uintptr_t)1 << 47) - PAGE)
#else
#define MEMORY_END ((uintptr_t)1 << 48)
#endif

/* Behind the scratch memory: where what it holds is read once more. Takes no memory where that is never done. */
#define AGAIN ((size_t)64 << 10)

bool compare_is_memory(const void *bytes, size_t n)
{
    return (uintptr_t)bytes < MEMORY_END && n <= MEMORY_END - (uintptr_t)bytes;
}

static bool may_go;

void compare_what_may_go(void)
{
    __atomic_store_n(&may_go, true, __ATOMIC_RELAXED);
}

bool compare_fetch(void *to, const void *bytes, size_t n)
{
    struct iovec here = {to, n}, there = {(void *)(uintptr_t)bytes, n};
    return !settings.filtered && KERNEL(SYS_process_vm_readv, KERNEL(SYS_getpid), &here, 1, &there, 1, 0) == (long)n;
}

static bool may_be_forbidden;

void compare_what_may_be_forbidden(void)
{
    __atomic_store_n(&may_be_forbidden, true, __ATOMIC_RELAXED);
}

/* Pages that are asked about at once: a byte each, on the stack of a signal handler. */
#define ASKED ((size_t)256)

/* So few pages are tried one by one at less cost than asked about. */
#define FEW ((size_t)6)

/*
 * Whether a load from there raises no signal: the kernel fetches an event from there before it looks at the descriptors, of which there
 * is none (epoll_ctl() in fs/eventpoll.c). EFAULT, or EBADF and nothing has happened. Valgrind says nothing of it.
 */
static bool is_loadable(uintptr_t at)
{
    const int none = -1;
    return KERNEL(SYS_epoll_ctl, none, EPOLL_CTL_ADD, none, at) == -EBADF;
}

/* What is_loadable() loads: bytes of the buffer, and no others. */
#define TRIED sizeof(struct epoll_event)

/* Of TRIED bytes and more. */
static bool each_is_loadable(uintptr_t at, uintptr_t end)
{
    while (at < end && is_loadable(at < end - TRIED ? at : end - TRIED))
        at = (at | (PAGE - 1)) + 1;
    return at >= end;
}

/* Residency does not tell that a page may not be read, nor always that a mapped file has ended before it. */
static bool residency_tells(void)
{
    return !settings.filtered && !__atomic_load_n(&may_go, __ATOMIC_RELAXED) &&
           !__atomic_load_n(&may_be_forbidden, __ATOMIC_RELAXED);
}

/* Whether each page is there: for 32 pages an eighth of what it costs to have the kernel touch them (docs/decisions/023). */
static bool is_resident(uintptr_t page, uintptr_t end)
{
    unsigned char there[ASKED] = {0};
    for (size_t n; page < end; page += n * PAGE) {
        n = (end - page) / PAGE < ASKED ? (end - page) / PAGE : ASKED;
        if (KERNEL(SYS_mincore, page, n * PAGE, there) != 0)
            return false;
        for (size_t i = 0; i < n; i++)
            if (!(there[i] & 1))
                return false;
    }
    return true;
}

/* Fails where a load would fault; -EINVAL before Linux 5.14. */
static long populate(uintptr_t page, uintptr_t end)
{
    return KERNEL(SYS_madvise, page, end - page, MADV_POPULATE_READ);
}

/* write(2) gives EFAULT for a buffer that is gone, and so must we. */
bool compare_readable(const void *bytes, size_t n)
{
    char few[TRIED];
    if (!compare_is_memory(bytes, n))
        return false;
    uintptr_t begin = (uintptr_t)bytes, end = begin + n, page = begin & ~(PAGE - 1);
    if (n == 0)
        return true;
    /* A filter may forbid the other calls. */
    if (settings.filtered)
        return populate(page, end) == 0;
    if (n < TRIED)
        return populate(page, end) == 0 || compare_fetch(few, bytes, n);
    if (end - page > FEW * PAGE) {
        if (residency_tells() && is_resident(page, (end + PAGE - 1) & ~(PAGE - 1)))
            return true;
        long populated = populate(page, end);
        if (populated != -EINVAL)
            return populated == 0;
    }
    return each_is_loadable(begin, end);
}

/* Bytes: on the stack of a signal handler, which may have two kilobytes. */
#define LOOK ((size_t)256)

static bool is_there(const char *bytes, size_t n, int source, off_t from)
{
    char there[LOOK], fetched[LOOK];
    if (__atomic_load_n(&may_go, __ATOMIC_RELAXED)) {
        if (!compare_fetch(fetched, bytes, n))
            return false;
        bytes = fetched;
    }
    long got = KERNEL(SYS_pread64, source, there, n, from);
    /* With O_DIRECT so little cannot be read. */
    return got == -EINVAL || (got == (long)n && memcmp(bytes, there, n) == 0);
}

bool compare_begins(const void *buffer, size_t n, int source, off_t from)
{
    size_t look = n < LOOK ? n : LOOK;
    return is_there(buffer, look, source, from) &&
           is_there((const char *)buffer + (n - look), look, source, from + (off_t)(n - look));
}

bool compare_take(struct compare_scratch *scratch, size_t n)
{
    size_t room = n > COMPARE_SCRATCH ? n : COMPARE_SCRATCH;
    if (scratch->bytes && scratch->room >= room)
        return true;
    long at = KERNEL(SYS_mmap, NULL, room + AGAIN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return false;
    compare_drop(scratch);
    *scratch = (struct compare_scratch){.bytes = (char *)at, .room = room, .step = COMPARE_SCRATCH};
    return true;
}

/* What a page costs, by what a call costs, decides; a step of the square root of both would be best. This is near it. */
void compare_expect(struct compare_scratch *scratch, off_t whole)
{
    size_t step = whole > 0 ? (size_t)whole / 256 / COMPARE_LEAST * COMPARE_LEAST : COMPARE_LEAST;
    step = step < COMPARE_LEAST ? COMPARE_LEAST : step;
    scratch->step = step < COMPARE_SCRATCH ? step : COMPARE_SCRATCH;
}

void compare_drop(struct compare_scratch *scratch)
{
    if (scratch->bytes)
        KERNEL(SYS_munmap, scratch->bytes, scratch->room + AGAIN);
    *scratch = (struct compare_scratch){0};
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
    scratch->known = false;
}

static bool equals(const char *buffer, const char *bytes, size_t n, const struct compare_scratch *scratch)
{
    if (!__atomic_load_n(&may_go, __ATOMIC_RELAXED))
        return memcmp(buffer, bytes, n) == 0;
    for (size_t done = 0, part; done < n; done += part) {
        char *fetched = scratch->bytes + scratch->room;
        part = n - done < AGAIN ? n - done : AGAIN;
        if (!compare_fetch(fetched, buffer + done, part) || memcmp(fetched, bytes + done, part) != 0)
            return false;
    }
    return true;
}

/* As compare_held(), of memory that is known to be readable. */
static bool is_held(const char *buffer, size_t n, off_t from, const struct compare_scratch *scratch)
{
    return held_from(scratch, from) >= n && equals(buffer, scratch->bytes + (from - scratch->from), n, scratch);
}

enum reason compare_held(const void *buffer, size_t n, off_t from, const struct compare_scratch *scratch)
{
    if (!compare_readable(buffer, n))
        return REASON_BUFFER_GONE;
    return is_held(buffer, n, from, scratch) ? REASON_NONE : REASON_CHANGED_BYTES;
}

/* As compare_buffer(), of memory that is known to be readable. */
static enum reason compare_memory(const char *bytes, size_t n, int source, off_t from, struct compare_scratch *scratch)
{
    bool ahead = n < scratch->step;
    while (n) {
        if (!held_from(scratch, from))
            hold(scratch, source, from, ahead || n > scratch->step ? scratch->step : n);
        /* Where nothing is held the source has ended. */
        size_t held = held_from(scratch, from), part = n < held ? n : held;
        if (!part || !is_held(bytes, part, from, scratch))
            return REASON_CHANGED_BYTES;
        bytes += part;
        from += (off_t)part;
        n -= part;
    }
    return REASON_NONE;
}

enum reason compare_buffer(const void *buffer, size_t n, int source, off_t from, struct compare_scratch *scratch)
{
    const char *bytes = buffer;
    enum reason why = REASON_NONE;
    /* Memory is asked for shortly before it is read, where another thread may take it away. */
    size_t most = *underway_single ? n : COMPARE_SCRATCH;
    for (size_t part; n && why == REASON_NONE; n -= part) {
        part = n < most ? n : most;
        why = compare_readable(bytes, part) ? compare_memory(bytes, part, source, from, scratch) : REASON_BUFFER_GONE;
        bytes += part;
        from += (off_t)part;
    }
    return why;
}

enum reason compare_pieces(const struct iovec *pieces, size_t skip, size_t n, int source, off_t from,
                           struct compare_scratch *scratch, bool held_only)
{
    enum reason why = REASON_NONE;
    for (; n && why == REASON_NONE; pieces++) {
        if (skip >= pieces->iov_len) {
            skip -= pieces->iov_len;
            continue;
        }
        const char *bytes = (const char *)pieces->iov_base + skip;
        size_t part = pieces->iov_len - skip < n ? pieces->iov_len - skip : n;
        why = held_only ? compare_held(bytes, part, from, scratch) : compare_buffer(bytes, part, source, from, scratch);
        from += (off_t)part;
        n -= part;
        skip = 0;
    }
    return why;
}

bool compare_hold(struct compare_scratch *scratch, int source, off_t from, size_t n)
{
    compare_forget(scratch);
    scratch->from = from;
    while (scratch->held < n) {
        long got =
            KERNEL(SYS_pread64, source, scratch->bytes + scratch->held, n - scratch->held, from + (off_t)scratch->held);
        if (got <= 0)
            break;
        scratch->held += (size_t)got;
    }
    return scratch->held == n;
}

bool compare_holds_still(struct compare_scratch *scratch, int source, size_t n)
{
    char *again = scratch->bytes + scratch->room;
    for (size_t done = 0; done < n;) {
        size_t part = n - done < AGAIN ? n - done : AGAIN;
        long got = KERNEL(SYS_pread64, source, again, part, scratch->from + (off_t)done);
        if (got <= 0 || memcmp(again, scratch->bytes + done, (size_t)got) != 0)
            return false;
        done += (size_t)got;
    }
    scratch->held = n;
    return true;
}
