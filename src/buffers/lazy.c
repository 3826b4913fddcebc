#include "lazy.h"

#include "../core/lock.h"
#include "../core/settings.h"
#include "../core/syscalls.h"
#include "../core/underway.h"
#include "filler.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A program that looks is a program that looks. */
#define LOOKS_ALLOWED 2
/* A program with a new buffer for every read pays more for the change of buffers than it saves. */
#define MOVES_ALLOWED 8

#define LOAD(from) __atomic_load_n(&(from), __ATOMIC_SEQ_CST)
#define STORE(to, value) __atomic_store_n(&(to), (value), __ATOMIC_SEQ_CST)

static int gate;              /* held by whoever starts, stops or orders the filler */
static struct filler *filler; /* while any copy is lazy */

void lazy_forget(void)
{
    filler = NULL;
    gate = 0;
}

/* ---- starting and ending ---- */

/* By glibc's word, and by the kernel's: /proc/self/task has a link for each thread and two more. */
static bool single_threaded(void)
{
    struct stat tasks;
    return *underway_single && KERNEL(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &tasks, 0) == 0 &&
           tasks.st_nlink == 3;
}

static enum reason start_filler(void)
{
    if (settings.filtered)
        return REASON_LAZY_UNAVAILABLE;
    if (!single_threaded())
        return REASON_LAZY_THREADS;
    filler = filler_start();
    return filler ? REASON_NONE : REASON_LAZY_UNAVAILABLE;
}

static void stop_filler_if_idle(void)
{
    for (unsigned i = 0; i < FILLER_FEEDS; i++)
        if (filler->feeds[i].used)
            return;
    filler_stop(filler);
    filler = NULL;
}

/* A feed's place that is free, or FILLER_FEEDS. */
static unsigned free_feed(void)
{
    unsigned place = 0;
    while (place < FILLER_FEEDS && filler->feeds[place].used)
        place++;
    return place;
}

static enum reason open_feed(struct lazy_copy *copy, int source, int destination, const struct file_state *state)
{
    unsigned place = free_feed();
    if (place == FILLER_FEEDS)
        return REASON_LAZY_MANY;
    filler->feeds[place] = (struct feed){.state = *state};
    filler->order.place = place;
    filler->order.source = source;
    filler->order.destination = destination;
    if (filler_order(filler, ORDER_FEED) != 0)
        return REASON_LAZY_SNAPSHOT;
    copy->feed = place;
    return REASON_NONE;
}

enum reason lazy_begin(struct lazy_copy *copy, int source, int destination, const struct file_state *state)
{
    lock_take(&gate);
    enum reason why = filler ? REASON_NONE : start_filler();
    if (why == REASON_NONE) {
        why = open_feed(copy, source, destination, state);
        stop_filler_if_idle();
    }
    copy->on = why == REASON_NONE;
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

/* ---- the books: what is read here counts only if `turn` is the same even number before and after ---- */

static struct region *region_with(uintptr_t page)
{
    for (unsigned i = 0; i < LOAD(filler->regions_used); i++)
        if (LOAD(filler->regions[i].start) && page >= LOAD(filler->regions[i].start) &&
            page < LOAD(filler->regions[i].end))
            return &filler->regions[i];
    return NULL;
}

/* Whether the books are as they were at that turn, in which they were not being written. */
static bool closed_since(unsigned turn)
{
    return turn % 2 == 0 && LOAD(filler->turn) == turn;
}

/*
 * Has the untouched region hold what is at `from`. The new offset is stored before the turn is looked at again, and the
 * filler makes the turn odd before it loads the offset: either it fills the new bytes, or it is seen here.
 */
static bool take_over(struct region *r, off_t from)
{
    unsigned turn = LOAD(filler->turn);
    if (turn % 2) {
        filler_order(filler, ORDER_WAIT);
        turn = LOAD(filler->turn);
    }
    if (LOAD(r->touched))
        return false;
    STORE(r->from, from);
    return closed_since(turn);
}

/* ---- regions ---- */

/* Lets every region go that has pages between start and end, but for `kept`. */
static void retire_overlapping(uintptr_t start, uintptr_t end, const struct region *kept)
{
    for (unsigned i = 0; i < LOAD(filler->regions_used); i++) {
        const struct region *r = &filler->regions[i];
        if (r != kept && LOAD(r->start) && LOAD(r->start) < end && start < LOAD(r->end)) {
            filler->order.place = i;
            filler_order(filler, ORDER_RETIRE);
            i = UINT32_MAX;
        }
    }
}

static enum reason prepare(const struct lazy_copy *copy, uintptr_t start, uintptr_t end, off_t from)
{
    filler->order.region = (struct region){start, end, from, copy->feed, false};
    int failed = filler_order(filler, ORDER_PREPARE);
    if (failed)
        return failed == EPERM ? REASON_LAZY_TRACED : REASON_LAZY_MEMORY;
    return REASON_NONE;
}

/* Makes the pages from start to end lazy. REASON_NONE, or why the copy's buffers should not be lazy any more. */
static enum reason make_lazy(struct lazy_copy *copy, uintptr_t start, uintptr_t end, off_t from)
{
    struct region *r = region_with(start);
    bool fits = r && LOAD(r->start) == start && LOAD(r->end) == end && r->feed == copy->feed;
    if (fits && take_over(r, from))
        return REASON_NONE;
    if (fits && ++copy->looks > LOOKS_ALLOWED)
        return REASON_LAZY_LOOKED;
    if (!fits && copy->moves++ >= MOVES_ALLOWED)
        return REASON_LAZY_MOVES;
    return prepare(copy, start, end, from);
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
    return pages.end > pages.start;
}

static bool read_part(uintptr_t start, uintptr_t end, int source, off_t from)
{
    return start == end || KERNEL(SYS_pread64, source, start, end - start, from) == (long)(end - start);
}

/* Reads the part pages. No page that is still owed lies under them: such a region is let go first. */
static bool read_parts(uintptr_t begin, size_t n, struct span pages, int source, off_t from)
{
    const struct region *whole = region_with(pages.start);
    retire_overlapping(begin, begin + n, whole);
    return read_part(begin, pages.start, source, from) &&
           read_part(pages.end, begin + n, source, from + (off_t)(pages.end - begin));
}

bool lazy_read(struct lazy_copy *copy, void *buffer, size_t n, int source, off_t from)
{
    uintptr_t begin = (uintptr_t)buffer;
    struct span pages = whole_pages(buffer, n);
    enum reason why = REASON_LAZY_THREADS;
    bool served = false;
    lock_take(&gate);
    if (*underway_single)
        why = make_lazy(copy, pages.start, pages.end, from + (off_t)(pages.start - begin));
    if (why == REASON_NONE)
        served = read_parts(begin, n, pages, source, from);
    if (!served)
        retire_overlapping(begin, begin + n, NULL);
    lock_give(&gate);
    if (why != REASON_NONE)
        lazy_end(copy, why);
    return served;
}

bool lazy_untouched(const struct lazy_copy *copy, const void *buffer, size_t n, off_t from, const char **first,
                    const char **last)
{
    struct span pages = whole_pages(buffer, n);
    if (pages.end <= pages.start || !*underway_single)
        return false;
    lock_take(&gate);
    unsigned turn = LOAD(filler->turn);
    const struct region *r = region_with(pages.start);
    off_t there = from + (off_t)(pages.start - (uintptr_t)buffer);
    bool untouched = r && pages.end <= LOAD(r->end) && r->feed == copy->feed && !LOAD(r->touched) &&
                     LOAD(r->from) + (off_t)(pages.start - LOAD(r->start)) == there && closed_since(turn);
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
        retire_overlapping(start, end, NULL);
    lock_give(&gate);
}
