#include "pages.h"

#include "../core/syscalls.h"
#include "books.h"
#include "feed.h"
#include "uffd.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <time.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* How long a page that there is no memory for is tried again, a millisecond each time, until its touch ends in SIGBUS. */
#define NO_MEMORY_TRIES 10000

static void nap(long ns)
{
    struct timespec pause = {.tv_nsec = ns};
    KERNEL(SYS_nanosleep, &pause, NULL);
}

static void wake(const struct filler *f, uintptr_t page)
{
    struct uffdio_range range = {page, PAGE_BYTES};
    KERNEL(SYS_ioctl, f->uffd, UFFDIO_WAKE, &range);
}

/* ---- filling ---- */

/*
 * Reads what the userfaultfd has to tell in the middle of a filling: whoever waits for a page is sent to touch it again,
 * since that page's filling may have to wait for this one.
 */
static void note_messages(struct filler *f)
{
    struct uffd_msg message;
    while (KERNEL(SYS_read, f->uffd, &message, sizeof message) == sizeof message) {
        if (message.event != UFFD_EVENT_PAGEFAULT) {
            books_enter_event(f, &message);
            continue;
        }
        uintptr_t page = message.arg.pagefault.address & ~(PAGE_BYTES - 1);
        struct region *r = books_region_at(f, page);
        if (r)
            SHARED_STORE(r->touched, true);
        wake(f, page);
    }
}

/*
 * Puts bytes into the first of the empty pages, as many as go in one call. Returns how many bytes on to continue, or 0:
 * the books may have changed, look again. Pages that are there stay.
 */
static size_t put(struct filler *f, uintptr_t page, const char *bytes, size_t n)
{
    for (int tries = 0;; tries++) {
        struct uffdio_copy copy = {.dst = page, .src = (uintptr_t)bytes, .len = n};
        long result = KERNEL(SYS_ioctl, f->uffd, UFFDIO_COPY, &copy);
        if (copy.copy > 0)
            return (size_t)copy.copy;
        if (result == -EAGAIN) {
            /* Somebody is changing the memory's mappings, and waits until we have read of it. */
            note_messages(f);
            nap(1000);
            return 0;
        }
        /* The program has cut the mapping in two (mlock(2), madvise(2)): the range must lie in one. */
        if (result == -ENOENT && n > PAGE_BYTES) {
            n = PAGE_BYTES;
            continue;
        }
        if (result == -ENOMEM && tries < NO_MEMORY_TRIES) {
            nap(1000000);
            continue;
        }
        if (result == -ENOMEM)
            books_poison(f, page, page + PAGE_BYTES);
        return PAGE_BYTES;
    }
}

/* Bytes that were fetched for the pages from `start` to `end`. */
struct fetched {
    uintptr_t start, end;
};

/* Sees to it that what the region is owed at `at` is fetched. False if it is not to be had: then `end` is where to go on. */
static bool fetch(struct filler *f, const struct region *r, uintptr_t at, struct fetched *held)
{
    if (at >= held->start && at < held->end)
        return true;
    *held = (struct fetched){at, at + earlier(r->end - at, FILLER_CHUNK)};
    return feed_fetch(f, &f->feeds[r->feed], held->end - at, SHARED_LOAD(r->from) + (off_t)(at - r->start));
}

/*
 * Fills every page of the region that is still empty: a program that looks at one will look at the others. What cannot be
 * read is poisoned. Waits for a disk, perhaps, and up to ten seconds for memory.
 */
static void fill(struct filler *f, const struct region *r)
{
    struct fetched held = {0};
    for (uintptr_t at = r->start; r->start && at < r->end;) {
        if (!fetch(f, r, at, &held)) {
            books_poison(f, at, held.end);
            at = held.end;
            continue;
        }
        size_t done = put(f, at, f->bytes + (at - held.start), earlier(r->end, held.end) - at);
        at += done;
        /* From the start again: the place may have another region by now. */
        if (!done) {
            at = r->start;
            held = (struct fetched){0};
        }
    }
}

void pages_fill_all(struct filler *f)
{
    for (unsigned i = 0; i < f->regions_used; i++) {
        SHARED_STORE(f->regions[i].touched, true);
        fill(f, &f->regions[i]);
    }
}

void pages_touched(struct filler *f, uintptr_t page)
{
    struct region *r = books_region_at(f, page);
    if (r) {
        SHARED_STORE(r->touched, true);
        f->feeds[r->feed].faults++;
        fill(f, r);
    } else if (f->lost.end) {
        books_poison(f, page, page + PAGE_BYTES);
    } else {
        struct uffdio_zeropage zero = {.range = {page, PAGE_BYTES}};
        if (KERNEL(SYS_ioctl, f->uffd, UFFDIO_ZEROPAGE, &zero) == -EAGAIN)
            nap(1000);
    }
    wake(f, page);
}

/* ---- letting go ---- */

static long unregister(const struct filler *f, uintptr_t start, uintptr_t end)
{
    struct uffdio_range range = {start, end - start};
    return KERNEL(SYS_ioctl, f->uffd, UFFDIO_UNREGISTER, &range);
}

/* Its pages that have moved meanwhile are in the books elsewhere. */
void pages_retire(struct filler *f, struct region *r)
{
    fill(f, r);
    if (r->start)
        unregister(f, r->start, r->end);
    SHARED_STORE(r->start, 0);
}

/* ---- emptying ---- */

/*
 * Only private anonymous memory can be emptied without loss: from a file's private pages MADV_DONTNEED would bring the
 * file's bytes back, and shared memory is not this process's alone. It must also be memory that read(2) could have
 * written to. UFFDIO_REGISTER accepts more than that.
 */
static bool may_be_emptied(const struct filler *f, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        struct map_query query = {.size = sizeof query, .address = start};
        if (KERNEL(SYS_ioctl, f->maps, QUERY_MAP, &query) < 0)
            return false;
        uint64_t wanted = MAP_READABLE | MAP_WRITABLE;
        if ((query.map_flags & (wanted | MAP_IS_SHARED)) != wanted || query.inode != 0 || query.device_major ||
            query.device_minor || query.page_size != PAGE_BYTES)
            return false;
        start = query.end;
    }
    return true;
}

/* What stands behind the word, if the text begins with it; else NULL. */
static const char *behind(const char *word, const char *text)
{
    while (*word && *word == *text)
        word++, text++;
    return *word ? NULL : text;
}

long pages_number_in(struct filler *f, int fd, const char *word)
{
    long n = KERNEL(SYS_pread64, fd, f->bytes, FILLER_CHUNK - 1, 0);
    f->bytes[n > 0 ? n : 0] = 0;
    for (const char *line = f->bytes; *line; line++) {
        const char *at = behind(word, line);
        if (!at)
            continue;
        long number = 0;
        while (*at == '\t' || *at == ' ')
            at++;
        for (; *at >= '0' && *at <= '9'; at++)
            number = number * 10 + (*at - '0');
        return number;
    }
    return -1;
}

/* Whether the program has mapped a ring of io_uring(7), a file of which shared memory is mapped; or that cannot be told. */
static bool has_ring(struct filler *f)
{
    struct map_query query = {.size = sizeof query,
                              .flags = MAP_THERE_OR_NEXT | MAP_OF_FILE | MAP_WRITABLE | MAP_IS_SHARED,
                              .name = (uintptr_t)f->bytes};
    for (;; query.address = query.end) {
        query.name_size = PATH_MAX;
        long found = KERNEL(SYS_ioctl, f->maps, QUERY_MAP, &query);
        if (found < 0)
            return found != -ENOENT;
        if (behind("anon_inode:[io_uring]", f->bytes))
            return true;
    }
}

/*
 * Whether memory of the program may be pinned: io_uring's registered buffers go on using a page that was taken away. Linux 7.3
 * does not count those of a process with CAP_IPC_LOCK.
 */
static bool is_pinned(struct filler *f)
{
    return pages_number_in(f, f->program_status, "VmPin:") != 0 || has_ring(f);
}

/*
 * Lets regions go that have pages in the range; one that is the range is about to be emptied, and needs no filling. Whether there
 * was one.
 */
static bool make_room(struct filler *f, uintptr_t start, uintptr_t end)
{
    bool same = false;
    for (unsigned i = 0; i < f->regions_used; i++) {
        struct region *r = &f->regions[i];
        if (r->start == start && r->end == end) {
            SHARED_STORE(r->start, 0);
            same = true;
        } else if (r->start && r->start < end && start < r->end) {
            pages_retire(f, r);
        }
    }
    return same;
}

/*
 * Registering cuts a mapping in pieces. Those of one that nothing was ever written to do not become one again (is_mergeable_anon_vma()
 * in mm/vma.c), and mremap(2) moves but one.
 */
static void write_to_ends(uintptr_t start, uintptr_t end)
{
    KERNEL(SYS_madvise, start, PAGE_BYTES, MADV_POPULATE_WRITE);
    KERNEL(SYS_madvise, end - PAGE_BYTES, PAGE_BYTES, MADV_POPULATE_WRITE);
}

static long enroll(const struct filler *f, uintptr_t start, uintptr_t end)
{
    struct uffdio_register r = {.range = {start, end - start}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    return KERNEL(SYS_ioctl, f->uffd, UFFDIO_REGISTER, &r);
}

/* Whether no page is there, in memory or in swap, as the kernel's page tables say. */
static bool are_empty(const struct filler *f, uintptr_t start, uintptr_t end)
{
    struct page_region_found run;
    struct pagemap_scan scan = {
        .size = sizeof scan,
        .start = start,
        .end = end,
        .vector = (uintptr_t)&run,
        .vector_length = 1,
        .category_anyof_mask = PAGE_PRESENT | PAGE_SWAPPED,
        .return_mask = PAGE_PRESENT | PAGE_SWAPPED,
    };
    return KERNEL(SYS_ioctl, f->pagemap, SCAN_PAGES, &scan) == 0;
}

/*
 * Emptied while they are not registered: the filler would wait for itself to read of it. MADV_DONTNEED fails on locked
 * memory, whose pages cannot be taken away.
 */
static int empty_and_register(struct filler *f, uintptr_t start, uintptr_t end, bool again)
{
    long result = unregister(f, start, end);
    if (result == 0 && !again)
        write_to_ends(start, end);
    if (result == 0)
        result = KERNEL(SYS_madvise, start, end - start, MADV_DONTNEED);
    if (result == 0)
        result = enroll(f, start, end);
    if (result < 0)
        return (int)-result;
    if (are_empty(f, start, end))
        return 0;
    unregister(f, start, end);
    return EBUSY;
}

int pages_prepare(struct filler *f)
{
    const struct region *wanted = &f->order.region;
    if (f->traced)
        return EPERM;
    bool again = make_room(f, wanted->start, wanted->end);
    /* The part pages are not emptied, but stay what they are found to be: memory that can be read. */
    if (!may_be_emptied(f, f->order.buffer.start, f->order.buffer.end) || is_pinned(f))
        return EINVAL;
    struct region *r = books_free_region(f, FILLER_BUFFERS);
    if (!r)
        return ENOSPC;
    int failed = empty_and_register(f, wanted->start, wanted->end, again);
    if (failed)
        return failed;
    *r = *wanted;
    return 0;
}
