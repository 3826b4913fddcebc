#include "books.h"

#include "../core/syscalls.h"
#include "uffd.h"

struct region *books_region_at(struct filler *f, uintptr_t page)
{
    unsigned used = SHARED_LOAD(f->regions_used);
    for (unsigned i = 0; i < used; i++) {
        struct region *r = &f->regions[i];
        if (SHARED_LOAD(r->start) && page >= SHARED_LOAD(r->start) && page < SHARED_LOAD(r->end))
            return r;
    }
    return NULL;
}

struct region *books_free_region(struct filler *f, unsigned limit)
{
    for (unsigned i = 0; i < limit; i++) {
        if (f->regions[i].start)
            continue;
        if (i >= f->regions_used)
            SHARED_STORE(f->regions_used, i + 1);
        return &f->regions[i];
    }
    return NULL;
}

/* A page at a time: a call fails if its range lies in more than one mapping. */
void books_poison(const struct filler *f, uintptr_t start, uintptr_t end)
{
    for (; start < end; start += PAGE_BYTES) {
        struct uffdio_poison order = {.range = {start, PAGE_BYTES}};
        KERNEL(SYS_ioctl, f->uffd, UFFDIO_POISON, &order);
    }
}

/* Enters pages that hold what the region's page at `page` is owed, at another address. */
static void enter(struct filler *f, const struct region *r, uintptr_t page, uintptr_t start, uintptr_t end)
{
    struct region *part = books_free_region(f, FILLER_REGIONS);
    struct span lost = f->lost.end ? f->lost : (struct span){start, end};
    if (part)
        *part = (struct region){start, end, SHARED_LOAD(r->from) + (off_t)(page - r->start), r->feed, true};
    else
        f->lost = (struct span){earlier(lost.start, start), later(lost.end, end)};
}

/* The pages from start to end are not ours any more. */
static void forget(struct filler *f, uintptr_t start, uintptr_t end)
{
    unsigned used = f->regions_used;
    for (unsigned i = 0; i < used; i++) {
        struct region *r = &f->regions[i];
        if (!r->start || r->start >= end || start >= r->end)
            continue;
        SHARED_STORE(r->touched, true);
        if (end < r->end)
            enter(f, r, end, end, r->end);
        if (r->start < start)
            SHARED_STORE(r->end, start);
        else
            SHARED_STORE(r->start, 0);
    }
}

/* The pages from start to end have moved, by mremap(2), with what they hold. They are registered still. */
static void follow(struct filler *f, uintptr_t start, uintptr_t end, uintptr_t to)
{
    unsigned used = f->regions_used;
    for (unsigned i = 0; i < used; i++) {
        const struct region *r = &f->regions[i];
        if (!r->start || r->start >= end || start >= r->end)
            continue;
        uintptr_t first = later(r->start, start), last = earlier(r->end, end);
        enter(f, r, first, to + (first - start), to + (last - start));
    }
    forget(f, start, end);
}

void books_enter_event(struct filler *f, const struct uffd_msg *message)
{
    if (message->event == UFFD_EVENT_REMAP)
        follow(f, message->arg.remap.from, message->arg.remap.from + message->arg.remap.len, message->arg.remap.to);
    else if (message->event == UFFD_EVENT_UNMAP || message->event == UFFD_EVENT_REMOVE)
        forget(f, message->arg.remove.start, message->arg.remove.end);
}
