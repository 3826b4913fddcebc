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
    if (c->destination_state.size != c->to)
        return REASON_OVERWRITES;
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
        .compares = c->buffer != NULL,
    };
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

enum reason session_prove(struct session *s, const struct candidate *c)
{
    if (!c->buffer)
        return REASON_NONE;
    if (!take_scratch(s))
        return REASON_NO_MEMORY;
    /* Enough to recognise a copy by; session_write() compares every byte. */
    size_t n = c->n < COMPARE_SCRATCH ? c->n : COMPARE_SCRATCH;
    enum reason why = compare_buffer(c->buffer, n, c->source, c->from, &s->scratch);
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
    if (!s->engine->freezes_source && end > goal)
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

/* With O_DIRECT the kernel refuses what is not aligned; whether it would is its word, so such a write is made. */
static bool direct_allows(const struct session *s, const void *buffer, size_t n)
{
    return !s->direct || ((uintptr_t)buffer | n | (uintptr_t)s->mark) % DIRECT_BLOCK == 0;
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
static enum reason move_mark(struct session *s, size_t n)
{
    if (!step_on(s->pair.destination, s->mark, n))
        return REASON_MOVED;
    s->mark += (off_t)n;
    s->untouched = false;
    s->tally.offloaded += n;
    s->tally.writes_elided++;
    return REASON_NONE;
}

static enum reason compare_part(struct session *s, const char *part, size_t n, off_t at)
{
    return n ? compare_exactly(part, n, s->pair.source, at - s->shift, &s->scratch) : REASON_NONE;
}

/* Is what the program writes at the mark what the source holds there? */
static enum reason holds_source(struct session *s, const char *buffer, size_t n)
{
    const char *first, *last;
    off_t from = s->mark - s->shift;
    if (!s->lazy.on || !lazy_untouched(&s->lazy, buffer, n, from, &first, &last))
        return compare_buffer(buffer, n, s->pair.source, from, &s->scratch);
    enum reason why = compare_part(s, buffer, (size_t)(first - buffer), s->mark);
    if (why == REASON_NONE)
        why = compare_part(s, last, (size_t)(buffer + n - last), s->mark + (last - buffer));
    return why;
}

bool session_write(struct session *s, const void *buffer, size_t n)
{
    off_t goal = s->mark + (off_t)n;
    enum reason why = goal > s->frontier ? position_holds(s) : REASON_NONE;
    if (why == REASON_NONE && goal > source_end(s))
        why = REASON_SOURCE_ENDED;
    if (why == REASON_NONE && !direct_allows(s, buffer, n))
        why = REASON_UNALIGNED;
    /* Compared before anything more is cloned: a program that changes the bytes costs no clone. */
    if (why == REASON_NONE)
        why = holds_source(s, buffer, n);
    /* And again afterwards: what was cloned may be younger than what was compared. */
    if (why == REASON_NONE && goal > s->frontier) {
        why = reach(s, goal);
        why = why == REASON_NONE ? holds_source(s, buffer, n) : why;
    }
    /* Asked last, so that it holds for all that was read and compared before. */
    if (why == REASON_NONE && !guard_unchanged(s->pair.source, &s->source))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE && !guard_unchanged(s->pair.destination, &s->left))
        why = REASON_DESTINATION_CHANGED;
    if (why == REASON_NONE)
        why = move_mark(s, n);
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
    enum reason why = position_holds(s);
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
        why = move_mark(s, n);
    if (why != REASON_NONE) {
        session_settle(s, why);
        return 0;
    }
    return n;
}

/* ---- lazy reads ---- */

static bool may_be_lazy(struct session *s)
{
    if (s->lazy.on || s->lazy.refused != REASON_NONE)
        return s->lazy.on;
    if (!s->engine->freezes_source || s->direct || has_flag(s->pair.source, O_DIRECT))
        s->lazy.refused = REASON_LAZY_UNFIT;
    else
        lazy_begin(&s->lazy, s->pair.source, s->pair.destination, &s->source);
    return s->lazy.on;
}

/* Whether read(2) would read from the descriptor as it did when the copy began: no hook sees how a number is reused. */
static bool still_reads(const struct session *s)
{
    long flags = KERNEL(SYS_fcntl, s->pair.source, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && !(flags & (O_DIRECT | O_PATH));
}

/* How much of n bytes the source has from there on. */
static size_t left_from(const struct session *s, off_t from, size_t n)
{
    off_t left = from < s->source.size ? s->source.size - from : 0;
    return (off_t)n < left ? n : (size_t)left;
}

/* Moves the source's descriptor on by what a read of n bytes would give: *from is where it stood. 0: it does not move. */
static size_t step_source(const struct session *s, size_t n, off_t *from)
{
    int fd = s->pair.source;
    *from = s->read_at;
    size_t there = left_from(s, *from, n);
    if (there && step_on(fd, *from, there))
        return there;
    *from = KERNEL(SYS_lseek, fd, 0, SEEK_CUR);
    there = *from < 0 ? 0 : left_from(s, *from, n);
    return there && step_on(fd, *from, there) ? there : 0;
}

size_t session_read(struct session *s, void *buffer, size_t n)
{
    off_t from;
    if ((!s->lazy.on && s->lazy.refused != REASON_NONE) || !lazy_pays(buffer, n))
        return 0;
    size_t there = step_source(s, n, &from);
    bool lazily = there && lazy_pays(buffer, there) && from + s->shift >= s->mark && may_be_lazy(s);
    lazily = lazily && lazy_read(&s->lazy, buffer, there, s->pair.source, from);
    /* Asked last: what the read would give now is what the snapshot has, and what the parts were read from. */
    if (lazily && !(still_reads(s) && guard_unchanged(s->pair.source, &s->source))) {
        lazily = false;
        session_settle(s, REASON_SOURCE_CHANGED);
    }
    if (!lazily) {
        if (there)
            KERNEL(SYS_lseek, s->pair.source, from, SEEK_SET);
        return 0;
    }
    s->read_at = from + (off_t)there;
    s->tally.reads_elided++;
    return there;
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

void session_settle(struct session *s, enum reason why)
{
    if (!s->running)
        return;
    lazy_end(&s->lazy, REASON_NONE);
    if (guard_unchanged(s->pair.destination, &s->left))
        cut_back(s);
    else
        why = REASON_DESTINATION_CHANGED;
    PROBE_SETTLE(s->pair.destination, reason_name(why));
    s->tally.reason = why;
    session_drop_proof(s);
    __atomic_store_n(&s->running, 0, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&sessions_running, 1, __ATOMIC_SEQ_CST);
}
