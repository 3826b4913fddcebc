#include "lazy.h"

#include "../core/lock.h"
#include "../core/private.h"
#include "../core/settings.h"
#include "../core/syscalls.h"
#include "filler.h"
#include "uffd.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Below this many bytes of whole pages, two proofs cost more than reading and comparing. */
#define LEAST_LAZY ((size_t)32 << 10)
/* A program that looks is a program that looks. */
#define LOOKS_ALLOWED 2
/* A program with a new buffer for every read pays more for the change of buffers than it saves. */
#define MOVES_ALLOWED 8

static int gate;              /* held by whoever starts, stops or orders the filler */
static struct filler *filler; /* while any copy is lazy */
/* Likewise. */
static int *const pagemap = &private_descriptors[PRIVATE_PAGEMAP];

void lazy_forget(void)
{
    if (*pagemap >= 0)
        KERNEL(SYS_close, *pagemap);
    *pagemap = -1;
    filler = NULL;
    gate = 0;
}

void lazy_forbid(void)
{
    settings.buffers = BUFFERS_COMPARE;
    lazy_let_go(NULL, SIZE_MAX);
}

/* ---- starting and ending ---- */

/*
 * A second thread could see the number of our descriptor, for the moment before it is moved up. /proc/self/task has
 * a link for each thread and two more.
 */
static bool single_threaded(void)
{
    struct stat tasks;
    return KERNEL(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &tasks, 0) == 0 && tasks.st_nlink == 3;
}

static enum reason start_filler(void)
{
    if (settings.filtered)
        return REASON_LAZY_UNAVAILABLE;
    if (!single_threaded())
        return REASON_LAZY_THREADS;
    *pagemap = private_descriptor(KERNEL(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (*pagemap < 0)
        return REASON_LAZY_UNAVAILABLE;
    filler = filler_start();
    if (filler)
        return REASON_NONE;
    KERNEL(SYS_close, *pagemap);
    *pagemap = -1;
    return REASON_LAZY_UNAVAILABLE;
}

static void stop_filler_if_idle(void)
{
    for (unsigned i = 0; i < FILLER_FEEDS; i++)
        if (filler->feeds[i].used)
            return;
    filler_stop(filler);
    KERNEL(SYS_close, *pagemap);
    filler = NULL;
    *pagemap = -1;
}

/* A feed's place that is free, or FILLER_FEEDS. */
static unsigned free_feed(void)
{
    unsigned place = 0;
    while (place < FILLER_FEEDS && filler->feeds[place].used)
        place++;
    return place;
}

enum reason lazy_begin(struct lazy_copy *copy, int source, int destination, off_t shift, const struct file_state *state)
{
    /* The filler opens the destination to read it, which would break a lease of the program's own. */
    if (KERNEL(SYS_fcntl, destination, F_GETLEASE) != F_UNLCK)
        return copy->refused = REASON_LAZY_UNAVAILABLE;
    lock_take(&gate);
    enum reason why = filler ? REASON_NONE : start_filler();
    if (why == REASON_NONE) {
        unsigned place = free_feed();
        why = REASON_LAZY_UNAVAILABLE;
        if (place < FILLER_FEEDS) {
            filler->feeds[place] = (struct feed){.used = true, .shift = shift, .state = *state};
            filler->order.place = place;
            filler->order.source = source;
            filler->order.destination = destination;
            if (filler_order(filler, ORDER_FEED) == 0) {
                copy->on = true;
                copy->feed = place;
                why = REASON_NONE;
            }
        }
        stop_filler_if_idle();
    }
    copy->refused = why;
    lock_give(&gate);
    return why;
}

void lazy_end(struct lazy_copy *copy, enum reason why)
{
    if (!copy->on)
        return;
    lock_take(&gate);
    copy->faults += filler->feeds[copy->feed].faults;
    filler->order.place = copy->feed;
    filler_order(filler, ORDER_UNFEED);
    stop_filler_if_idle();
    copy->on = false;
    copy->refused = why;
    lock_give(&gate);
}

/* ---- regions ---- */

/* The category of all pages from start to end if it is one, and none of them was written to or replaced; else 0. */
static uint64_t one_category(uintptr_t start, uintptr_t end)
{
    struct page_region found;
    struct pagemap_scan scan = {
        .size = sizeof scan,
        .start = start,
        .end = end,
        .vector = (uintptr_t)&found,
        .vector_length = 1,
        .category_inverted = PAGE_WRITTEN,
        .category_mask = PAGE_WPALLOWED | PAGE_WRITTEN,
        .return_mask = PAGE_WPALLOWED | PAGE_PRESENT,
    };
    if (KERNEL(SYS_ioctl, *pagemap, SCAN_PAGES, &scan) != 1 || found.start != start || found.end != end)
        return 0;
    return found.categories;
}

/* A filled page that was swapped out looks like an empty one, so the filler's count is asked as well. */
static bool all_empty(const struct region *r)
{
    return __atomic_load_n(&r->fills, __ATOMIC_ACQUIRE) == 0 && one_category(r->start, r->end) == PAGE_WPALLOWED;
}

static int order(enum filler_order what, const struct region *r)
{
    filler->order.place = (unsigned)(r - filler->regions);
    return filler_order(filler, what);
}

static struct region *region_with(uintptr_t page)
{
    for (unsigned i = 0; i < FILLER_REGIONS; i++)
        if (filler->regions[i].start && page >= filler->regions[i].start && page < filler->regions[i].end)
            return &filler->regions[i];
    return NULL;
}

/* Lets every region go that has pages between start and end. Returns how many. */
static unsigned retire_overlapping(uintptr_t start, uintptr_t end)
{
    unsigned retired = 0;
    for (unsigned i = 0; i < FILLER_REGIONS; i++) {
        struct region *r = &filler->regions[i];
        if (r->start && r->start < end && start < r->end) {
            order(ORDER_RETIRE, r);
            retired++;
        }
    }
    return retired;
}

static struct region *free_region(struct lazy_copy *copy)
{
    for (unsigned i = 0; i < FILLER_REGIONS; i++)
        if (!filler->regions[i].start)
            return &filler->regions[i];
    struct region *oldest = &filler->regions[copy->moves++ % FILLER_REGIONS];
    order(ORDER_RETIRE, oldest);
    return oldest;
}

static bool prepare(struct lazy_copy *copy, uintptr_t start, uintptr_t end, off_t from)
{
    copy->moves += retire_overlapping(start, end);
    struct region *r = free_region(copy);
    filler_lock(filler);
    *r = (struct region){start, end, .split = end, .from = from, .feed = copy->feed};
    filler_unlock(filler);
    if (order(ORDER_PREPARE, r) == 0)
        return true;
    filler_lock(filler);
    r->start = 0;
    filler_unlock(filler);
    return false;
}

/* The region's pages up to `end` are to hold the source from `from` on. */
static void reassign(struct region *r, uintptr_t end, off_t from)
{
    filler_lock(filler);
    r->rest = r->from + (off_t)(end - r->start);
    r->from = from;
    r->split = end;
    r->fills = 0;
    filler_unlock(filler);
}

/* Makes the pages from start to end lazy. REASON_NONE, or why the copy's buffers should not be lazy any more. */
static enum reason make_lazy(struct lazy_copy *copy, uintptr_t start, uintptr_t end, off_t from)
{
    struct region *r = region_with(start);
    bool fits = r && r->start == start && end <= r->end && r->split == r->end && r->feed == copy->feed;
    if (!fits && copy->moves >= MOVES_ALLOWED)
        return REASON_LAZY_MOVES;
    if (!fits)
        return prepare(copy, start, end, from) ? REASON_NONE : REASON_LAZY_MEMORY;
    if (all_empty(r)) {
        reassign(r, end, from);
        return REASON_NONE;
    }
    /* Pages beyond the end may have been written to, and would be lost. */
    if (++copy->looks > LOOKS_ALLOWED || end != r->end)
        return REASON_LAZY_LOOKED;
    reassign(r, end, from);
    return order(ORDER_REFRESH, r) == 0 ? REASON_NONE : REASON_LAZY_MEMORY;
}

/* ---- reading and writing ---- */

/* The whole pages of a buffer. */
struct span {
    uintptr_t start, end;
};

static struct span whole_pages(const void *buffer, size_t n)
{
    uintptr_t begin = (uintptr_t)buffer;
    return (struct span){(begin + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1), (begin + n) & ~(PAGE_BYTES - 1)};
}

bool lazy_pays(const void *buffer, size_t n)
{
    struct span pages = whole_pages(buffer, n);
    size_t least = settings.buffers == BUFFERS_LAZY ? PAGE_BYTES : LEAST_LAZY;
    return pages.end > pages.start && pages.end - pages.start >= least;
}

static bool read_part(uintptr_t start, uintptr_t end, int source, off_t from)
{
    return start == end || KERNEL(SYS_pread64, source, start, end - start, from) == (long)(end - start);
}

bool lazy_read(struct lazy_copy *copy, void *buffer, size_t n, int source, off_t from)
{
    uintptr_t begin = (uintptr_t)buffer;
    struct span pages = whole_pages(buffer, n);
    bool large = lazy_pays(buffer, n);
    lock_take(&gate);
    enum reason why = REASON_LAZY_SMALL;
    if (large)
        why = make_lazy(copy, pages.start, pages.end, from + (off_t)(pages.start - begin));
    if (why != REASON_NONE)
        retire_overlapping(begin, begin + n);
    lock_give(&gate);
    if (large && why != REASON_NONE)
        lazy_end(copy, why);
    return why == REASON_NONE && read_part(begin, pages.start, source, from) &&
           read_part(pages.end, begin + n, source, from + (off_t)(pages.end - begin));
}

bool lazy_untouched(struct lazy_copy *copy, const void *buffer, size_t n, off_t from, const char **first,
                    const char **last)
{
    struct span pages = whole_pages(buffer, n);
    if (pages.end <= pages.start)
        return false;
    lock_take(&gate);
    const struct region *r = region_with(pages.start);
    off_t there = from + (off_t)(pages.start - (uintptr_t)buffer);
    bool ours =
        r && pages.end <= r->split && r->feed == copy->feed && r->from + (off_t)(pages.start - r->start) == there;
    bool untouched = ours && one_category(pages.start, pages.end);
    lock_give(&gate);
    if (untouched) {
        *first = (const char *)pages.start;
        *last = (const char *)pages.end;
    }
    return untouched;
}

void lazy_let_go(const void *at, size_t n)
{
    uintptr_t start = (uintptr_t)at, end = start + n < start ? UINTPTR_MAX : start + n;
    lock_take(&gate);
    if (filler)
        retire_overlapping(start, end);
    lock_give(&gate);
}
