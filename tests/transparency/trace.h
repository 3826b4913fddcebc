/* The trace of one run: fixed records in memory shared with the driver, written without one call
 * that the library under test could see, and surviving any death of the program. */
#ifndef TRANSPARENCY_TRACE_H
#define TRANSPARENCY_TRACE_H

#include "program.h"

#include <errno.h>

enum { RECORDS = 30000, DELTAS = 64, ERRNO_MARK = 4000 };

enum what {
    N_OPEN,
    N_CLOSE,
    N_DUP,
    N_OFFSET_SRC,
    N_OFFSET_DST,
    N_OFFSET,
    N_READ,
    N_WRITE,
    N_LOOP,
    N_KCOPY,
    N_HASH,
    N_STAT,
    N_SIZE,
    N_MODE,
    N_LINKS,
    N_OWNER,
    N_TIME,
    N_RESIZE,
    N_MAP,
    N_META,
    N_NAME,
    N_FLAGS,
    N_SYNC,
    N_LOCK,
    N_LEASE,
    N_LIMIT,
    N_NUMBERS,
    N_STREAM,
    N_BUFFER,
    N_CHILD,
    N_HANDLER,
    N_FOREIGN,
    N_SPAWN,
    N_PASS,
    N_TIMER,
    N_EXEC,
    N_EXIT,
    N_MAKE,
    WHATS
};

enum { AT_LEAST = 1 }; /* another process looks while the copy runs: it may see more than a plain run shows */

struct record {
    int64_t value;
    uint64_t hash;
    uint32_t iteration;
    int32_t error;
    uint16_t op;
    uint8_t what;
    uint8_t flags;
    uint32_t unused;
};

struct delta {
    int64_t shift; /* source offset less destination offset */
    int32_t source;
    int32_t unused;
};

struct shared {
    uint32_t count;
    uint32_t deaths; /* processes that ended by a signal while a copy may have been in progress */
    uint32_t outran; /* another process changed a destination in mid copy: it may keep bytes copied
                        ahead */
    uint32_t delta_count;
    uint32_t next;            /* for a program continued by exec: the operation to go on with */
    uint32_t request, answer; /* hand-shake with the helper process */
    uint32_t helper_from;
    int32_t helper; /* the helper process, if there is one */
    uint32_t unused;
    int64_t progress; /* how far the destination is written, for the helper */
    int32_t slots[SLOTS];
    int32_t slot_files[SLOTS];
    uint8_t skip[OPERATIONS];
    struct delta deltas[DELTAS];
    struct record records[RECORDS];
};

extern struct shared *shared;

void trace_open(const char *path);
void note_full(enum what what, int64_t value, uint64_t hash, unsigned flags);
void trace_divert(struct record *room, uint32_t capacity);
void trace_rejoin(const struct record *room);
uint64_t hash_bytes(const void *bytes, size_t count);

static inline void note(enum what what, int64_t value)
{
    note_full(what, value, 0, 0);
}

/* Evaluates a call with errno holding a value that no call sets, so that a success that leaves
 * errno changed shows. */
#define TRY(what, call)                   \
    __extension__({                       \
        errno = ERRNO_MARK;               \
        int64_t tried_ = (int64_t)(call); \
        note((what), tried_);             \
        tried_;                           \
    })

extern __thread unsigned current_op;
extern __thread uint32_t current_iteration;

#endif
