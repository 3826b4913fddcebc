#include "session.h"

#include "../buffers/compare.h"
#include "probes.h"
#include "settings.h"
#include "syscalls.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The first window: enough for most files, little to take back from a program that stops early. */
#define FIRST_WINDOW ((size_t)4 << 20)
/* glibc 2.41 and Btrfs, NFS and SMB clients have erred with longer calls; a multiple of any block. */
#define LAST_WINDOW ((size_t)1 << 30)
/* An engine's call should end within half a second, so that signals and progress keep their meaning. */
#define LONG_CALL_NS 250000000L
#define SHORT_CALL_NS 15000000L
/* Bytes that the program must write itself after the first cut before the session begins again; doubled by each cut. */
#define FIRST_HOLD ((uint64_t)256 << 10)
/* O_DIRECT asks for alignment to the device's logical block; none is larger than this. */
#define DIRECT_BLOCK 4096
/* Bytes of a write from which on a clone of its own is faster. */
#define EXACT_LEAST ((size_t)64 << 10)

unsigned sessions_running;

unsigned session_kernel(void)
{
    struct utsname name;
    unsigned part[3] = {0, 0, 0};
    const char *c = name.release;
    if (KERNEL(SYS_uname, &name) < 0)
        return 0;
    for (int i = 0; i < 3; i++) {
        for (; *c >= '0' && *c <= '9'; c++)
            part[i] = part[i] * 10 + (unsigned)(*c - '0');
        if (*c != '.')
            break;
        c++;
    }
    return KERNEL_VERSION(part[0] & 255, part[1] & 255, part[2] < 255 ? part[2] : 255);
}

static long monotonic_ns(void)
{
    struct timespec now;
    KERNEL(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static off_t source_end(const struct session *s)
{
    return s->source.size + s->shift;
}

/* ---- may it begin? ---- */

static enum reason destination_fits(const struct candidate *c, struct session *s)
{
    long flags = KERNEL(SYS_fcntl, c->destination, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || flags & O_PATH)
        return REASON_NOT_WRITABLE;
    if (flags & O_APPEND)
        return REASON_APPENDS;
    s->direct = flags & O_DIRECT;
    s->exact = c->exact == REASON_NONE && c->destination_state.size != c->to ? REASON_OVERWRITES : c->exact;
    return REASON_NONE;
}

enum reason session_choose(struct session *s, const struct candidate *c)
{
    struct statfs source, destination;
    if (KERNEL(SYS_fstatfs, c->source, &source) < 0 || KERNEL(SYS_fstatfs, c->destination, &destination) < 0)
        return REASON_FS_UNKNOWN;
    s->pair.source_fs = (uint64_t)source.f_type;
    s->pair.destination_fs = (uint64_t)destination.f_type;
    s->pair.block = (unsigned)destination.f_bsize;
    s->pair.kernel = session_kernel();
    enum reason why;
    s->engine = engine_choose(&s->pair, settings.engines, &why);
    return s->engine ? REASON_NONE : why;
}

static enum reason alignment_fits(const struct candidate *c, const struct session *s)
{
    off_t granule = (off_t)s->engine->granule(&s->pair);
    if (granule <= 0 || s->shift % granule)
        return REASON_SHIFTED;
    return c->to % granule ? REASON_UNALIGNED : REASON_NONE;
}

void session_identify(struct session *s, const struct candidate *c)
{
    s->source = c->source_state;
    s->left = c->destination_state;
    s->shift = c->to - c->from;
    s->pair = (struct file_pair){
        .source = c->source,
        .destination = c->destination,
        .source_device = c->source_state.device,
        .destination_device = c->destination_state.device,
        .compares = c->write != NULL,
    };
}

bool session_can_be_exact(const struct session *s, const struct candidate *c)
{
    return s->engine->freezes_source && c->n >= EXACT_LEAST;
}

enum reason session_fits(struct session *s, const struct candidate *c)
{
    session_identify(s, c);
    if (settings.policy == POLICY_NEVER)
        return REASON_POLICY;
    enum reason why = destination_fits(c, s);
    if (why == REASON_NONE)
        why = session_choose(s, c);
    if (why == REASON_NONE)
        why = alignment_fits(c, s);
    if (why != REASON_NONE)
        return why;
    if (s->exact != REASON_NONE && !session_can_be_exact(s, c))
        return s->exact;
    s->fine_stamps = guard_fine_stamps(s->pair.kernel, s->pair.source_fs) &&
                     guard_fine_stamps(s->pair.kernel, s->pair.destination_fs);
    return guard_would_show(&s->source, s->fine_stamps) ? REASON_NONE : REASON_YOUNG;
}

static bool take_scratch(struct session *s)
{
    if (s->scratch.bytes)
        return true;
    long at = KERNEL(SYS_mmap, NULL, COMPARE_SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return false;
    s->scratch = (struct compare_scratch){.bytes = (char *)at};
    return true;
}

void session_drop_proof(struct session *s)
{
    if (s->scratch.bytes)
        KERNEL(SYS_munmap, s->scratch.bytes, COMPARE_SCRATCH);
    s->scratch = (struct compare_scratch){0};
}

/* Do the pieces hold, up to `most` bytes, what stands in the source from there on? */
static enum reason compare_pieces(const struct program_write *w, size_t most, int source, off_t from,
                                  struct compare_scratch *scratch)
{
    enum reason why = REASON_NONE;
    for (int i = 0; i < w->count && most && why == REASON_NONE; i++) {
        size_t n = w->pieces[i].iov_len < most ? w->pieces[i].iov_len : most;
        why = compare_buffer(w->pieces[i].iov_base, n, source, from, scratch);
        from += (off_t)n;
        most -= n;
    }
    return why;
}

enum reason session_prove(struct session *s, const struct candidate *c)
{
    if (!c->write)
        return REASON_NONE;
    if (!take_scratch(s))
        return REASON_NO_MEMORY;
    /* Enough to recognise a copy by; session_write() compares every byte. */
    enum reason why = compare_pieces(c->write, COMPARE_SCRATCH, c->source, c->from, &s->scratch);
    if (why != REASON_NONE)
        session_drop_proof(s);
    return why;
}

void session_start(struct session *s, const struct candidate *c)
{
    s->mark = s->frontier = c->to;
    s->window = FIRST_WINDOW;
    s->untouched = true;
    s->tally.engine = s->engine->name;
    PROBE_RECOGNISE(c->source, c->destination);
    __atomic_store_n(&s->running, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&sessions_running, 1, __ATOMIC_SEQ_CST);
}

/* ---- the frontier ---- */

/* The next window's end for a frontier that must come to `goal`. */
static off_t window_end(const struct session *s, off_t goal)
{
    off_t granule = (off_t)s->engine->granule(&s->pair);
    off_t end = s->frontier + (off_t)s->window;
    if ((!s->engine->freezes_source || s->exact != REASON_NONE) && end > goal)
        end = goal;
    end -= end % granule;
    return end >= source_end(s) || end <= s->frontier ? source_end(s) : end;
}

/* Would a plain copy meet the file size limit, or a full disk, that an engine does not meet? */
static enum reason limits_allow(const struct session *s, off_t end)
{
    struct rlimit limit;
    if (KERNEL(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) < 0 || (rlim_t)end > limit.rlim_cur)
        return REASON_LIMITED;
    struct statfs fs;
    if (KERNEL(SYS_fstatfs, s->pair.destination, &fs) < 0)
        return REASON_SPACE;
    uint64_t wanted = (uint64_t)(source_end(s) - s->mark);
    uint64_t with_room_to_map_it = wanted + wanted / 64 + (4 << 20);
    return fs.f_bavail * (uint64_t)fs.f_bsize >= with_room_to_map_it ? REASON_NONE : REASON_SPACE;
}

/* Small steps for an engine that is slow here, large ones for a fast one. */
static void adapt_window(struct session *s, long ns)
{
    if (ns > LONG_CALL_NS && s->window > FIRST_WINDOW / 4)
        s->window /= 2;
    else if (ns < SHORT_CALL_NS)
        s->window *= 16;
    if (s->window > LAST_WINDOW)
        s->window = LAST_WINDOW;
}

/* Whether the descriptor has one of these status flags. */
static bool has_flag(int fd, long wanted)
{
    long flags = KERNEL(SYS_fcntl, fd, F_GETFL);
    return flags >= 0 && flags & wanted;
}

/*
 * What the engine put beyond the frontier before it failed is not ours to keep: XFS can leave part of a clone, an SMB
 * server a longer file. The caller has just seen the file as we left it.
 */
static void take_back(const struct session *s)
{
    struct file_state now;
    if (guard_look(s->pair.destination, &now) && now.size > s->frontier)
        KERNEL(SYS_ftruncate, s->pair.destination, s->frontier);
}

/* The engine says that the destination now holds the source up to `reached`. */
static enum reason accept_step(struct session *s, off_t reached)
{
    struct file_state now;
    if (!guard_stamp(s->pair.destination, s->fine_stamps, &now))
        return REASON_STAMP;
    if (now.size != reached)
        return REASON_ENGINE_FAILED;
    if (has_flag(s->pair.destination, O_SYNC | O_DSYNC) && KERNEL(SYS_fsync, s->pair.destination) < 0)
        return REASON_ENGINE_FAILED;
    PROBE_OFFLOAD(s->pair.destination, s->frontier, reached - s->frontier, s->engine->name);
    s->frontier = reached;
    return REASON_NONE;
}

/* One call of the engine. The caller has seen that both files are as they were. */
static enum reason engine_step(struct session *s, off_t end)
{
    long began = monotonic_ns();
    /* From the copy on, a change of the source shows; one shortly before it, by a store into a mapping, may not. */
    compare_forget(&s->scratch);
    int64_t copied = s->engine->copy(&s->pair, s->frontier - s->shift, s->frontier, (size_t)(end - s->frontier));
    adapt_window(s, monotonic_ns() - began);
    enum reason why = copied > 0 ? accept_step(s, s->frontier + copied) : REASON_ENGINE_FAILED;
    if (why != REASON_NONE)
        take_back(s);
    /* A failed step may have moved the times as well: from here on, this is how we left it. */
    guard_look(s->pair.destination, &s->left);
    s->untouched = true;
    return why;
}

/* Brings the frontier to `goal` or beyond. */
static enum reason reach(struct session *s, off_t goal)
{
    if (goal > source_end(s))
        return REASON_SOURCE_ENDED;
    while (s->frontier < goal) {
        off_t end = window_end(s, goal);
        enum reason why = limits_allow(s, end);
        if (why != REASON_NONE)
            return why;
        if (!guard_unchanged(s->pair.destination, &s->left))
            return REASON_DESTINATION_CHANGED;
        if (!guard_unchanged(s->pair.source, &s->source))
            return REASON_SOURCE_CHANGED;
        why = engine_step(s, end);
        if (why != REASON_NONE)
            return why;
    }
    return REASON_NONE;
}

/* ---- the mark ---- */

/* The descriptor still writes in the way that the session began with. */
static bool writes_as_before(const struct session *s)
{
    long flags = KERNEL(SYS_fcntl, s->pair.destination, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && !(flags & (O_APPEND | O_PATH)) &&
           !!(flags & O_DIRECT) == s->direct;
}

static off_t offset_of(int fd)
{
    return KERNEL(SYS_lseek, fd, 0, SEEK_CUR);
}

/* And where it thinks. `at`: the write's own offset, or -1. */
static enum reason position_holds(const struct session *s, off_t at)
{
    if (!writes_as_before(s))
        return REASON_DESTINATION_USED;
    return (at < 0 ? offset_of(s->pair.destination) : at) == s->mark ? REASON_NONE : REASON_MOVED;
}

/* With O_DIRECT the kernel refuses what is not aligned; whether it would is its word, so such a write is made. */
static bool direct_allows(const struct session *s, const struct program_write *w)
{
    uintptr_t bits = (uintptr_t)s->mark;
    for (int i = 0; s->direct && i < w->count; i++)
        bits |= (uintptr_t)w->pieces[i].iov_base | w->pieces[i].iov_len;
    return !s->direct || bits % DIRECT_BLOCK == 0;
}

/* Moves a descriptor's offset on by n, if it stood at `at`. */
static bool step_on(int fd, off_t at, size_t n)
{
    long now = KERNEL(SYS_lseek, fd, n, SEEK_CUR);
    if (now >= 0 && now != at + (off_t)n)
        KERNEL(SYS_lseek, fd, -(off_t)n, SEEK_CUR);
    return now == at + (off_t)n;
}

/* The destination holds n bytes more of what the program wrote. */
static void count_served(struct session *s, size_t n)
{
    s->mark += (off_t)n;
    s->untouched = false;
    s->tally.offloaded += n;
    s->tally.writes_elided++;
}

/* `at`: the write's own offset, or -1: the descriptor's moves on. */
static enum reason move_mark(struct session *s, size_t n, off_t at)
{
    if (at < 0 ? !step_on(s->pair.destination, s->mark, n) : at != s->mark)
        return REASON_MOVED;
    count_served(s, n);
    return REASON_NONE;
}

/* Is what the program writes at the mark what the source holds there? */
static enum reason holds_source(struct session *s, const struct program_write *w)
{
    return compare_pieces(w, w->n, s->pair.source, s->mark - s->shift, &s->scratch);
}

/* What a write must be, wherever the frontier is. */
static enum reason may_be_dropped(struct session *s, const struct program_write *w)
{
    if (s->mark + (off_t)w->n > source_end(s))
        return REASON_SOURCE_ENDED;
    if (!direct_allows(s, w))
        return REASON_UNALIGNED;
    return holds_source(s, w);
}

/* The frontier runs ahead. */
static enum reason write_at_mark(struct session *s, const struct program_write *w)
{
    off_t goal = s->mark + (off_t)w->n;
    enum reason why = goal > s->frontier ? position_holds(s, w->at) : REASON_NONE;
    /* Compared before anything more is cloned: a program that changes the bytes costs no clone. */
    if (why == REASON_NONE)
        why = may_be_dropped(s, w);
    /* And again afterwards: what was cloned may be younger than what was compared. */
    if (why == REASON_NONE && goal > s->frontier) {
        why = reach(s, goal);
        why = why == REASON_NONE ? holds_source(s, w) : why;
    }
    /* Asked last, so that it holds for all that was read and compared before. */
    if (why == REASON_NONE && !guard_unchanged(s->pair.source, &s->source))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE && !guard_unchanged(s->pair.destination, &s->left))
        why = REASON_DESTINATION_CHANGED;
    return why == REASON_NONE ? move_mark(s, w->n, w->at) : why;
}

/* ---- nothing ahead: each write is cloned by itself ---- */

/*
 * Others may write through the same open file description. The kernel gives each write its own part of the file by
 * moving the offset under a lock (f_pos_lock, since Linux 3.14); so does this: the part is taken first, then filled.
 */
static bool take_part(const struct session *s, size_t n, off_t at)
{
    return at >= 0 || step_on(s->pair.destination, s->mark, n);
}

/* Gives the part back, if nobody has gone on from its end. */
static bool give_part_back(const struct session *s, size_t n, off_t at)
{
    return at >= 0 || step_on(s->pair.destination, s->mark + (off_t)n, (size_t)-n);
}

/* The engine puts n bytes at the mark. Whole blocks, but for the last of both files. */
static enum reason clone_part(struct session *s, size_t n)
{
    off_t end = s->mark + (off_t)n;
    off_t granule = (off_t)s->engine->granule(&s->pair);
    if (((n < EXACT_LEAST || end % granule) && end != source_end(s)) || n > LAST_WINDOW)
        return s->exact;
    if (s->mark % granule)
        return REASON_UNALIGNED;
    enum reason why = limits_allow(s, end);
    if (why != REASON_NONE)
        return why;
    if (!guard_unchanged(s->pair.source, &s->source))
        return REASON_SOURCE_CHANGED;
    compare_forget(&s->scratch);
    if (s->engine->copy(&s->pair, s->mark - s->shift, s->mark, n) != (int64_t)n)
        return REASON_ENGINE_FAILED;
    if (has_flag(s->pair.destination, O_SYNC | O_DSYNC) && KERNEL(SYS_fsync, s->pair.destination) < 0)
        return REASON_ENGINE_FAILED;
    PROBE_OFFLOAD(s->pair.destination, s->mark, n, s->engine->name);
    return REASON_NONE;
}

/* Writes into a part that could not be given back. */
static bool write_part(const struct session *s, const struct program_write *w)
{
    return KERNEL(SYS_pwritev, s->pair.destination, w->pieces, w->count, s->mark, 0) == (long)w->n;
}

/* A write that is not served is made by the program's call, which puts its own bytes over whatever was cloned. */
static bool write_exactly(struct session *s, const struct program_write *w)
{
    s->mark = w->at < 0 ? offset_of(s->pair.destination) : w->at;
    s->frontier = s->mark;
    enum reason why = writes_as_before(s) ? may_be_dropped(s, w) : REASON_DESTINATION_USED;
    bool taken = why == REASON_NONE && take_part(s, w->n, w->at);
    if (why == REASON_NONE)
        why = taken ? clone_part(s, w->n) : REASON_MOVED;
    if (why == REASON_NONE)
        why = holds_source(s, w);
    if (why == REASON_NONE && !guard_unchanged(s->pair.source, &s->source))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE) {
        count_served(s, w->n);
        return true;
    }
    bool made = taken && !give_part_back(s, w->n, w->at) && write_part(s, w);
    if (made)
        s->tally.written += w->n;
    session_settle(s, why);
    return made;
}

/* As many of n bytes as can be cloned at once: whole blocks, or up to the source's end. */
static size_t part_of(const struct session *s, size_t n)
{
    size_t granule = s->engine->granule(&s->pair);
    if ((off_t)n >= source_end(s) - s->mark)
        n = s->mark < source_end(s) ? (size_t)(source_end(s) - s->mark) : 0;
    else
        n -= n % granule;
    return n < LAST_WINDOW ? n : LAST_WINDOW;
}

/* Has the kernel copy into a part that could not be given back. */
static bool fill_part(const struct session *s, off_t from, size_t n)
{
    off_t to = s->mark;
    return KERNEL(SYS_copy_file_range, s->pair.source, &from, s->pair.destination, &to, n, 0) == (long)n;
}

static size_t copy_exactly(struct session *s, off_t from, size_t n)
{
    s->mark = s->frontier = offset_of(s->pair.destination);
    enum reason why = writes_as_before(s) && !s->direct ? REASON_NONE : REASON_DESTINATION_USED;
    if (why == REASON_NONE && from + s->shift != s->mark)
        why = REASON_MOVED;
    n = part_of(s, n);
    if (why == REASON_NONE && n == 0)
        why = REASON_SOURCE_ENDED;
    if (why == REASON_NONE && !take_part(s, n, -1))
        why = REASON_MOVED;
    if (why == REASON_NONE) {
        why = clone_part(s, n);
        if (why == REASON_NONE && !guard_unchanged(s->pair.source, &s->source))
            why = REASON_SOURCE_CHANGED;
        if (why != REASON_NONE && !give_part_back(s, n, -1) && fill_part(s, from, n))
            why = REASON_NONE;
    }
    if (why == REASON_NONE)
        count_served(s, n);
    else
        session_settle(s, why);
    return why == REASON_NONE ? n : 0;
}

bool session_write(struct session *s, const struct program_write *w)
{
    if (s->exact != REASON_NONE)
        return write_exactly(s, w);
    enum reason why = write_at_mark(s, w);
    if (why != REASON_NONE)
        session_settle(s, why);
    return why == REASON_NONE;
}

/* A signal that the program does not block has come: a copy in the kernel would end early and say how far it got. */
static bool signal_waits(const struct session *s)
{
    uint64_t pending = 0;
    KERNEL(SYS_rt_sigpending, &pending, sizeof pending);
    return pending & ~s->blocked;
}

/* As reach(), in single steps, until a signal waits. */
static enum reason reach_by_steps(struct session *s, off_t goal)
{
    enum reason why = REASON_NONE;
    while (why == REASON_NONE && s->frontier < goal && !signal_waits(s)) {
        off_t step = s->frontier + (off_t)s->window;
        why = reach(s, step < goal ? step : goal);
    }
    return why;
}

size_t session_copy(struct session *s, off_t from, size_t n)
{
    if (s->exact != REASON_NONE)
        return copy_exactly(s, from, n);
    enum reason why = position_holds(s, -1);
    if (why == REASON_NONE && from + s->shift != s->mark)
        why = REASON_MOVED;
    /* With O_DIRECT on either side the kernel refuses a part that is not aligned. */
    if (why == REASON_NONE && (s->direct || has_flag(s->pair.source, O_DIRECT)))
        why = REASON_UNALIGNED;
    if ((off_t)n > source_end(s) - s->mark)
        n = (size_t)(source_end(s) - s->mark);
    if (why == REASON_NONE)
        why = reach_by_steps(s, s->mark + (off_t)n);
    if ((off_t)n > s->frontier - s->mark)
        n = (size_t)(s->frontier - s->mark);
    if (why == REASON_NONE && !guard_unchanged(s->pair.source, &s->source))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE && !guard_unchanged(s->pair.destination, &s->left))
        why = REASON_DESTINATION_CHANGED;
    if (why == REASON_NONE && n)
        why = move_mark(s, n, -1);
    if (why != REASON_NONE) {
        session_settle(s, why);
        return 0;
    }
    return n;
}

/* ---- the end ---- */

static void cut_back(struct session *s)
{
    if (s->frontier > s->mark) {
        KERNEL(SYS_ftruncate, s->pair.destination, s->mark);
        s->hold = s->tally.written + (FIRST_HOLD << (s->cuts < 20 ? s->cuts : 20));
        s->cuts++;
    } else if (!s->untouched) {
        guard_touch(s->pair.destination, s->mark);
    }
}

bool session_is_whole(const struct session *s)
{
    return s->tally.offloaded && !s->tally.written &&
           (s->mark == source_end(s) || (s->exact != REASON_NONE && s->tally.offloaded == (uint64_t)s->source.size));
}

void session_settle(struct session *s, enum reason why)
{
    if (!s->running)
        return;
    if (s->exact == REASON_NONE && guard_unchanged(s->pair.destination, &s->left))
        cut_back(s);
    else if (s->exact == REASON_NONE)
        why = REASON_DESTINATION_CHANGED;
    if (why == REASON_UNFINISHED && session_is_whole(s))
        why = REASON_NONE;
    PROBE_SETTLE(s->pair.destination, reason_name(why));
    s->tally.reason = why;
    session_drop_proof(s);
    __atomic_store_n(&s->running, 0, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&sessions_running, 1, __ATOMIC_SEQ_CST);
}
