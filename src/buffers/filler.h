/*
 * The filler: a thread of ours that fills an empty page of the program's memory when anything touches it.
 *
 * It is the only one who holds the userfaultfd, in a descriptor table of its own (close_range(2) with
 * CLOSE_RANGE_UNSHARE), so that nothing the program closes can take it away: pages whose userfaultfd is closed would
 * silently read as zeros. It blocks all signals, uses neither libc nor thread-local storage, and takes no lock but that
 * of the regions. Orders reach it by a page fault of its own, on the doorbell: a page that it empties and fills, so the
 * caller sleeps in the touch until the order is done, and wakes if the filler is gone.
 *
 * The pages carry their state themselves: an empty page of ours has a write-protection marker (UFFDIO_WRITEPROTECT with
 * UFFD_FEATURE_WP_UNPOPULATED), which a write, an madvise(MADV_DONTNEED) or another mapping at the address removes.
 * tests/kernel/ has the measurements.
 */
#ifndef LIBOFFLOAD_FILLER_H
#define LIBOFFLOAD_FILLER_H

#include "../core/guards.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES ((uintptr_t)4096)

/* Buffers that are lazy at once, and files that they are filled from. More are read as usual. */
#define FILLER_REGIONS 64
#define FILLER_FEEDS 32
/* Bytes filled by one call. */
#define FILLER_CHUNK ((size_t)64 << 10)

/* Whole pages of one buffer. start == 0: the place is free. */
struct region {
    uintptr_t start, end; /* registered */
    uintptr_t split;      /* the pages below it hold the source from `from` on, those above are left from before */
    off_t from, rest;     /* source offset of the page at start; at split */
    unsigned feed;        /* place of its feed */
    unsigned fills;       /* how often pages were filled since `from` was set */
};

/* Where the bytes come from: the source while it is as it was, else the destination, which holds them. */
struct feed {
    bool used;
    int source, destination; /* descriptors of the filler's own table */
    unsigned faults;         /* touches of its pages */
    off_t shift;             /* an offset in the destination, less that of the same byte in the source */
    struct file_state state; /* the source's */
};

enum filler_order {
    ORDER_FEED,    /* open order.source and order.destination as feed order.place */
    ORDER_UNFEED,  /* retire the feed's regions and close its files */
    ORDER_PREPARE, /* register and empty region order.place */
    ORDER_REFRESH, /* empty region order.place again */
    ORDER_RETIRE,  /* fill region order.place and let it go */
    ORDER_STOP,
};

struct filler {
    int regions_lock; /* held while regions are changed, and by the filler while it fills from one */
    int state;        /* a futex: FILLER_STARTING, then _READY or _FAILED */
    int thread;       /* the thread's id, a futex; the kernel clears it when the thread is gone */
    struct {
        enum filler_order what;
        unsigned place;
        int source, destination; /* the program's descriptors */
        int failed;              /* 0, or a positive errno */
    } order;
    struct region regions[FILLER_REGIONS];
    struct feed feeds[FILLER_FEEDS];
    /* The filler's own, and its stack, which ends at the end of the struct. */
    int uffd, pagemap, maps, process;
    char *doorbell;
    _Alignas(4096) char bytes[FILLER_CHUNK];
    _Alignas(16) char stack[32 << 10];
};

enum { FILLER_STARTING, FILLER_READY, FILLER_FAILED };

/*
 * Starts the filler; all signals must be blocked. NULL if it cannot be had: no permission for userfaultfd, kernel before
 * 6.11, thread limit, no memory. Takes about 0.2 ms.
 */
struct filler *filler_start(void);

/*
 * Has the filler carry out the order, whose fields are set. Returns 0 or a positive errno; ESRCH if it is gone. One
 * caller at a time; not while holding regions_lock.
 */
int filler_order(struct filler *filler, enum filler_order what);

/* Ends the filler, after an ORDER_UNFEED of every feed, and frees it. */
void filler_stop(struct filler *filler);

void filler_lock(struct filler *filler);
void filler_unlock(struct filler *filler);

#endif
