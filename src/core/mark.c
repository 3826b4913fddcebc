#include "mark.h"

#include "frontier.h"
#include "holes.h"
#include "offsets.h"
#include "probes.h"
#include "reads.h"
#include "syscalls.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Bytes that the program must write itself after the first cut before the session begins again; doubled by each cut. */
#define FIRST_HOLD ((uint64_t)256 << 10)

/* The descriptor still writes where the session thinks, in the way that it began with. */
static enum reason position_holds(const struct session *s)
{
    long flags = KERNEL(SYS_fcntl, s->pair.destination, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || flags & (O_APPEND | O_PATH))
        return REASON_DESTINATION_USED;
    if (!!(flags & O_DIRECT) != s->direct)
        return REASON_DESTINATION_USED;
    return KERNEL(SYS_lseek, s->pair.destination, 0, SEEK_CUR) == s->mark ? REASON_NONE : REASON_MOVED;
}

/* The destination holds n bytes more of what the program wrote. */
static enum reason move_mark(struct session *s, size_t n)
{
    if (!offsets_step_on(s->pair.destination, s->mark, n))
        return REASON_MOVED;
    s->mark += (off_t)n;
    s->untouched = false;
    s->tally.offloaded += n;
    s->tally.writes_elided++;
    return REASON_NONE;
}

/* ---- proof ---- */

/* As holds_source(), of the bytes of the write's one piece before or behind those that are proven otherwise. */
static enum reason part_holds_source(struct session *s, const struct program_write *w, size_t skip, size_t n)
{
    if (n == 0)
        return REASON_NONE;
    /* Its neighbours in the source will not be asked for. */
    compare_forget(&s->scratch);
    size_t step = s->scratch.step;
    s->scratch.step = n;
    enum reason why =
        compare_pieces(w->pieces, skip, n, s->pair.source, s->mark - s->shift + (off_t)skip, &s->scratch, false);
    s->scratch.step = step;
    return why;
}

/* What is known of the write's bytes without looking at them (OFFLOAD_BUFFERS=lazy). */
static enum lazy_proof prove_lazily(struct session *s, const struct program_write *w, struct span *pages)
{
    if (!s->lazy.on || w->count != 1)
        return LAZY_UNPROVEN;
    return lazy_prove(&s->lazy, w->pieces->iov_base, w->n, s->mark - s->shift, pages);
}

/* Is what the program writes at the mark what the source holds there? */
static enum reason holds_source(struct session *s, const struct program_write *w)
{
    struct span pages;
    uintptr_t begin = (uintptr_t)w->pieces->iov_base, end = begin + w->n;
    if (prove_lazily(s, w, &pages) == LAZY_UNPROVEN)
        return compare_pieces(w->pieces, 0, w->n, s->pair.source, s->mark - s->shift, &s->scratch, false);
    enum reason why = part_holds_source(s, w, 0, pages.start - begin);
    return why == REASON_NONE ? part_holds_source(s, w, pages.end - begin, end - pages.end) : why;
}

static enum reason still_as_left(const struct session *s)
{
    if (!guard_takes_writes(s->pair.destination, s->pair.destination_fs))
        return REASON_ENGINE_FAILED;
    return session_destination_unchanged(s) ? REASON_NONE : REASON_DESTINATION_CHANGED;
}

static enum reason still_as_they_were(const struct session *s)
{
    return session_source_unchanged(s) ? still_as_left(s) : REASON_SOURCE_CHANGED;
}

/*
 * The same, where all that was compared is held. What was read while the source had not changed is what was cloned, whatever
 * has come of the source since: it is looked at once for all small writes that are compared with the same bytes.
 */
static enum reason still_as_held(struct session *s)
{
    if (!s->scratch.known && !session_source_unchanged(s))
        return REASON_SOURCE_CHANGED;
    s->scratch.known = true;
    return still_as_left(s);
}

/* The write is proven against a source that the engine freezes. */
static enum reason prove_frozen(struct session *s, const struct program_write *w)
{
    off_t goal = s->mark + (off_t)w->n;
    struct span pages;
    /* The destination has what was read, whatever has come of the source since. */
    if (goal <= s->frontier && prove_lazily(s, w, &pages) == LAZY_ALL)
        return still_as_left(s);
    /* Compared before anything more is cloned: a program that changes the bytes costs no clone. */
    enum reason why = holds_source(s, w);
    /* And again afterwards: what was cloned may be younger than what was compared. */
    if (why == REASON_NONE && goal > s->frontier) {
        why = frontier_reach(s, goal);
        why = why == REASON_NONE ? holds_source(s, w) : why;
    }
    /* Asked last, so that it holds for all that was read and compared before. */
    return why == REASON_NONE ? still_as_held(s) : why;
}

/* The write is proven against what was held of the source when it was copied. */
static enum reason prove_held(struct session *s, const struct program_write *w)
{
    enum reason why = REASON_NONE;
    off_t at = s->mark, goal = s->mark + (off_t)w->n;
    while (why == REASON_NONE && at < goal) {
        if (at >= s->frontier)
            why = frontier_step_ahead(s);
        off_t end = goal < s->frontier ? goal : s->frontier;
        if (why == REASON_NONE)
            why = compare_pieces(w->pieces, (size_t)(at - s->mark), (size_t)(end - at), s->pair.source, at - s->shift,
                                 &s->scratch, true);
        at = end;
    }
    /* By what this machine knows: the server has been asked when it copied, and is asked again at the next step. */
    if (why == REASON_NONE && !guard_unchanged(s->pair.destination, &s->left))
        why = REASON_DESTINATION_CHANGED;
    return why;
}

/* ---- writes ---- */

/*
 * The program has moved on from the mark, over bytes that it does not write. They must read as zeros then, and take no
 * space, as where plain calls have sought over them: in a copy of a file with holes they mostly do already.
 */
static bool sought_over(struct session *s)
{
    off_t at = KERNEL(SYS_lseek, s->pair.destination, 0, SEEK_CUR);
    if (at <= s->mark || at > session_source_end(s) || !s->engine->freezes_source)
        return false;
    if (frontier_reach(s, at) != REASON_NONE || frontier_check_destination(s) != REASON_NONE)
        return false;
    if (holes_has_blocks(s->pair.destination, s->mark, at)) {
        /* What was read of the source there is not the destination's to give any more. */
        if (s->lazy.on)
            lazy_let_go(NULL, SIZE_MAX);
        bool made = holes_make(s->pair.destination, s->mark, at) && guard_stamp(s->pair.destination, s->fine_stamps);
        session_look(s, s->pair.destination, &s->left);
        lazy_renew(&s->lazy, &s->left);
        s->untouched = true;
        if (!made || s->left.size != s->frontier)
            return false;
    }
    s->mark = at;
    return true;
}

static enum reason write_at_mark(struct session *s, const struct program_write *w)
{
    off_t goal = s->mark + (off_t)w->n;
    enum reason why = goal > s->frontier ? position_holds(s) : REASON_NONE;
    /* The engine was chosen for copies that the kernel is asked for, which prove nothing of a buffer. */
    if (why == REASON_NONE && !s->engine->freezes_source && !s->pair.compares)
        why = REASON_DESTINATION_USED;
    if (why == REASON_NONE && goal > session_source_end(s))
        why = REASON_SOURCE_ENDED;
    if (why == REASON_NONE && !session_direct_allows(s, w, s->mark))
        why = REASON_UNALIGNED;
    if (why == REASON_NONE)
        why = s->engine->freezes_source ? prove_frozen(s, w) : prove_held(s, w);
    return why == REASON_NONE ? move_mark(s, w->n) : why;
}

bool mark_write(struct session *s, const struct program_write *w)
{
    off_t mark = s->mark;
    enum reason why = write_at_mark(s, w);
    if ((why == REASON_MOVED || why == REASON_CHANGED_BYTES || why == REASON_SOURCE_ENDED) && sought_over(s))
        why = write_at_mark(s, w);
    if (why != REASON_NONE) {
        /* What was sought over is not the file's as long as nothing is written behind it. */
        s->mark = mark;
        mark_settle(s, why);
    }
    return why == REASON_NONE;
}

/* ---- copies that the kernel is asked for ---- */

/* As frontier_reach(), until a signal waits, or another thread that wants the session settled. */
static enum reason reach_by_steps(struct session *s, off_t goal)
{
    enum reason why = goal > session_source_end(s) ? REASON_SOURCE_ENDED : REASON_NONE;
    while (why == REASON_NONE && s->frontier < goal && !session_signal_waits(s) &&
           !__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST))
        why = frontier_advance(s, goal);
    return why;
}

/* What must hold before the kernel's copy of n bytes from there on is made by the engine. */
static enum reason may_copy(const struct session *s, off_t from, size_t n)
{
    off_t left = session_source_end(s) - s->mark;
    enum reason why = position_holds(s);
    if (why != REASON_NONE)
        return why;
    if (from + s->shift != s->mark)
        return REASON_MOVED;
    /* The kernel copies what the source holds now, not what it held when we went ahead for a write. */
    if (!s->engine->freezes_source && s->frontier > s->mark)
        return REASON_DESTINATION_USED;
    if (s->engine->remote && n < SMALLEST_ASKED && (off_t)n < left)
        return REASON_SLOWER;
    /* With O_DIRECT on either side the kernel refuses a part that is not aligned. */
    return s->direct || session_reads_with(s, O_DIRECT) ? REASON_UNALIGNED : REASON_NONE;
}

/* How many of n bytes lie between the mark and there. */
static size_t up_to(const struct session *s, off_t end, size_t n)
{
    return (off_t)n > end - s->mark ? (size_t)(end - s->mark) : n;
}

size_t mark_copy(struct session *s, off_t from, size_t n)
{
    enum reason why = may_copy(s, from, n);
    n = up_to(s, session_source_end(s), n);
    if (why == REASON_NONE)
        why = reach_by_steps(s, s->mark + (off_t)n);
    n = up_to(s, s->frontier, n);
    if (why == REASON_NONE)
        why = still_as_they_were(s);
    if (why == REASON_NONE && n)
        why = move_mark(s, n);
    /* Copied just now, not some time ago: the file has the time of it. */
    if (!s->engine->freezes_source)
        s->untouched = true;
    if (why == REASON_NONE)
        return n;
    mark_settle(s, why);
    return 0;
}

/* ---- the end ---- */

/* Whether each write is on the disk when it has returned: by its descriptor, by the file (chattr(1), S), or by the mount (sync). */
static bool writes_reach_disk(const struct session *s)
{
    struct fsxattr attributes;
    struct statfs fs;
    int fd = s->pair.destination;
    return session_writes_with(s, O_SYNC | O_DSYNC) ||
           (KERNEL(SYS_ioctl, fd, FS_IOC_FSGETXATTR, &attributes) == 0 && attributes.fsx_xflags & FS_XFLAG_SYNC) ||
           (KERNEL(SYS_fstatfs, fd, &fs) == 0 && fs.f_flags & ST_SYNCHRONOUS);
}

/* In the middle of a block that is shared XFS needs room for another one, which others may have taken: then at its end. */
static void cut_behind_block(const struct session *s, off_t end)
{
    off_t block = (off_t)s->engine->granule(&s->pair);
    off_t block_end = block > 0 ? (end + block - 1) / block * block : s->frontier;
    if (block_end < s->frontier)
        KERNEL(SYS_ftruncate, s->pair.destination, block_end);
}

/*
 * What is ahead of the program is taken back, from there on, and the next time is put off, ever longer. Where the step was put
 * on the disk with each write, so is the cut.
 */
static void cut_at(struct session *s, off_t end)
{
    if (KERNEL(SYS_ftruncate, s->pair.destination, end) < 0)
        cut_behind_block(s, end);
    if (writes_reach_disk(s))
        KERNEL(SYS_fsync, s->pair.destination);
    s->hold = s->tally.written + (FIRST_HOLD << (s->cuts < 20 ? s->cuts : 20));
    s->cuts++;
}

static void cut_back(struct session *s)
{
    if (s->frontier > s->mark) {
        cut_at(s, s->mark);
    } else if (!s->untouched) {
        guard_touch(s->pair.destination, s->mark);
    }
}

/* Whether the destination's bytes may have changed since it was left, not its rights, names and attributes alone. */
static bool is_of_bytes(const struct session *s, const struct file_state *now)
{
    return !guard_same_time(now->modified, s->left.modified);
}

/*
 * The destination is not as it was left, but no longer or shorter: something in the process may have written through the
 * descriptor where no hook sees it, as stdio does behind descriptor 1. Its offset tells up to where. Or another process has
 * set what is no byte of the file (chmod(2), rename(2), setxattr(2)). What lies in the blocks behind that is the engine's as
 * long as these are the source's too, or those that were put there: who writes there gives the file others. The block that
 * the program has come to the middle of is one of them, unless it has been written to unseen: another process may have written
 * there and set the time back.
 */
static void cut_behind_unseen_change(struct session *s)
{
    struct file_state now;
    int destination = s->pair.destination;
    off_t at = KERNEL(SYS_lseek, destination, 0, SEEK_CUR), block = (off_t)s->engine->granule(&s->pair);
    /* What a server tells of places (SMB: each byte's is its offset) is no proof. */
    if (s->engine->remote || at < s->mark || at >= s->frontier || block <= 0 || !guard_look(destination, &now) ||
        !guard_same_file(&now, &s->left) || now.size != s->frontier || (at == s->mark && is_of_bytes(s, &now)))
        return;
    off_t first = (at == s->mark ? at : at + block - 1) / block * block;
    if (frontier_has_what_was_put(s, first) ||
        sharing_all(s->pair.source, first - s->shift, destination, first, s->frontier - first))
        cut_at(s, at);
}

void mark_settle(struct session *s, enum reason why)
{
    if (!s->running)
        return;
    reads_end(s, REASON_NONE);
    enum reason trouble = frontier_check_destination(s);
    if (trouble == REASON_NONE || (trouble != REASON_DESTINATION_CHANGED && frontier_is_out_of_reach(s)))
        cut_back(s);
    else if (trouble == REASON_DESTINATION_CHANGED)
        cut_behind_unseen_change(s);
    if (trouble != REASON_NONE)
        why = trouble;
    PROBE_SETTLE(s->pair.destination, reason_name(why));
    s->tally.reason = why;
    session_drop_proof(s);
    session_stop(s);
}
