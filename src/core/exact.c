#include "exact.h"

#include "../buffers/compare.h"
#include "clock.h"
#include "holes.h"
#include "probes.h"
#include "syscalls.h"

#include <fcntl.h>
#include <linux/fs.h>

bool exact_renew(struct session *s, const struct candidate *c)
{
    if (!s->exact || s->pair.compares != (c->write != NULL) || !guard_same_file(&s->source, &c->source_state) ||
        !guard_same_file(&s->left, &c->destination_state))
        return false;
    s->pair.source = c->source;
    s->source = c->source_state;
    s->left = c->destination_state;
    s->shift = c->to - c->from;
    return true;
}

/* ---- the place ---- */

/*
 * A clone puts the source's blocks in the place of those that are there. Space that was promised (posix_fallocate(3))
 * would be gone, and a later write could meet a full disk.
 */
static enum reason is_vacant(const struct session *s, off_t at, off_t end)
{
    int fd = s->pair.destination;
    uint64_t fs = s->pair.destination_fs;
    off_t size = s->left.size, within = end < size ? end : size;
    if (s->engine->in_place)
        return REASON_NONE;
    if (holes_has_blocks(fd, at, within) && !holes_are_unpromised(fd, fs, at, within))
        return REASON_OVERWRITES;
    /* What is put behind the end may have to be cut off again, and all that is promised behind it with that. */
    return end > size && holes_are_promised(fd, fs, size, INT64_MAX) ? REASON_OVERWRITES : REASON_NONE;
}

/* How many of n bytes from there on can be copied at once: whole granules, or up to the end of both files. */
static size_t whole(const struct session *s, const struct candidate *c, size_t n)
{
    off_t granule = (off_t)s->engine->granule(&s->pair);
    if (granule <= 0 || (c->from | c->to) % granule)
        return 0;
    if (c->from + (off_t)n == s->source.size && c->to + (off_t)n >= s->left.size)
        return n;
    return n - n % (size_t)granule;
}

/* What must hold of the descriptors now. */
static enum reason descriptors_fit(struct session *s)
{
    long in = KERNEL(SYS_fcntl, s->pair.source, F_GETFL), out = KERNEL(SYS_fcntl, s->pair.destination, F_GETFL);
    if (in < 0 || (in & O_ACCMODE) == O_WRONLY || in & O_PATH || out < 0 || (out & O_ACCMODE) == O_RDONLY ||
        out & O_PATH)
        return REASON_NOT_WRITABLE;
    s->direct = out & O_DIRECT;
    return out & O_APPEND ? REASON_APPENDS : REASON_NONE;
}

/* A server is asked some questions for each copy, in the time of which a write is in the page cache several times. */
static bool repays_asking(const struct session *s, const struct candidate *c, size_t n)
{
    return !s->engine->remote || (!c->write && n >= SMALLEST_ASKED);
}

/* What has to have room for none of the copy's calls to meet a full disk; n: the bytes of this one. */
static off_t room_wanted(const struct session *s, const struct candidate *c, size_t n)
{
    if (s->engine->in_place)
        return (off_t)n;
    /* Where blocks are shared, all calls but this one may have been made and have taken none; a server may share or not. */
    off_t all = s->engine->freezes_source ? s->source.size : s->source.size - c->from;
    return all > (off_t)n ? all : (off_t)n;
}

enum reason exact_limits(const struct session *s, const struct candidate *c, size_t n)
{
    return session_limits(s, c->to + (off_t)n, (uint64_t)room_wanted(s, c, n));
}

/* May `part` of the n bytes that are asked for be put there? */
static enum reason place_fits(struct session *s, const struct candidate *c, size_t n, size_t part)
{
    enum reason why = descriptors_fit(s);
    if (why == REASON_NONE && !repays_asking(s, c, n))
        why = REASON_SLOWER;
    if (why == REASON_NONE && part < EXACT_LEAST)
        why = n < EXACT_LEAST ? c->exact : REASON_UNALIGNED;
    /* As far as the plain call would come: the limit must be met by all of it, or by nothing of ours. */
    if (why == REASON_NONE)
        why = exact_limits(s, c, n);
    return why == REASON_NONE ? is_vacant(s, c->to, c->to + (off_t)part) : why;
}

/* ---- the engine ---- */

/*
 * Has the engine copy n bytes, until it fails or, if `breaks`, a signal waits. Returns how many are there; up to *tried there may be
 * more, of a step that failed.
 */
static size_t copy_steps(struct session *s, const struct candidate *c, size_t n, bool breaks, size_t *tried)
{
    size_t done = 0, granule = s->engine->granule(&s->pair);
    *tried = 0;
    while (done < n && !(breaks && done && session_signal_waits(s))) {
        size_t step = n - done <= s->window ? n - done : s->window - s->window % granule;
        long began = clock_ns();
        int64_t copied = s->engine->copy(&s->pair, c->from + (off_t)done, c->to + (off_t)done, step);
        session_adapt(s, clock_ns() - began);
        *tried = done + step;
        if (copied <= 0)
            break;
        done += (size_t)copied < step ? (size_t)copied - (size_t)copied % granule : step;
        if ((size_t)copied < granule && done < n)
            break;
    }
    return done;
}

/* The engine says that the destination holds n bytes. XFS has reported success for a part of a clone. */
static enum reason accept(const struct session *s, const struct candidate *c, size_t n)
{
    struct file_state now;
    if (!guard_look(s->pair.destination, &now) || now.size < c->to + (off_t)n)
        return s->engine->failure;
    if (session_writes_with(s, O_SYNC | O_DSYNC) && KERNEL(SYS_fsync, s->pair.destination) < 0)
        return s->engine->failure;
    PROBE_OFFLOAD(s->pair.destination, c->to, n, s->engine->name);
    return REASON_NONE;
}

/*
 * The place was vacant and is so again, before the program's own call is made, which may come less far than ours. What
 * others have put behind it in the meantime is not cut off.
 */
static enum reason take_back(const struct session *s, const struct candidate *c, size_t n, enum reason why)
{
    struct file_state now;
    off_t end = c->to + (off_t)n, was = s->left.size > c->to ? s->left.size : c->to;
    if (s->engine->in_place || !guard_look(s->pair.destination, &now) || !guard_same_file(&now, &s->left))
        return why;
    if (now.size > was && now.size <= end)
        KERNEL(SYS_ftruncate, s->pair.destination, was);
    if (c->to < s->left.size || now.size > end)
        holes_make(s->pair.destination, c->to, end);
    return why;
}

/*
 * Of the n bytes all but the first `done`, of which a step that failed may have left some (XFS). No more than that step's: another
 * process may be writing to the rest.
 */
static void take_back_behind(const struct session *s, const struct candidate *c, size_t done, size_t n)
{
    struct candidate rest = *c;
    rest.from += (off_t)done;
    rest.to += (off_t)done;
    take_back(s, &rest, n - done, REASON_NONE);
}

static void count(struct session *s, const struct candidate *c, size_t n)
{
    s->tally.engine = s->engine->name;
    s->tally.offloaded += n;
    s->tally.reason = REASON_UNFINISHED;
    if (s->mark < c->to + (off_t)n)
        s->mark = c->to + (off_t)n;
}

/* ---- writes ---- */

static enum reason compare_all(struct session *s, const struct candidate *c)
{
    compare_forget(&s->scratch);
    /* What is beyond this write would be forgotten before the next. */
    if (s->scratch.step > c->write->n)
        s->scratch.step = c->write->n;
    return compare_pieces(c->write->pieces, 0, c->write->n, c->source, c->from, &s->scratch, false);
}

/*
 * What is seen of a write before anything is put into its place. An engine that freezes the source needs no more than a
 * look that saves most wrong clones: what is compared after it counts, since no change of the source can hide from then
 * on (engine.h). With another, the bytes must be the same before and after; and so with one that writes over what is
 * there, or a power cut in between could leave bytes that are neither the old ones nor the program's.
 */
static enum reason looks_equal(struct session *s, const struct candidate *c)
{
    const struct program_write *w = c->write;
    if (!s->engine->freezes_source || s->engine->in_place)
        return compare_all(s, c);
    for (int i = 0; i < w->count; i++)
        if (!compare_readable(w->pieces[i].iov_base, w->pieces[i].iov_len))
            return REASON_BUFFER_GONE;
    return compare_begins(w->pieces->iov_base, w->pieces->iov_len, c->source, c->from) ? REASON_NONE
                                                                                       : REASON_CHANGED_BYTES;
}

static enum reason put_and_prove(struct session *s, const struct candidate *c, size_t n)
{
    size_t tried;
    enum reason why = copy_steps(s, c, n, false, &tried) == n ? REASON_NONE : session_engine_failure(s);
    if (why == REASON_NONE)
        why = compare_all(s, c);
    /* Asked last, so that it holds for all that was read and compared before. */
    if (why == REASON_NONE && !session_source_unchanged(s))
        why = REASON_SOURCE_CHANGED;
    return why == REASON_NONE ? accept(s, c, n) : why;
}

enum reason exact_write(struct session *s, const struct candidate *c)
{
    size_t n = c->write->n, part = whole(s, c, n);
    enum reason why = part == n ? place_fits(s, c, n, n) : REASON_UNALIGNED;
    if (why == REASON_NONE && !session_direct_allows(s, c->write, c->to))
        why = REASON_UNALIGNED;
    if (why == REASON_NONE && !guard_would_show(&s->source, s->fine_stamps))
        why = REASON_YOUNG;
    if (why == REASON_NONE)
        why = looks_equal(s, c);
    if (why != REASON_NONE)
        return why;
    why = put_and_prove(s, c, n);
    if (why != REASON_NONE)
        return take_back(s, c, n, why);
    count(s, c, n);
    s->tally.writes_elided++;
    return REASON_NONE;
}

/* The place was behind the file's end, perhaps, and the end is there still, with nothing before it. */
static void cut_to_former_end(const struct session *s, off_t at)
{
    struct file_state now;
    int fd = s->pair.destination;
    if (!s->engine->in_place && at > s->left.size && guard_look(fd, &now) && guard_same_file(&now, &s->left) &&
        now.size == at && !holes_has_blocks(fd, s->left.size, at))
        KERNEL(SYS_ftruncate, fd, s->left.size);
}

void exact_take_back(struct session *s, const struct candidate *c)
{
    take_back(s, c, c->write->n, REASON_MOVED);
    cut_to_former_end(s, c->to);
    s->tally.offloaded -= c->write->n;
    s->tally.writes_elided--;
}

/* ---- copies by the kernel ---- */

size_t exact_copy(struct session *s, const struct candidate *c, enum reason *why)
{
    off_t left = s->source.size - c->from;
    size_t n = left <= 0 ? 0 : (off_t)c->n < left ? c->n : (size_t)left;
    size_t part = whole(s, c, n);
    *why = place_fits(s, c, n, part);
    /* With O_DIRECT on either side the kernel refuses a part that is not aligned. */
    if (*why == REASON_NONE && (s->direct || KERNEL(SYS_fcntl, s->pair.source, F_GETFL) & O_DIRECT))
        *why = REASON_UNALIGNED;
    if (*why != REASON_NONE)
        return 0;
    size_t tried, copied = copy_steps(s, c, part, true, &tried);
    if (copied && copied < tried)
        take_back_behind(s, c, copied, tried);
    *why = copied ? accept(s, c, copied) : session_engine_failure(s);
    if (*why != REASON_NONE) {
        take_back(s, c, copied ? copied : tried, *why);
        return 0;
    }
    count(s, c, copied);
    return copied;
}
