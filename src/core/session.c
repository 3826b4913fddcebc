#include "session.h"

#include "../buffers/compare.h"
#include "holes.h"
#include "probes.h"
#include "settings.h"
#include "sharing.h"
#include "signals.h"
#include "syscalls.h"
#include "unseen.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

/* glibc 2.41 and Btrfs, NFS and SMB clients have erred with longer calls; a multiple of any block. */
#define LAST_WINDOW ((size_t)1 << 30)
/* An engine's call should end within half a second, so that signals and progress keep their meaning. */
#define LONG_CALL_NS 500000000L
#define SHORT_CALL_NS 15000000L
/* Bytes that the program must write itself after the first cut before the session begins again; doubled by each cut. */
#define FIRST_HOLD ((uint64_t)256 << 10)
/* What lies in smaller pieces is not copied ahead of a stream: each would be a call of the engine's, and two looks at maps. */
#define SMALLEST_STRETCH ((off_t)64 << 10)
/* O_DIRECT asks for alignment to the device's logical block; none is larger than this. */
#define DIRECT_BLOCK 4096

unsigned sessions_running, sessions_remote;

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

long session_clock(void)
{
    struct timespec now;
    KERNEL(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static off_t source_end(const struct session *s)
{
    return s->source.size + s->shift;
}

/* Looks at one of the session's files, as its engine needs it. */
static bool look(const struct session *s, int fd, struct file_state *state)
{
    return s->engine->remote ? guard_look_at_server(fd, state) : guard_look(fd, state);
}

static bool unchanged(const struct session *s, int fd, const struct file_state *was)
{
    struct file_state is;
    return look(s, fd, &is) && guard_same_state(&is, was);
}

/* Whether the engine knows nothing better of the source than what we have just seen. */
static bool confirmed(const struct session *s, const struct file_state *source)
{
    return !s->engine->confirms || s->engine->confirms(&s->pair, source);
}

bool session_source_unchanged(const struct session *s)
{
    return unchanged(s, s->pair.source, &s->source) && confirmed(s, &s->source);
}

static bool destination_unchanged(const struct session *s)
{
    return unchanged(s, s->pair.destination, &s->left);
}

/* Whether the descriptor has one of these status flags. */
static bool has_flag(int fd, long wanted)
{
    long flags = KERNEL(SYS_fcntl, fd, F_GETFL);
    return flags >= 0 && flags & wanted;
}

bool session_writes_with(const struct session *s, long flags)
{
    return has_flag(s->pair.destination, flags);
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
    if (c->exact == REASON_NONE && c->destination_state.size != c->to)
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
    s->pair.smb_alone = settings.smb_alone;
    enum reason why;
    s->engine = engine_choose(&s->pair, settings.engines, &why);
    return s->engine ? REASON_NONE : why;
}

static enum reason alignment_fits(const struct candidate *c, const struct session *s)
{
    off_t granule = (off_t)s->engine->granule(&s->pair);
    if (granule <= 0 || s->shift % granule)
        return REASON_SHIFTED;
    return c->exact == REASON_NONE && c->to % granule ? REASON_UNALIGNED : REASON_NONE;
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
        .raw_source = c->source_state.raw,
        .raw_destination = c->destination_state.raw,
        .compares = c->write != NULL,
    };
}

/*
 * As guard_would_show(), for files on a server, by whose clock they are stamped: the destination's last change tells
 * what that clock has shown already.
 */
static enum reason server_shows(struct session *s, const struct candidate *c)
{
    struct file_state source, destination;
    signals_let_end(c->blocked);
    if (!look(s, s->pair.source, &source) || !look(s, s->pair.destination, &destination))
        return REASON_SERVER_FAILED;
    if (source.size != s->source.size || !confirmed(s, &source))
        return REASON_SOURCE_CHANGED;
    if (destination.size != s->left.size)
        return REASON_DESTINATION_CHANGED;
    s->source = source;
    s->left = destination;
    return guard_would_show_at(&s->source, false, s->left.changed) ? REASON_NONE : REASON_NEWER;
}

/* A clone puts the source's blocks in the place of those that the program has allocated, and may need later. */
static bool takes_promised_space(const struct session *s)
{
    return !s->engine->remote && !s->engine->in_place &&
           holes_are_promised(s->pair.destination, s->pair.destination_fs, s->left.size, source_end(s));
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
    if (why == REASON_NONE && c->exact == REASON_NONE && takes_promised_space(s))
        why = REASON_OVERWRITES;
    if (why != REASON_NONE)
        return why;
    s->fine_stamps = guard_fine_stamps(s->pair.kernel, s->pair.source_fs) &&
                     guard_fine_stamps(s->pair.kernel, s->pair.destination_fs);
    /* To ask a server for each write by itself takes longer than to send it. */
    if (s->engine->remote)
        return c->exact == REASON_NONE ? server_shows(s, c) : c->exact;
    /* What the kernel is asked for is what the source holds then, and nothing is ahead of it. */
    if (c->exact != REASON_NONE && !c->write)
        return REASON_NONE;
    return guard_would_show(&s->source, s->fine_stamps) ? REASON_NONE : REASON_YOUNG;
}

void session_drop_proof(struct session *s)
{
    compare_drop(&s->scratch);
    s->exact = false;
}

enum reason session_prove(struct session *s, const struct candidate *c)
{
    if (!c->write)
        return REASON_NONE;
    if (!compare_take(&s->scratch, s->engine && !s->engine->freezes_source ? s->engine->first_step : 0))
        return REASON_NO_MEMORY;
    compare_expect(&s->scratch, c->source_state.size - c->from);
    /* Enough to recognise a copy by; session_write() compares every byte. */
    size_t n = c->n < s->scratch.step ? c->n : s->scratch.step;
    enum reason why = compare_pieces(c->write->pieces, 0, n, c->source, c->from, &s->scratch, false);
    if (why != REASON_NONE)
        session_drop_proof(s);
    return why;
}

void session_run(struct session *s)
{
    __atomic_store_n(&s->running, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&sessions_running, 1, __ATOMIC_SEQ_CST);
    if (s->engine->remote)
        __atomic_add_fetch(&sessions_remote, 1, __ATOMIC_SEQ_CST);
}

void session_stop(struct session *s)
{
    __atomic_store_n(&s->asked, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&s->running, 0, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&sessions_running, 1, __ATOMIC_SEQ_CST);
    if (s->engine->remote)
        __atomic_sub_fetch(&sessions_remote, 1, __ATOMIC_SEQ_CST);
}

void session_start(struct session *s, const struct candidate *c)
{
    s->mark = s->frontier = c->to;
    s->window = s->engine->first_step;
    s->untouched = true;
    s->stream = unseen_holds(&streamed, c->destination);
    s->standard = c->destination <= STDERR_FILENO && s->engine->freezes_source;
    s->put.n = 0;
    s->tally.engine = s->engine->name;
    PROBE_RECOGNISE(c->source, c->destination);
    session_run(s);
}

/* ---- the frontier ---- */

/* Cut to whole granules, unless that is nothing or it reaches the source's end. */
static off_t whole_granules(const struct session *s, off_t end)
{
    end -= end % (off_t)s->engine->granule(&s->pair);
    return end >= source_end(s) || end <= s->frontier ? source_end(s) : end;
}

enum reason session_limits(const struct session *s, off_t end, uint64_t bytes)
{
    struct rlimit limit;
    if (s->pair.raw_destination)
        return end <= s->left.size ? REASON_NONE : REASON_SPACE;
    if (KERNEL(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) < 0 || (rlim_t)end > limit.rlim_cur)
        return REASON_LIMITED;
    struct statfs fs;
    if (KERNEL(SYS_fstatfs, s->pair.destination, &fs) < 0)
        return REASON_SPACE;
    uint64_t with_room_to_map_it = bytes + bytes / 64 + (4 << 20);
    return fs.f_bavail * (uint64_t)fs.f_bsize >= with_room_to_map_it ? REASON_NONE : REASON_SPACE;
}

void session_adapt(struct session *s, long ns)
{
    if (ns > LONG_CALL_NS && s->window > s->engine->first_step / 4)
        s->window /= 2;
    else if (ns < SHORT_CALL_NS)
        s->window *= 16;
    else if (ns < LONG_CALL_NS / 2)
        s->window *= 2;
    size_t longest = s->engine->longest_step ? s->engine->longest_step(&s->pair) : LAST_WINDOW;
    if (longest > LAST_WINDOW)
        longest = LAST_WINDOW;
    if (s->window > longest)
        s->window = longest;
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

/*
 * After a look that failed: a server that cannot be asked has not said that the destination is not as we left it. Then
 * it is enough that the descriptor still means this file.
 */
static bool is_out_of_reach(const struct session *s)
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
    bool known = look(s, s->pair.destination, &now);
    if (known && now.size > end)
        return false;
    if (known ? now.size > s->frontier : is_out_of_reach(s))
        KERNEL(SYS_ftruncate, s->pair.destination, s->frontier);
    return true;
}

/*
 * A stream may write to the file unseen (cut_behind_unseen_change()). That what lies behind such a write is ours can be
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
    return *end - s->frontier >= SMALLEST_STRETCH || *end == source_end(s) ? REASON_NONE : REASON_STREAMED;
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

/* Whether the destination has from there on, up to the frontier, the blocks that the last step has put there. */
static bool has_what_was_put(const struct session *s, off_t from)
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
    if (!look(s, s->pair.destination, &now))
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
    return REASON_NONE;
}

enum reason session_engine_failure(const struct session *s)
{
    return s->pair.why == REASON_NONE ? s->engine->failure : s->pair.why;
}

/* One call of the engine. `holds`: the scratch holds what is to be copied, and must hold what was. */
static enum reason engine_step(struct session *s, off_t end, bool holds)
{
    long began = session_clock();
    int64_t copied = s->engine->copy(&s->pair, s->frontier - s->shift, s->frontier, (size_t)(end - s->frontier));
    /* What took that time may be less than the window. */
    if (copied > 0 && (holds || copied < end - s->frontier) && s->window > (size_t)copied)
        s->window = (size_t)copied;
    session_adapt(s, session_clock() - began);
    enum reason why = copied > 0 ? REASON_NONE : session_engine_failure(s);
    if (why == REASON_NONE && holds && !compare_holds_still(&s->scratch, s->pair.source, (size_t)copied))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE && holds && !session_source_unchanged(s))
        why = REASON_SOURCE_CHANGED;
    if (why == REASON_NONE)
        why = accept_step(s, s->frontier + copied, holds || s->engine->freezes_source);
    if (why != REASON_NONE && !take_back(s, end))
        return REASON_DESTINATION_CHANGED;
    /* A failed step may have moved the times as well: from here on, this is how we left it. */
    look(s, s->pair.destination, &s->left);
    s->untouched = true;
    return why;
}

/*
 * REASON_NONE if the destination is as we left it. If another machine has changed it, which this one has not known of
 * until now, what the program has written since the last step is written after that: as the pages of a plain copy would
 * be.
 */
static enum reason look_at_destination(const struct session *s)
{
    bool as_known_here = s->engine->remote && guard_unchanged(s->pair.destination, &s->left);
    struct file_state is;
    if (!look(s, s->pair.destination, &is))
        return s->engine->remote ? s->engine->failure : REASON_DESTINATION_CHANGED;
    if (guard_same_state(&is, &s->left))
        return REASON_NONE;
    if (as_known_here)
        write_what_is_held(s);
    return REASON_DESTINATION_CHANGED;
}

/* What must hold before each step up to `end`. */
static enum reason may_step(const struct session *s, off_t end)
{
    enum reason why = session_limits(s, end, (uint64_t)(source_end(s) - s->mark));
    if (why == REASON_NONE)
        why = look_at_destination(s);
    if (why == REASON_NONE && !session_source_unchanged(s))
        why = REASON_SOURCE_CHANGED;
    return why;
}

/* One call of the engine on the way to `goal` or, if it freezes the source, beyond. */
static enum reason advance(struct session *s, off_t goal)
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

/* Brings the frontier to `goal` or, if the engine freezes the source, beyond. */
static enum reason reach(struct session *s, off_t goal)
{
    enum reason why = goal > source_end(s) ? REASON_SOURCE_ENDED : REASON_NONE;
    while (why == REASON_NONE && s->frontier < goal)
        why = advance(s, goal);
    return why;
}

/* The most that is held of the source, for an engine that does not freeze it. */
#define MOST_HELD ((size_t)4 << 20)

/* Sees to room for what the next step is to copy, and returns what there is. Little address space is left alone. */
static size_t room_to_hold(struct session *s, size_t wanted)
{
    struct rlimit limit;
    if (wanted > s->scratch.room && KERNEL(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) == 0 &&
        limit.rlim_cur == RLIM_INFINITY)
        compare_take(&s->scratch, wanted);
    return wanted < s->scratch.room ? wanted : s->scratch.room;
}

/*
 * Brings the frontier one step on with an engine that does not freeze the source, ahead of the program. What the source
 * holds is read before the copy and once more after it: so it is what the destination holds, whatever comes of the
 * source later.
 */
static enum reason step_ahead(struct session *s)
{
    off_t left = source_end(s) - s->frontier;
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

bool session_direct_allows(const struct session *s, const struct program_write *w, off_t at)
{
    uintptr_t bits = (uintptr_t)at;
    for (int i = 0; s->direct && i < w->count; i++)
        bits |= (uintptr_t)w->pieces[i].iov_base | w->pieces[i].iov_len;
    return !s->direct || bits % DIRECT_BLOCK == 0;
}

bool session_step_on(int fd, off_t at, size_t n)
{
    long now = KERNEL(SYS_lseek, fd, n, SEEK_CUR);
    if (now >= 0 && now != at + (off_t)n)
        KERNEL(SYS_lseek, fd, -(off_t)n, SEEK_CUR);
    return now == at + (off_t)n;
}

/* The destination holds n bytes more of what the program wrote. */
static enum reason move_mark(struct session *s, size_t n)
{
    if (!session_step_on(s->pair.destination, s->mark, n))
        return REASON_MOVED;
    s->mark += (off_t)n;
    s->untouched = false;
    s->tally.offloaded += n;
    s->tally.writes_elided++;
    return REASON_NONE;
}

/* Is what the program writes at the mark what the source holds there? */
static enum reason holds_source(struct session *s, const struct program_write *w)
{
    return compare_pieces(w->pieces, 0, w->n, s->pair.source, s->mark - s->shift, &s->scratch, false);
}

static enum reason still_as_they_were(const struct session *s)
{
    if (!session_source_unchanged(s))
        return REASON_SOURCE_CHANGED;
    return destination_unchanged(s) ? REASON_NONE : REASON_DESTINATION_CHANGED;
}

/* The write is proven against a source that the engine freezes. */
static enum reason prove_frozen(struct session *s, const struct program_write *w)
{
    off_t goal = s->mark + (off_t)w->n;
    /* Compared before anything more is cloned: a program that changes the bytes costs no clone. */
    enum reason why = holds_source(s, w);
    /* And again afterwards: what was cloned may be younger than what was compared. */
    if (why == REASON_NONE && goal > s->frontier) {
        why = reach(s, goal);
        why = why == REASON_NONE ? holds_source(s, w) : why;
    }
    /* Asked last, so that it holds for all that was read and compared before. */
    return why == REASON_NONE ? still_as_they_were(s) : why;
}

/* The write is proven against what was held of the source when it was copied. */
static enum reason prove_held(struct session *s, const struct program_write *w)
{
    enum reason why = REASON_NONE;
    off_t at = s->mark, goal = s->mark + (off_t)w->n;
    while (why == REASON_NONE && at < goal) {
        if (at >= s->frontier)
            why = step_ahead(s);
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

/*
 * The program has moved on from the mark, over bytes that it does not write. They must read as zeros then, and take no
 * space, as where plain calls have sought over them: in a copy of a file with holes they mostly do already.
 */
static bool sought_over(struct session *s)
{
    off_t at = KERNEL(SYS_lseek, s->pair.destination, 0, SEEK_CUR);
    if (at <= s->mark || at > source_end(s) || !s->engine->freezes_source)
        return false;
    if (reach(s, at) != REASON_NONE || look_at_destination(s) != REASON_NONE)
        return false;
    if (holes_has_blocks(s->pair.destination, s->mark, at)) {
        bool made = holes_make(s->pair.destination, s->mark, at) && guard_stamp(s->pair.destination, s->fine_stamps);
        look(s, s->pair.destination, &s->left);
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
    if (why == REASON_NONE && goal > source_end(s))
        why = REASON_SOURCE_ENDED;
    if (why == REASON_NONE && !session_direct_allows(s, w, s->mark))
        why = REASON_UNALIGNED;
    if (why == REASON_NONE)
        why = s->engine->freezes_source ? prove_frozen(s, w) : prove_held(s, w);
    return why == REASON_NONE ? move_mark(s, w->n) : why;
}

bool session_write(struct session *s, const struct program_write *w)
{
    off_t mark = s->mark;
    enum reason why = write_at_mark(s, w);
    if ((why == REASON_MOVED || why == REASON_CHANGED_BYTES || why == REASON_SOURCE_ENDED) && sought_over(s))
        why = write_at_mark(s, w);
    if (why != REASON_NONE) {
        /* What was sought over is not the file's as long as nothing is written behind it. */
        s->mark = mark;
        session_settle(s, why);
    }
    return why == REASON_NONE;
}

bool session_signal_waits(const struct session *s)
{
    uint64_t pending = 0;
    KERNEL(SYS_rt_sigpending, &pending, sizeof pending);
    return pending & ~s->blocked;
}

/* As reach(), until a signal waits, or another thread that wants the session settled. */
static enum reason reach_by_steps(struct session *s, off_t goal)
{
    enum reason why = goal > source_end(s) ? REASON_SOURCE_ENDED : REASON_NONE;
    while (why == REASON_NONE && s->frontier < goal && !session_signal_waits(s) &&
           !__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST))
        why = advance(s, goal);
    return why;
}

size_t session_copy(struct session *s, off_t from, size_t n)
{
    enum reason why = position_holds(s);
    if (why == REASON_NONE && from + s->shift != s->mark)
        why = REASON_MOVED;
    /* The kernel copies what the source holds now, not what it held when we went ahead for a write. */
    if (why == REASON_NONE && !s->engine->freezes_source && s->frontier > s->mark)
        why = REASON_DESTINATION_USED;
    if (why == REASON_NONE && s->engine->remote && n < SMALLEST_ASKED && (off_t)n < source_end(s) - s->mark)
        why = REASON_SLOWER;
    /* With O_DIRECT on either side the kernel refuses a part that is not aligned. */
    if (why == REASON_NONE && (s->direct || has_flag(s->pair.source, O_DIRECT)))
        why = REASON_UNALIGNED;
    if ((off_t)n > source_end(s) - s->mark)
        n = (size_t)(source_end(s) - s->mark);
    if (why == REASON_NONE)
        why = reach_by_steps(s, s->mark + (off_t)n);
    if ((off_t)n > s->frontier - s->mark)
        n = (size_t)(s->frontier - s->mark);
    if (why == REASON_NONE)
        why = still_as_they_were(s);
    if (why == REASON_NONE && n)
        why = move_mark(s, n);
    /* Copied just now, not some time ago: the file has the time of it. */
    if (!s->engine->freezes_source)
        s->untouched = true;
    if (why != REASON_NONE) {
        session_settle(s, why);
        return 0;
    }
    return n;
}

/* ---- the end ---- */

/* What is ahead of the program is taken back, from there on, and the next time is put off, ever longer. */
static void cut_at(struct session *s, off_t end)
{
    KERNEL(SYS_ftruncate, s->pair.destination, end);
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
    if (has_what_was_put(s, first) ||
        sharing_all(s->pair.source, first - s->shift, destination, first, s->frontier - first))
        cut_at(s, at);
}

void session_settle(struct session *s, enum reason why)
{
    if (!s->running)
        return;
    enum reason trouble = look_at_destination(s);
    if (trouble == REASON_NONE || (trouble != REASON_DESTINATION_CHANGED && is_out_of_reach(s)))
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
