/*
 * A session: one copy in progress, from one regular file of the program to another.
 *
 *     destination   |  written by the program, or    |  put there by an engine,   |
 *                   |  dropped because it was equal  |  not yet written           |
 *                   0                               mark                      frontier = end of file
 *
 * The frontier runs ahead of the mark in windows. A write at the mark whose bytes are proven equal to the source's is
 * dropped and moves the mark. Anything else settles the session: the destination is cut back to the mark, and the
 * program's own calls go on from there. A settled session stays in its place as the record of the copy until the
 * destination is closed, and can begin again.
 */
#ifndef LIBOFFLOAD_SESSION_H
#define LIBOFFLOAD_SESSION_H

#include "../buffers/compare.h"
#include "../buffers/lazy.h"
#include "../engines/engine.h"
#include "guards.h"
#include "reasons.h"
#include "sharing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What the program wants written: pieces of memory, any of which may not be there. */
struct program_write {
    const struct iovec *pieces; /* the first is not empty */
    int count;
    size_t n; /* bytes of all pieces */
    off_t at; /* the offset of its own that the write has (pwrite(2)), or -1: the descriptor's, which moves */
};

struct tally {
    uint64_t offloaded; /* bytes that engines put into the destination and that stayed */
    uint64_t written;   /* bytes that the program's own writes put there since the copy was recognised */
    uint64_t reads_elided, writes_elided;
    const char *engine; /* the last that served, or NULL */
    enum reason reason; /* why the session last ended or did not begin */
    uint64_t told;      /* bytes of both kinds when the report last told of progress */
};

/*
 * All of it belongs to whoever holds the lock (table.h), but for `running`, `engine`, the descriptors of `pair`, and `source`'s and
 * `left`'s device and inode, which any thread may read to learn whether a file is some session's, `asked`, which any may set, and
 * tally.written, which is only added to.
 */
struct session {
    int lock; /* a futex, see lock.h */
    int running;
    int asked; /* another thread wants it settled, and has not waited: it may be waiting for a server itself */
    struct file_pair pair;    /* the program's descriptors, checked against the states below at each decision */
    struct file_state source; /* as it was before anything was copied */
    struct file_state left;   /* the destination as we left it */
    const struct engine *engine;
    bool exact;     /* not running: the engine is one for single writes and copies between these files (exact.h) */
    off_t shift;    /* an offset in the destination, less that of the same byte in the source */
    off_t mark;     /* offset in the destination */
    off_t frontier; /* offset in the destination, and its size; never before the mark */
    off_t read_at;  /* where the source's descriptor stands if nothing but lazy reads moved it (reads.c) */
    size_t window;  /* bytes that the next call of the engine may take */
    bool fine_stamps;
    bool cuttable;      /* the destination's descriptor allows that the file is cut back, as far as that was tried */
    bool direct;        /* O_DIRECT: the kernel would refuse unaligned buffers, so only aligned ones are served */
    bool stream;        /* its descriptor is a stdio stream's, whose writes no hook may see */
    bool standard;      /* its descriptor is a standard stream's, as dd's is */
    off_t last_step;    /* of either: where the engine's last step began in the destination, */
    struct stretch put; /* and the blocks that it has put there, up to the frontier; of no bytes: not known */
    bool untouched;     /* no write was dropped since the destination's times were last set */
    uint64_t blocked;   /* the signals that the program blocks, while it is in one of the calls below */
    uint64_t hold;      /* the session may begin again when tally.written has reached this */
    unsigned cuts;      /* how often it was settled with its frontier ahead */
    /* Has its bytes while running, or exact. If the engine does not freeze the source it holds what was copied last. */
    struct compare_scratch scratch;
    struct lazy_copy lazy;
    char *names; /* two paths of SESSION_PATH bytes, source and destination, or NULL; see report.h */
    struct tally tally;
};

#define SESSION_PATH 4096

/* To ask a server takes as long as to send it some ten thousand bytes; a copy asked in such pieces is left alone. */
#define SMALLEST_ASKED ((size_t)1 << 20)

/* The running kernel, as LINUX_VERSION_CODE; 0 if it does not say. */
unsigned session_kernel(void);

/* How many sessions of the process are running: a hint, to be read without a lock. */
extern unsigned sessions_running __attribute__((visibility("hidden")));

/* How many of these have their files on a server, whose answers may have to be waited for. */
extern unsigned sessions_remote __attribute__((visibility("hidden")));

/* How many of them have a stream's descriptor, or a standard stream's, by which libc may write unseen. */
extern unsigned sessions_streamed __attribute__((visibility("hidden")));

/* A write, or a copy asked of the kernel, that could begin a session. */
struct candidate {
    int source, destination;           /* descriptors */
    off_t from, to;                    /* offset in the source; in the destination */
    size_t n;                          /* bytes */
    const struct program_write *write; /* or NULL: the kernel copies */
    enum reason exact; /* why nothing may run ahead: it is offloaded by itself (exact.h), or not; or REASON_NONE */
    struct file_state source_state, destination_state;
    uint64_t blocked;    /* the signals that the program blocks (signals.h) */
    enum reason refused; /* why it will not be served, if that is known already; then only its record is wanted */
};

/* What one read(2), write(2) or sendfile(2) moves at most (MAX_RW_COUNT in the kernel). */
#define LONGEST_CALL ((size_t)0x7ffff000)

/* Whether the candidate goes to the descriptor's own offset, which is not to be moved while others may do so too. */
static inline bool candidate_moves_offset(const struct candidate *c)
{
    return c->write && c->write->at < 0;
}

/* Whether one of the two, which have been looked at, is a block device itself. */
static inline bool candidate_has_raw_side(const struct candidate *c)
{
    return c->source_state.raw || c->destination_state.raw;
}

/* Fills in a session, which is not running, with the files that the candidate names. */
void session_identify(struct session *session, const struct candidate *candidate);

/*
 * Would a plain copy up to `end` meet the file size limit, or one of that many bytes a full disk, which an engine might
 * not meet? REASON_NONE if not. A block device knows neither, but has an end (blkdev_write_iter() in block/fops.c).
 */
enum reason session_limits(const struct session *session, off_t end, uint64_t bytes);

/* The engine's last call took so long: smaller windows for one that is slow here, larger ones for a fast one. */
void session_adapt(struct session *session, long ns);

/* A signal has come that the program neither blocks nor ignores: a copy in the kernel would end early and say how far it got. */
bool session_signal_waits(const struct session *session);

/* Whether the destination's descriptor, or the source's, has one of these status flags (F_GETFL, fcntl(2)). */
bool session_writes_with(const struct session *session, long flags);
bool session_reads_with(const struct session *session, long flags);

/* Where the source ends, as an offset of the destination. */
static inline off_t session_source_end(const struct session *session)
{
    return session->source.size + session->shift;
}

/* Looks at one of the session's files, as its engine needs it. */
bool session_look(const struct session *session, int fd, struct file_state *state);

/* Whether the source is as the session knows it, and whether the destination is as we left it. */
bool session_source_unchanged(const struct session *session);
bool session_destination_unchanged(const struct session *session);

/*
 * With O_DIRECT the kernel refuses what is not aligned; whether it would is its word. False if the write, which goes to
 * `at`, is to be the program's for that.
 */
bool session_direct_allows(const struct session *session, const struct program_write *write, off_t at);

/* Why the last call of the session's engine failed. */
enum reason session_engine_failure(const struct session *session);

/*
 * Could an offload serve the candidate? Fills in the session, which is not running, and asks the engines. REASON_NONE
 * if so. Only looks: neither file is changed.
 */
enum reason session_fits(struct session *session, const struct candidate *candidate);

/*
 * The part of session_fits() that asks the engines, after session_identify(): completes the session's pair and sets its
 * engine. The destination's descriptor may be of any kind, a directory too.
 */
enum reason session_choose(struct session *session, const struct candidate *candidate);

/* Is what the candidate wants written what its source holds? REASON_NONE if so. */
enum reason session_prove(struct session *session, const struct candidate *candidate);

/* Gives back what session_prove() took, for a session that is not going to start. */
void session_drop_proof(struct session *session);

/*
 * Makes the session one that other threads see, and wait for or settle before they touch its files; and takes that back.
 * session_start() and mark_settle() do so; by itself it is for what runs no longer than one call of the program.
 */
void session_run(struct session *session);
void session_stop(struct session *session);

/* Starts the session that session_fits() and session_prove() found good, with the mark at the candidate's place. */
void session_start(struct session *session, const struct candidate *candidate);

#endif
