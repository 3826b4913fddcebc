#include "lazy.h"

#include "../core/lock.h"
#include "../core/settings.h"
#include "../core/syscalls.h"
#include "../core/underway.h"
#include "books.h"
#include "compare.h"
#include "filler.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* A program that looks is a program that looks. */
#define LOOKS_ALLOWED 2
/* A program with a new buffer for every read pays more for the change of buffers than it saves. */
#define MOVES_ALLOWED 8

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
    return THREADS_ARE_SEEN && underway_told() && KERNEL(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &tasks, 0) == 0 &&
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

/* What the filler's answer to an order means; `otherwise`: what most failures of that order do. */
static enum reason why_not(int failed, enum reason otherwise)
{
    if (failed == 0)
        return REASON_NONE;
    return failed == EPERM ? REASON_LAZY_TRACED : failed == ESRCH ? REASON_LAZY_KILLED : otherwise;
}

static enum reason open_feed(struct lazy_copy *copy, const struct lazy_files *files)
{
    unsigned place = free_feed();
    if (place == FILLER_FEEDS)
        return REASON_LAZY_MANY;
    filler->feeds[place] = (struct feed){.source = files->source,
                                         .destination = files->destination,
                                         .shift = files->shift,
                                         .source_state = *files->source_state,
                                         .destination_state = *files->destination_state};
    filler->order.place = place;
    enum reason why = why_not(filler_order(filler, ORDER_FEED), REASON_LAZY_UNREADABLE);
    if (why != REASON_NONE)
        return why;
    filler->feeds[place].used = true;
    copy->feed = (uint8_t)place;
    return REASON_NONE;
}

enum reason lazy_begin(struct lazy_copy *copy, const struct lazy_files *files)
{
    lock_take(&gate);
    enum reason why = filler ? REASON_NONE : start_filler();
    if (why == REASON_NONE) {
        why = open_feed(copy, files);
        stop_filler_if_idle();
    }
    copy->on = why == REASON_NONE;
    copy->refused = why;
    lock_give(&gate);
    return why;
}

/* ---- if the filler was killed ---- */

/* Whether the page is there. */
static bool is_there(uintptr_t page)
{
    unsigned char there = 0;
    return KERNEL(SYS_mincore, page, PAGE_BYTES, &there) < 0 || there & 1;
}

/*
 * A page that somebody has touched since has zeros, and perhaps what he has written beside them: without its bytes a page
 * may not be read at all, nor written out.
 */
static void read_page(const struct feed *feed, uintptr_t page, off_t from)
{
    bool known = !is_there(page) && guard_unchanged(feed->source, &feed->source_state);
    if (!known || KERNEL(SYS_pread64, feed->source, page, PAGE_BYTES, from) != (long)PAGE_BYTES)
        KERNEL(SYS_mprotect, page, PAGE_BYTES, PROT_NONE);
}

/*
 * Whoever kills the filler alone leaves pages that read as zeros. Those that nobody has touched since have the bytes of the
 * source read into them here, before the program's own calls are made of them.
 */
static void read_what_is_owed(const struct region *r)
{
    for (uintptr_t page = r->start; !r->touched && page < r->end; page += PAGE_BYTES)
        read_page(&filler->feeds[r->feed], page, r->from + (off_t)(page - r->start));
}

/* Without the gate: with one thread, nobody but a handler ends the filler meanwhile. Then nothing is owed any more. */
bool lazy_is_orphaned(void)
{
    return *underway_single && filler && !filler_is_there();
}

static void retire_without_filler(unsigned feed)
{
    for (unsigned i = 0; i < filler->regions_used; i++) {
        struct region *r = &filler->regions[i];
        if (r->start && r->feed == feed) {
            read_what_is_owed(r);
            r->start = 0;
        }
    }
}

/* ---- ending ---- */

static void end(struct lazy_copy *copy, enum reason why)
{
    copy->faults += filler->feeds[copy->feed].faults;
    filler->order.place = copy->feed;
    if (filler_order(filler, ORDER_UNFEED) != 0)
        retire_without_filler(copy->feed);
    filler->feeds[copy->feed].used = false;
    stop_filler_if_idle();
    copy->on = false;
    copy->refused = why;
}

void lazy_end(struct lazy_copy *copy, enum reason why)
{
    if (!copy->on)
        return;
    lock_take(&gate);
    end(copy, why);
    lock_give(&gate);
}

/* ---- the books: what is read here counts only if `turn` is the same even number before and after ---- */

/* The turn, once the books are closed: of what was to be entered before, everything is. */
static unsigned closed_turn(void)
{
    unsigned turn = SHARED_LOAD(filler->turn);
    if (turn % 2 == 0)
        return turn;
    filler_order(filler, ORDER_WAIT);
    return SHARED_LOAD(filler->turn);
}

/* Whether the books are as they were at that turn, in which they were not being written, and were kept all the while. */
static bool closed_since(unsigned turn)
{
    return turn % 2 == 0 && SHARED_LOAD(filler->turn) == turn && filler_is_there();
}

/*
 * Has the untouched region hold what is at `from`. The new offset is stored before the turn is looked at again, and the
 * filler makes the turn odd before it loads the offset: either it fills the new bytes, or it is seen here.
 */
static bool take_over(struct region *r, off_t from)
{
    unsigned turn = closed_turn();
    if (SHARED_LOAD(r->touched))
        return false;
    SHARED_STORE(r->from, from);
    return closed_since(turn);
}

/* ---- regions ---- */

/* Lets every region go that has pages between start and end, but for `kept`. */
static void retire_overlapping(uintptr_t start, uintptr_t end, const struct region *kept)
{
    for (unsigned i = 0; i < SHARED_LOAD(filler->regions_used); i++) {
        struct region *r = &filler->regions[i];
        if (r == kept || !SHARED_LOAD(r->start) || SHARED_LOAD(r->start) >= end || start >= SHARED_LOAD(r->end))
            continue;
        filler->order.place = i;
        if (filler_order(filler, ORDER_RETIRE) != 0) {
            read_what_is_owed(r);
            r->start = 0;
        }
        i = UINT32_MAX;
    }
}

static enum reason prepare(const struct lazy_copy *copy, struct span buffer, struct span pages, off_t from)
{
    filler->order.region = (struct region){pages.start, pages.end, from, copy->feed, false};
    filler->order.buffer = buffer;
    return why_not(filler_order(filler, ORDER_PREPARE), REASON_LAZY_MEMORY);
}

/*
 * Makes the buffer's whole pages lazy; `from` is where they lie in the source. REASON_NONE, or why the copy's buffers should
 * not be lazy any more.
 */
static enum reason make_lazy(struct lazy_copy *copy, struct span buffer, struct span pages, off_t from)
{
    struct region *r = books_region_at(filler, pages.start);
    bool fits = r && SHARED_LOAD(r->start) == pages.start && SHARED_LOAD(r->end) == pages.end && r->feed == copy->feed;
    if (fits && take_over(r, from))
        return REASON_NONE;
    if (fits && ++copy->looks > LOOKS_ALLOWED)
        return REASON_LAZY_LOOKED;
    if (!fits && copy->moves++ >= MOVES_ALLOWED)
        return REASON_LAZY_MOVES;
    return prepare(copy, buffer, pages, from);
}

/* ---- part pages ---- */

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

static bool read_part(uintptr_t start, uintptr_t end, int source, off_t from, char *kept)
{
    if (start == end)
        return true;
    if (KERNEL(SYS_pread64, source, start, end - start, from) != (long)(end - start))
        return false;
    memcpy(kept, (const char *)start, end - start);
    return true;
}

/* Reads the part pages of the region's buffer. No page that is still owed lies under them: such a region is let go first. */
static bool read_parts(const struct region *r, const char *buffer, size_t n, int source, off_t from)
{
    struct part_pages *parts = &filler->parts[r - filler->regions];
    struct span pages = whole_pages(buffer, n);
    uintptr_t begin = (uintptr_t)buffer;
    retire_overlapping(begin, begin + n, r);
    parts->n = 0;
    if (!read_part(begin, pages.start, source, from, parts->head) ||
        !read_part(pages.end, begin + n, source, from + (off_t)(pages.end - begin), parts->tail))
        return false;
    parts->buffer = buffer;
    parts->from = from;
    parts->n = n;
    return true;
}

static bool has_part(uintptr_t start, uintptr_t end, char *kept)
{
    const struct compare_scratch held = {.bytes = kept, .room = PAGE_BYTES, .held = end - start};
    return start == end || compare_held((const char *)start, end - start, 0, &held) == REASON_NONE;
}

/* Whether the part pages of the region's buffer are as they were read. */
static bool has_parts(const struct region *r, const char *buffer, size_t n, off_t from)
{
    struct part_pages *parts = &filler->parts[r - filler->regions];
    struct span pages = whole_pages(buffer, n);
    uintptr_t begin = (uintptr_t)buffer;
    return parts->buffer == buffer && parts->n == n && parts->from == from &&
           has_part(begin, pages.start, parts->head) && has_part(pages.end, begin + n, parts->tail);
}

/* ---- reading and writing ---- */

void lazy_renew(const struct lazy_copy *copy, const struct file_state *destination)
{
    if (!copy->on)
        return;
    lock_take(&gate);
    filler->feeds[copy->feed].destination_state = *destination;
    lock_give(&gate);
}

bool lazy_read(struct lazy_copy *copy, const struct lazy_files *files, void *buffer, size_t n, off_t from)
{
    struct span whole = {(uintptr_t)buffer, (uintptr_t)buffer + n}, pages = whole_pages(buffer, n);
    enum reason why = REASON_LAZY_THREADS;
    bool served = false;
    lock_take(&gate);
    if (*underway_single)
        why = make_lazy(copy, whole, pages, from + (off_t)(pages.start - whole.start));
    const struct region *r = why == REASON_NONE ? books_region_at(filler, pages.start) : NULL;
    if (r)
        served = read_parts(r, buffer, n, files->source, from);
    if (!served)
        retire_overlapping(whole.start, whole.end, NULL);
    if (why != REASON_NONE)
        end(copy, why);
    lock_give(&gate);
    return served;
}

/* Whether the region's pages are owed what is at `from` of the source, from `start` up to `end`. */
static bool is_owed(const struct region *r, const struct lazy_copy *copy, const struct span *pages, off_t from)
{
    return pages->end <= SHARED_LOAD(r->end) && r->feed == copy->feed && !SHARED_LOAD(r->touched) &&
           SHARED_LOAD(r->from) + (off_t)(pages->start - SHARED_LOAD(r->start)) == from;
}

enum lazy_proof lazy_prove(struct lazy_copy *copy, const void *buffer, size_t n, off_t from, struct span *pages)
{
    enum lazy_proof proof = LAZY_UNPROVEN;
    *pages = whole_pages(buffer, n);
    if (pages->end <= pages->start || !*underway_single)
        return LAZY_UNPROVEN;
    lock_take(&gate);
    unsigned turn = closed_turn();
    const struct region *r = books_region_at(filler, pages->start);
    if (r && is_owed(r, copy, pages, from + (off_t)(pages->start - (uintptr_t)buffer)))
        proof = has_parts(r, buffer, n, from) ? LAZY_ALL : LAZY_WHOLE_PAGES;
    if (!closed_since(turn))
        proof = LAZY_UNPROVEN;
    if (!filler_is_there())
        end(copy, REASON_LAZY_KILLED);
    lock_give(&gate);
    return proof;
}

void lazy_let_go(const void *at, size_t n)
{
    uintptr_t start = (uintptr_t)at, finish = start + n < start ? UINTPTR_MAX : start + n;
    lock_take(&gate);
    if (filler)
        retire_overlapping(start, finish, NULL);
    lock_give(&gate);
}
