#include "frontier.h"

#include "../buffers/compare.h"
#include "clock.h"
#include "holes.h"
#include "probes.h"
#include "sharing.h"
#include "syscalls.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* What lies in smaller pieces is not copied ahead of a stream: each would be a call of the engine's, and two looks at maps. */
#define SMALLEST_STRETCH ((off_t)64 << 10)
/* The most that is held of the source, for an engine that does not freeze it. */
#define MOST_HELD ((size_t)4 << 20)

/* Cut to whole granules, unless that is nothing or it reaches the source's end. */
static off_t whole_granules(const struct session *s, off_t end)
{
    end -= end % (off_t)s->engine->granule(&s->pair);
    return end >= session_source_end(s) || end <= s->frontier ? session_source_end(s) : end;
}

/* The program's writes since the last step, which the scratch holds where the engine does not freeze the source. */
static void write_what_is_held(const struct session *s)
{
    off_t at = s->scratch.from + s->shift;
    while (s->scratch.held && at < s->mark) {
        const char *bytes = s->scratch.bytes + (at - s->shift - s->scratch.from);
        long n = KERNEL(SYS_pwrite64, s->pair.destination, bytes, s->mark - at, at);
        if (n <= 0)
            return;
        at += n;
    }
}

bool frontier_is_out_of_reach(const struct session *s)
{
    struct file_state known;
    return s->engine->remote && guard_look(s->pair.destination, &known) && guard_same_file(&known, &s->left);
}

/*
 * What the engine put beyond the frontier before it failed is not ours to keep: XFS can leave part of a clone, an SMB
 * server a longer file. The caller has seen the file as we left it, but that was before the engine's call, which a
 * server may take half a second for. False, and nothing is cut off, if the file is longer than a step to `end` can have
 * made it: another process has written behind it since.
 */
static bool take_back(const struct session *s, off_t end)
{
    struct file_state now;
    bool known = session_look(s, s->pair.destination, &now);
    if (known && now.size > end)
        return false;
    if (known ? now.size > s->frontier : frontier_is_out_of_reach(s))
        KERNEL(SYS_ftruncate, s->pair.destination, s->frontier);
    return true;
}

/*
 * A stream may write to the file unseen (cut_behind_unseen_change() in mark.c). That what lies behind such a write is ours can be
 * told later by where its blocks are, which must be known now, for the source may have others by then. One place is enough
 * to remember: nothing is ahead of the program but what the last step has put there.
 */
static void remember_stretch(struct session *s, off_t end)
{
    s->last_step = s->frontier;
    if (!sharing_stretch(s->pair.source, s->frontier - s->shift, end - s->frontier, &s->put))
        s->put.n = 0;
}

/* So a step ahead of a stream is no longer than what lies in one place. */
static enum reason end_with_stretch(struct session *s, off_t *end)
{
    remember_stretch(s, *end);
    if (s->put.n == 0)
        return REASON_STREAMED;
    off_t stretch_end = s->frontier + (off_t)s->put.n;
    if (stretch_end < *end)
        *end = stretch_end - stretch_end % (off_t)s->engine->granule(&s->pair);
    return *end - s->frontier >= SMALLEST_STRETCH || *end == session_source_end(s) ? REASON_NONE : REASON_STREAMED;
}

/*
 * What copies by descriptor 1 (dd) hardly ever prints there as well, and is not to make more steps for it: what lies in
 * several places is not remembered, and is known for the source's as long as the source has it.
 */
static void remember_whole_step(struct session *s, off_t end)
{
    remember_stretch(s, end);
    if ((off_t)s->put.n < end - s->frontier)
        s->put.n = 0;
}

bool frontier_has_what_was_put(const struct session *s, off_t from)
{
    struct stretch put = s->put;
    if (put.n == 0 || from < s->last_step)
        return false;
    if (!put.is_hole)
        put.place += (uint64_t)(from - s->last_step);
    return sharing_lies_in(s->pair.destination, from, s->frontier - from, put);
}

/* The engine says that the destination now holds the source up to `reached`; `ahead` of the program, perhaps. */
static enum reason accept_step(struct session *s, off_t reached, bool ahead)
{
    struct file_state now;
    if (ahead && !guard_stamp(s->pair.destination, s->fine_stamps))
        return REASON_STAMP;
    if (!session_look(s, s->pair.destination, &now))
        return s->engine->failure;
    if (now.size != reached)
        return s->engine->failure;
    if (session_writes_with(s, O_SYNC | O_DSYNC) && KERNEL(SYS_fsync, s->pair.destination) < 0)
        return s->engine->failure;
    if (s->put.n && !sharing_lies_in(s->pair.destination, s->frontier, reached - s->frontier, s->put)) {
        s->put.n = 0;
        if (s->stream)
            return REASON_STREAMED;
    }
    PROBE_OFFLOAD(s->pair.destination, s->frontier, reached - s->frontier, s->engine->name);
    s->frontier = reached;
    /* As the step has left it, not as it is by now: what another process has written meanwhile is to show. */
    s->left = now;
    return REASON_NONE;
}

/*
 * Whether what is put ahead of the program can be taken back: Landlock can allow that a file is written to, and not that it is
 * truncated. Tried where the file ends, as has just been seen; not where that would give back blocks that the program has allocated
 * behind the end, nor by way of a server.
 */
static bool may_cut(struct session *s)
{
    int fd = s->pair.destination;
    if (!s->cuttable)
        s->cuttable = s->engine->remote || holes_are_promised(fd, s->pair.destination_fs, s->frontier, INT64_MAX) ||
                      KERNEL(SYS_ftruncate, fd, s->frontier) == 0;
    return s->cuttable;
}

enum reason frontier_check_destination(const struct session *s)
{
    bool as_known_here = s->engine->remote && guard_unchanged(s->pair.destination, &s->left);
    struct file_state is;
    if (!session_look(s, s->pair.destination, &is))
        return s->engine->remote ? s->engine->failure : REASON_DESTINATION_CHANGED;
    if (guard_same_state(&is, &s->left))
        return REASON_NONE;
    if (as_known_here)
        write_what_is_held(s);
    return REASON_DESTINATION_CHANGED;
}

/* To be told of a file's blocks takes the lock under which it is written to, and changes nothing (xfs_vn_fiemap() in fs/xfs/xfs_iops.c). */
static void wait_at_lock(const struct session *s)
{
    holes_has_blocks(s->pair.destination, s->frontier, s->frontier + 1);
}

/*
 * Another process may be in the middle of a write behind the frontier that shows in the file's size only when its bytes are there: it
 * may wait for a page of its buffer. A clone would wait for it, at the file's lock, and then run over these bytes. So we wait here, and
 * look once more.
 */
static enum reason still_as_left_by_all(struct session *s)
{
    struct file_state now;
    bool tried = s->cuttable;
    if (!s->engine->freezes_source || s->engine->remote)
        return may_cut(s) ? REASON_NONE : REASON_UNCUT;
    wait_at_lock(s);
    enum reason why = frontier_check_destination(s);
    if (why != REASON_NONE || tried)
        return why;
    if (!may_cut(s))
        return REASON_UNCUT;
    /* And for who has waited for that. */
    wait_at_lock(s);
    bool has_grown = !guard_look(s->pair.destination, &now) || now.size != s->frontier;
    return has_grown ? REASON_DESTINATION_CHANGED : REASON_NONE;
}

/* One call of the engine. `holds`: the scratch holds what is to be copied, and must hold what was. */
static enum reason engine_step(struct session *s, off_t end, bool holds)
{
    enum reason why = still_as_left_by_all(s);
    if (why != REASON_NONE)
        return why;
    long began = clock_ns();
    int64_t copied = s->engine->copy(&s->pair, s->frontier - s->shift, s->frontier, (size_t)(end - s->frontier));
    /* What took that time may be less than the window. */
    if (copied > 0 && (holds || copied < end - s->frontier) && s->window > (size_t)copied)
        s->window = (size_t)copied;
    session_adapt(s, clock_ns() - began);
    why = copied > 0 ? REASON_NONE : session_engine_failure(s);
    if (why == REASON_NONE && holds && !compare_holds_still(&s->scratch, s->pair.source, (size_t)copied))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE && holds && !session_source_unchanged(s))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE)
        why = accept_step(s, s->frontier + copied, holds || s->engine->freezes_source);
    if (why != REASON_NONE && !take_back(s, end))
        return REASON_DESTINATION_CHANGED;
    /* A failed step may have moved the times as well: from here on, this is how we left it. */
    if (why != REASON_NONE)
        session_look(s, s->pair.destination, &s->left);
    lazy_renew(&s->lazy, &s->left);
    s->untouched = true;
    return why;
}

/* What must hold before each step up to `end`. */
static enum reason may_step(const struct session *s, off_t end)
{
    enum reason why = session_limits(s, end, (uint64_t)(session_source_end(s) - s->mark));
    if (why == REASON_NONE)
        why = frontier_check_destination(s);
    if (why == REASON_NONE && !session_source_unchanged(s))
        why = REASON_SOURCE_CHANGED;
    return why;
}

enum reason frontier_advance(struct session *s, off_t goal)
{
    off_t window = s->frontier + (off_t)s->window;
    off_t end = whole_granules(s, s->engine->freezes_source || window < goal ? window : goal);
    enum reason why = may_step(s, end);
    if (why == REASON_NONE && s->stream)
        why = end_with_stretch(s, &end);
    else if (why == REASON_NONE && s->standard)
        remember_whole_step(s, end);
    /* From the copy on, a change of the source shows; one shortly before it, by a store into a mapping, may not. */
    compare_forget(&s->scratch);
    return why == REASON_NONE ? engine_step(s, end, false) : why;
}

enum reason frontier_reach(struct session *s, off_t goal)
{
    enum reason why = goal > session_source_end(s) ? REASON_SOURCE_ENDED : REASON_NONE;
    while (why == REASON_NONE && s->frontier < goal)
        why = frontier_advance(s, goal);
    return why;
}

/* Sees to room for what the next step is to copy, and returns what there is. Little address space is left alone. */
static size_t room_to_hold(struct session *s, size_t wanted)
{
    struct rlimit limit;
    if (wanted > s->scratch.room && KERNEL(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) == 0 &&
        limit.rlim_cur == RLIM_INFINITY)
        compare_take(&s->scratch, wanted);
    return wanted < s->scratch.room ? wanted : s->scratch.room;
}

enum reason frontier_step_ahead(struct session *s)
{
    off_t left = session_source_end(s) - s->frontier;
    size_t n = s->window < MOST_HELD ? s->window : MOST_HELD;
    if (left <= 0)
        return REASON_SOURCE_ENDED;
    n = (off_t)n < left ? n : (size_t)left;
    enum reason why = may_step(s, s->frontier + (off_t)n);
    if (why != REASON_NONE)
        return why;
    n = room_to_hold(s, n);
    if ((off_t)n < left)
        n -= n % s->engine->granule(&s->pair);
    if (!n || !compare_hold(&s->scratch, s->pair.source, s->frontier - s->shift, n))
        return REASON_SOURCE_CHANGED;
    return engine_step(s, s->frontier + (off_t)n, true);
}
