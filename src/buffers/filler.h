/*
 * The filler: a process of ours that shares the program's memory and fills an empty page of it when anything touches it.
 *
 * It alone holds the userfaultfd, in a descriptor table of its own: nothing that the program closes can take it away, for
 * the pages of a userfaultfd that is closed read as zeros. A process and not a thread, so that the program stays one
 * thread to the kernel (unshare(2), setns(2), set*id, its exit), and is not in the hands of a debugger that has stopped
 * the program and reads its memory. It has all signals blocked, no exit signal, a name of its own ("offload-fill"), and
 * uses neither libc nor thread-local storage.
 *
 * Orders reach it by a page fault of their own, on the doorbell: the caller sleeps in the touch until the order is
 * done, and wakes if the filler is gone.
 *
 * That nobody touched, unmapped or emptied a page is known from the filler's books (books.h). The kernel holds whoever
 * touches an empty page until it is filled, and whoever unmaps, moves or empties one until the event has been read
 * (UFFD_FEATURE_EVENT_UNMAP and others, fs/userfaultfd.c). `turn` is odd from before a read of such messages until they are
 * in the books. Who finds the same even number before and after looking at the books, and the filler there, has
 * therefore seen whatever a program of one thread had done before.
 */
#ifndef LIBOFFLOAD_FILLER_H
#define LIBOFFLOAD_FILLER_H

#include "../core/guards.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES ((uintptr_t)4096)

/* Buffers that are lazy at once; with what events cut in pieces; and copies that they belong to. */
#define FILLER_BUFFERS 32
#define FILLER_REGIONS 8192
#define FILLER_FEEDS 32
/* Bytes filled by one call. */
#define FILLER_CHUNK ((size_t)64 << 10)
/* Bytes of a file that are mapped for it: a chunk lies in so many whole pages. */
#define FILLER_WINDOW (FILLER_CHUNK + PAGE_BYTES)

/* Both sides read and write these while the other may; each says who stores it. */
#define SHARED_LOAD(from) __atomic_load_n(&(from), __ATOMIC_SEQ_CST)
#define SHARED_STORE(to, value) __atomic_store_n(&(to), (value), __ATOMIC_SEQ_CST)

/* From one address to another. */
struct span {
    uintptr_t start, end;
};

/* Whole pages of one buffer. start == 0: the place is free. Stored by the filler, but for `from`. */
struct region {
    uintptr_t start, end; /* registered */
    off_t from;           /* source offset of the page at start; the program's to store */
    unsigned feed;        /* place of its feed */
    unsigned touched;     /* pages of it were filled, or taken away, since it was made */
};

/*
 * Where the bytes of a copy's buffers come from: the source while it is as it was, else the destination, where an engine
 * has put the same bytes, while that is as it was left. Stored by the program, but for what is said to be the filler's.
 */
struct feed {
    unsigned used;
    int source, destination; /* the program's descriptors */
    /* The filler's, of its own table: by these the files are found when the program's descriptors are gone. O_PATH, which
       keeps no lock of the program's, breaks no lease and is seen by nobody (open(2)). -1: none. */
    int source_place, destination_place;
    off_t shift; /* an offset in the destination, less that of the same byte in the source */
    struct file_state source_state, destination_state;
    unsigned faults; /* touches of its pages; the filler's */
};

enum filler_order {
    ORDER_FEED,    /* find the files of feed order.place: EACCES if they could not be read */
    ORDER_UNFEED,  /* retire the feed's regions, and let go of its files */
    ORDER_PREPARE, /* empty order.region, the whole pages of order.buffer, and register it */
    ORDER_RETIRE,  /* fill region order.place and let it go */
    ORDER_WAIT,    /* nothing: what was to be read before is in the books */
    ORDER_STOP,
};

/* What lies in the part pages at the ends of a region's buffer, as it was read. The program's. */
struct part_pages {
    const char *buffer;
    size_t n; /* bytes of the whole read; 0: nothing is known */
    off_t from;
    _Alignas(4096) char head[PAGE_BYTES], tail[PAGE_BYTES];
    char spare[PAGE_BYTES]; /* where what is compared is fetched to (compare_held()) */
};

struct filler {
    unsigned turn;    /* see above */
    int state;        /* a futex: FILLER_STARTING, then _READY or _FAILED */
    int process_kept; /* filler_process, not cleared */
    int stopped;      /* it is to end, if the order for it does not come through */
    struct {
        enum filler_order what;
        unsigned place;
        struct region region;
        struct span buffer;     /* all of it */
        int failed;             /* 0, or a positive errno */
        unsigned given, served; /* how many */
    } order;
    struct region regions[FILLER_REGIONS];
    unsigned regions_used; /* no place at or above this was ever taken */
    struct feed feeds[FILLER_FEEDS];
    struct part_pages parts[FILLER_BUFFERS];
    /* The filler's own: descriptors of its table, and its stack, which ends at the end of the struct. */
    int uffd, bell, waiting, pagemap, maps, program, program_status;
    int program_pid;
    long program_in_proc; /* its number in /proc, which may be another pid namespace's */
    /* Pages are owed here that are in no region, as there was no place for more; end == 0: none are. */
    struct span lost;
    bool traced; /* a debugger has attached to the program since the filler was started */
    char *doorbell;
    char *window; /* NULL: there is none */
    _Alignas(4096) char bytes[FILLER_CHUNK];
    _Alignas(16) char stack[32 << 10];
};

enum { FILLER_STARTING, FILLER_READY, FILLER_FAILED };

/*
 * Starts the filler; all signals must be blocked. NULL if it cannot be had: no permission for userfaultfd or for the
 * program's descriptors, kernel before 6.11, process limit, no memory. Takes about 0.2 ms.
 */
struct filler *filler_start(void);

/*
 * The filler's pid, a futex; the kernel clears it when the filler leaves the memory, before it closes its descriptors. Not in the memory
 * above: who asks may be interrupted by a handler that ends the filler, and that memory with it.
 */
extern int filler_process;

/* Whether the filler that was started is there: if not, it was killed, and what was not filled reads as zeros. Safe anywhere. */
static inline bool filler_is_there(void)
{
    return SHARED_LOAD(filler_process) != 0;
}

/*
 * Has the filler carry out the order, whose fields are set. Returns 0 or a positive errno; ESRCH if it is gone. One
 * caller at a time.
 */
int filler_order(struct filler *filler, enum filler_order what);

/* Ends the filler, waits until nothing of it is left, and frees it. No region is registered any more. */
void filler_stop(struct filler *filler);

/* The filler's life (filling.c): what it does from its start to its end, and its exit status. */
int filling_run(struct filler *filler);

#endif
