#include "session.h"

#include "holes.h"
#include "probes.h"
#include "settings.h"
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
/* O_DIRECT asks for alignment to the device's logical block; none is larger than this. */
#define DIRECT_BLOCK 4096

unsigned sessions_running, sessions_remote, sessions_streamed;

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

bool session_look(const struct session *s, int fd, struct file_state *state)
{
    return s->engine->remote ? guard_look_at_server(fd, state) : guard_look(fd, state);
}

static bool unchanged(const struct session *s, int fd, const struct file_state *was)
{
    struct file_state is;
    return session_look(s, fd, &is) && guard_same_state(&is, was);
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

bool session_destination_unchanged(const struct session *s)
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

bool session_reads_with(const struct session *s, long flags)
{
    return has_flag(s->pair.source, flags);
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
    if (!session_look(s, s->pair.source, &source) || !session_look(s, s->pair.destination, &destination))
        return REASON_SERVER_FAILED;
    if (source.size != s->source.size || !confirmed(s, &source))
        return REASON_SOURCE_CHANGED;
    if (destination.size != s->left.size)
        return REASON_DESTINATION_CHANGED;
    s->source = source;
    s->left = destination;
    return guard_would_show_at(&s->source, false, s->left.changed) ? REASON_NONE : REASON_NEWER;
}

/*
 * A clone puts the source's blocks in the place of those that the program has allocated, and may need later; and who cuts the file
 * gives back all that lie behind the cut, however far (ftruncate(2)).
 */
static bool takes_promised_space(const struct session *s)
{
    return !s->engine->remote &&
           holes_are_promised(s->pair.destination, s->pair.destination_fs, s->left.size, INT64_MAX);
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
    /* Enough to recognise a copy by; mark_write() compares every byte. */
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
    if (s->stream || s->standard)
        __atomic_add_fetch(&sessions_streamed, 1, __ATOMIC_SEQ_CST);
}

void session_stop(struct session *s)
{
    __atomic_store_n(&s->asked, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&s->running, 0, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&sessions_running, 1, __ATOMIC_SEQ_CST);
    if (s->engine->remote)
        __atomic_sub_fetch(&sessions_remote, 1, __ATOMIC_SEQ_CST);
    if (s->stream || s->standard)
        __atomic_sub_fetch(&sessions_streamed, 1, __ATOMIC_SEQ_CST);
}

void session_start(struct session *s, const struct candidate *c)
{
    s->mark = s->frontier = c->to;
    s->window = s->engine->first_step;
    s->untouched = true;
    s->cuttable = false;
    s->stream = unseen_holds(&streamed, c->destination);
    s->standard = c->destination <= STDERR_FILENO && s->engine->freezes_source;
    s->put.n = 0;
    s->tally.engine = s->engine->name;
    PROBE_RECOGNISE(c->source, c->destination);
    session_run(s);
}

/* ---- what a step may do, and how long it is ---- */

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

bool session_direct_allows(const struct session *s, const struct program_write *w, off_t at)
{
    uintptr_t bits = (uintptr_t)at;
    for (int i = 0; s->direct && i < w->count; i++)
        bits |= (uintptr_t)w->pieces[i].iov_base | w->pieces[i].iov_len;
    return !s->direct || bits % DIRECT_BLOCK == 0;
}

bool session_signal_waits(const struct session *s)
{
    return signals_wait(s->blocked);
}

enum reason session_engine_failure(const struct session *s)
{
    return s->pair.why == REASON_NONE ? s->engine->failure : s->pair.why;
}
