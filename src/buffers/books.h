/*
 * The filler's books: which pages of the program's memory are owed, what bytes, and whether anybody has touched them.
 *
 * Calls belong to the filler alone, in an odd turn or in an order, but for books_region_at().
 */
#ifndef LIBOFFLOAD_BOOKS_H
#define LIBOFFLOAD_BOOKS_H

#include "filler.h"

#include <linux/userfaultfd.h>

/* The region that has the page, or NULL. Either side's. */
struct region *books_region_at(struct filler *filler, uintptr_t page);

/* A free place below `limit`, or NULL. */
struct region *books_free_region(struct filler *filler, unsigned limit);

/*
 * Enters what an event of the userfaultfd tells of: pages from one address to another were unmapped or emptied, and are not
 * owed any more, or have moved. What there is no room for in the books is lost: its touch ends in SIGBUS. (It cannot be poisoned
 * at once: as long as the event is waited for, all is refused with EAGAIN.)
 */
void books_enter_event(struct filler *filler, const struct uffd_msg *message);

/*
 * Makes pages that are empty such whose touch ends in SIGBUS, or EFAULT where the kernel touches them (UFFDIO_POISON, Linux
 * 6.6). Pages that are there stay.
 */
void books_poison(const struct filler *filler, uintptr_t start, uintptr_t end);

static inline uintptr_t later(uintptr_t a, uintptr_t b)
{
    return a > b ? a : b;
}

static inline uintptr_t earlier(uintptr_t a, uintptr_t b)
{
    return a < b ? a : b;
}

#endif
