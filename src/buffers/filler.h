/*
 * The filler: a thread of ours that fills an empty page of the program's memory when anything touches it.
 *
 * It alone holds the userfaultfd, in a descriptor table of its own (close_range(2) with CLOSE_RANGE_UNSHARE), so that
 * nothing the program closes can take it away: pages whose userfaultfd is closed would silently read as zeros. It fills
 * from a snapshot: a clone of the source without a name, which nobody else can open, so that its bytes cannot change and
 * no lock of it is ever held by a thread that waits for a page. It blocks all signals, and uses neither libc nor
 * thread-local storage.
 *
 * Orders reach it by a page fault of their own, on the doorbell: the caller sleeps in the touch until the order is
 * done, and wakes if the filler is gone.
 *
 * That nobody touched, unmapped or emptied a page is known from the filler's own books (docs/decisions/010). The
 * kernel holds whoever touches an empty page until it is filled, and whoever unmaps, moves or empties one until
 * the event has been read (UFFD_FEATURE_EVENT_UNMAP and others). `turn` is odd from before a read of such messages
 * until they are in the books. Who finds the same even number before and after looking at the books has therefore seen
 * whatever was done before by a thread that could have told.
 */
#ifndef LIBOFFLOAD_FILLER_H
#define LIBOFFLOAD_FILLER_H

#include "../core/guards.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES ((uintptr_t)4096)

/* Buffers that are lazy at once, half of them spare for what an event cuts in two; and files they are filled from. */
#define FILLER_REGIONS 64
#define FILLER_FEEDS 32
/* Bytes filled by one call. */
#define FILLER_CHUNK ((size_t)64 << 10)

/* Whole pages of one buffer. start == 0: the place is free. Written by the filler, but for `from`. */
struct region {
    uintptr_t start, end; /* registered */
    off_t from;           /* source offset of the page at start */
    unsigned feed;        /* place of its feed */
    unsigned touched;     /* pages of it were filled, or taken away, since it was made */
};

/* Where the bytes come from. */
struct feed {
    bool used;
    int snapshot;            /* descriptor of the filler's own table */
    unsigned faults;         /* touches of its pages */
    struct file_state state; /* the source's */
};

enum filler_order {
    ORDER_FEED,    /* make a snapshot of order.source beside order.destination, for feed order.place */
    ORDER_UNFEED,  /* retire the feed's regions and close its snapshot */
    ORDER_PREPARE, /* empty order.region and register it */
    ORDER_RETIRE,  /* fill region order.place and let it go */
    ORDER_WAIT,    /* nothing: what was to be read before is in the books */
    ORDER_STOP,
};

struct filler {
    unsigned turn;   /* see above */
    int state;       /* a futex: FILLER_STARTING, then _READY or _FAILED */
    int thread;      /* the thread's id, a futex; the kernel clears it when the thread leaves the memory */
    int stopped;     /* it is to end, if the order for it does not come through */
    int thread_kept; /* the same, not cleared */
    struct {
        enum filler_order what;
        unsigned place;
        int source, destination; /* the program's descriptors */
        struct region region;
        int failed;             /* 0, or a positive errno */
        unsigned given, served; /* how many */
    } order;
    struct region regions[FILLER_REGIONS];
    unsigned regions_used; /* no place at or above this was ever taken */
    struct feed feeds[FILLER_FEEDS];
    /* The filler's own, and its stack, which ends at the end of the struct. */
    int uffd, bell, waiting, pagemap, maps, process;
    bool traced; /* by a debugger, since it was started */
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
 * caller at a time.
 */
int filler_order(struct filler *filler, enum filler_order what);

/* Ends the filler, after an ORDER_UNFEED of every feed, waits until nothing of the thread is left, and frees it. */
void filler_stop(struct filler *filler);

#endif
