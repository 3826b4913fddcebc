#include "copy.h"

#include "exact.h"
#include "guess.h"
#include "patterns.h"
#include "probes.h"
#include "report.h"
#include "settings.h"
#include "signals.h"
#include "syscalls.h"
#include "unseen.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* What one read(2), write(2) or sendfile(2) moves at most (MAX_RW_COUNT in the kernel). */
#define LONGEST_CALL ((size_t)0x7ffff000)

static bool finished; /* the process runs its last handlers */

static bool switched_off(void)
{
    return settings.off || finished;
}

/* ---- visits: what is done to one session, locked; each gives the lock back ---- */

static void visit_settle(struct session *s, const void *nothing)
{
    (void)nothing;
    session_settle(s, REASON_DESTINATION_USED);
    table_unlock(s);
}

static void visit_settle_stream(struct session *s, const void *nothing)
{
    if (s->stream || s->standard)
        visit_settle(s, nothing);
    else
        table_unlock(s);
}

static void visit_end(struct session *s, const void *nothing)
{
    (void)nothing;
    session_settle(s, REASON_UNFINISHED);
    session_drop_proof(s);
    report_copy(s);
    table_release(s);
}

/* The descriptors of the range are being closed. */
static void visit_close(struct session *s, const void *what)
{
    const struct descriptor_range *range = what;
    if (range_holds(*range, s->pair.destination)) {
        visit_end(s, NULL);
        return;
    }
    if (range_holds(*range, s->pair.source))
        session_settle(s, REASON_UNFINISHED);
    table_unlock(s);
}

/* ---- settling ---- */

static void settle_if_asked(struct session *s)
{
    if (__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST))
        session_settle(s, REASON_DESTINATION_USED);
}

/* The running session of the descriptor, locked, or NULL. */
static struct session *running_session(int destination)
{
    struct session *s = copy_watching() ? table_find(destination) : NULL;
    if (s)
        settle_if_asked(s);
    if (s && !s->running) {
        table_unlock(s);
        s = NULL;
    }
    return s;
}

void copy_settle_file_of(int fd, bool changes)
{
    struct file_state file;
    uint64_t blocked;
    bool regular = guard_look(fd, &file);
    if (!table_may_concern(fd, regular ? &file : NULL, changes) || !table_enter(&blocked))
        return;
    struct session *s = running_session(fd);
    if (s)
        visit_settle(s, NULL);
    if ((changes || !s) && regular)
        table_each_of_file(&file, changes, visit_settle, NULL);
    table_leave(blocked);
}

void copy_settle_file_at(int directory, const char *path, int flags, bool changes)
{
    struct stat st;
    uint64_t blocked;
    if (!path) {
        copy_settle_file_of(directory, changes);
        return;
    }
    if (!table_enter(&blocked))
        return;
    if (KERNEL(SYS_newfstatat, directory, path, &st, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) == 0) {
        struct file_state file = {.device = st.st_dev, .inode = st.st_ino};
        table_each_of_file(&file, changes, visit_settle, NULL);
    }
    table_leave(blocked);
}

static void visit_every(void (*visit)(struct session *, const void *))
{
    uint64_t blocked;
    if (!table_enter(&blocked))
        return;
    table_each(visit, NULL);
    table_leave(blocked);
}

void copy_settle_every(void)
{
    visit_every(visit_settle);
}

void copy_settle_every_stream(void)
{
    visit_every(visit_settle_stream);
}

void copy_close_from(unsigned first, unsigned last)
{
    struct descriptor_range range = {first, last};
    uint64_t blocked;
    if (!table_enter(&blocked))
        return;
    table_each_in(range, visit_close);
    table_leave(blocked);
}

void copy_finish(void)
{
    uint64_t blocked;
    if (!table_enter(&blocked))
        return;
    finished = true;
    table_each(visit_end, NULL);
    table_leave(blocked);
}

/* ---- beginning ---- */

/* As guard_look(); what is no regular file is not asked about again. */
static bool look(int fd, struct file_state *state)
{
    bool regular = guard_look(fd, state);
    if (!regular)
        recogniser_found_irregular(fd);
    return regular;
}

/* Whether the candidate goes to the descriptor's own offset, which is not to be moved while others may do so too. */
static bool moves_offset(const struct candidate *c)
{
    return c->write && c->write->at < 0;
}

/* Whether one of the two is a block device itself. */
static bool has_raw_side(const struct candidate *c)
{
    return c->source_state.raw || c->destination_state.raw;
}

/* Are these two files that a copy could be between? */
static enum reason files_fit(struct candidate *c)
{
    bool regular = look(c->destination, &c->destination_state);
    /* Looked at in either case: what is no file is not noted any more. */
    if (!look(c->source, &c->source_state) || !regular)
        return REASON_NOT_REGULAR;
    if (guard_same_file(&c->source_state, &c->destination_state))
        return REASON_SAME_FILE;
    if (c->exact == REASON_NONE && has_raw_side(c))
        c->exact = REASON_RAW;
    if (owned_holds(c->destination))
        return REASON_NONE;
    c->exact = REASON_SHARED;
    return moves_offset(c) ? REASON_SHARED : REASON_NONE;
}

/*
 * Where the bytes stand in both files, and whether anything may run ahead there. `note`: how they were read, or NULL if
 * c->from is known. c->to is set if the call has an offset of its own there.
 */
static enum reason places_fit(struct candidate *c, const struct read_note *note)
{
    if (c->to < 0)
        c->to = KERNEL(SYS_lseek, c->destination, 0, SEEK_CUR);
    if (note)
        c->from = recogniser_source_offset(note, c->write->pieces->iov_base);
    if (c->exact == REASON_NONE && c->destination_state.size != c->to)
        c->exact = REASON_OVERWRITES;
    if (c->from < 0 || c->to < 0 || settings_too_small(c->source_state.size - c->from))
        return REASON_TOO_SMALL;
    return REASON_NONE;
}

/* Other sessions that have to do with the candidate's destination, or write its source, end before it begins. */
static void settle_others(const struct candidate *c)
{
    table_each_of_file(&c->destination_state, true, visit_settle, NULL);
    table_each_of_file(&c->source_state, false, visit_settle, NULL);
}

/* The place in the table for the candidate's destination, locked: its record from before, or a new one, or NULL. */
static struct session *take_place(const struct candidate *c)
{
    struct session *s = table_find(c->destination);
    if (!s)
        return table_claim(c->destination);
    if (!guard_same_file(&s->left, &c->destination_state) || !guard_same_file(&s->source, &c->source_state)) {
        /* The number means another file by now, or the program goes on from another source. */
        report_copy(s);
        s->tally = (struct tally){0};
        s->hold = s->cuts = 0;
        s->mark = 0;
        session_drop_proof(s);
    }
    return s;
}

/* Whether the file is behind a descriptor of the set other than `but`. */
static bool used_unseen(const struct unseen_use *set, const struct file_state *file, int but)
{
    struct file_state other;
    for (int fd = 0; fd < UNSEEN_RANGE; fd++) {
        if (fd % 8 == 0 && !set->held[fd / 8])
            fd += 7;
        else if (fd != but && unseen_holds(set, fd) && guard_look(fd, &other) && guard_same_file(&other, file))
            return true;
    }
    return set->beyond;
}

/* Whether the file is behind the descriptor of a standard stream, which each process has, other than `but`. */
static bool standard_stream_has(const struct file_state *file, int but)
{
    struct file_state other;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fd != but && guard_look(fd, &other) && guard_same_file(&other, file))
            return true;
    return false;
}

/*
 * May it run ahead although the destination is a stream's? What libc writes unseen goes to the descriptor's offset and
 * can be told from what a clone has put there (session_settle()), if no other thread settles at that moment; and what it
 * reads unseen would be too long, but from a descriptor for writing alone. Of two streams with one number the other may
 * be one that appends: ftell(3) goes to the file's end with that.
 */
static bool stream_may_run(const struct session *s, const struct candidate *c)
{
    long flags = KERNEL(SYS_fcntl, c->destination, F_GETFL);
    return c->write && *underway_single && !unseen_holds(&several, c->destination) && s->engine->freezes_source &&
           !s->engine->remote && flags >= 0 && (flags & O_ACCMODE) == O_WRONLY;
}

/*
 * Is the destination written, or looked at, where no hook sees it? What a standard stream writes behind the destination's
 * own descriptor goes to the offset that the program's writes go to, and is found, if no other thread settles then; what
 * standard input reads there is not.
 */
static enum reason unseen_uses(const struct session *s, const struct candidate *c)
{
    bool only_written = *underway_single && c->destination != STDIN_FILENO;
    if (used_unseen(&streamed, &c->destination_state, stream_may_run(s, c) ? c->destination : -1) ||
        standard_stream_has(&c->destination_state, only_written ? c->destination : -1))
        return REASON_STREAMED;
    const struct file_state *file = &c->destination_state;
    return unseen_may_be_mapped(file->device, file->inode) ? REASON_MAPPED : REASON_NONE;
}

/* What is against the candidate, before its bytes are looked at. Fills in the session. */
static enum reason may_start(struct session *s, const struct candidate *c)
{
    /* Asked again under the lock: the process may have come to its end in another thread. */
    if (switched_off())
        return REASON_UNFINISHED;
    if (c->refused == REASON_NONE)
        return session_fits(s, c);
    session_identify(s, c);
    return c->refused;
}

/* What is against a candidate whose bytes are proven: other uses of the destination, and the user's wish. */
static enum reason may_serve(const struct session *s, const struct candidate *c)
{
    if (patterns_wanted() && (!s->names || !patterns_allow(report_source(s), report_destination(s))))
        return REASON_EXCLUDED;
    return c->exact == REASON_NONE ? unseen_uses(s, c) : REASON_NONE;
}

/* Starts it, unless another thread's write may be in the middle of the file, or another thread's session in its way. */
static enum reason start_alone(struct session *s, const struct candidate *c)
{
    session_start(s, c);
    bool mapped_meanwhile = unseen_may_be_mapped(c->destination_state.device, c->destination_state.inode);
    if (!underway_any() && !table_has_rival(s) && !s->asked && !mapped_meanwhile)
        return REASON_NONE;
    session_settle(s, REASON_BUSY);
    return REASON_BUSY;
}

/* Nothing is to run ahead: the session stays a record, for this call and the next ones. */
static enum reason make_exact(struct session *s)
{
    s->window = s->engine->first_step;
    s->exact = true;
    return REASON_NONE;
}

/*
 * Starts the session in its place of the table if nothing is against it. What is refused is proven a copy all the
 * same, once, if the report is to tell of it.
 */
static enum reason start_in(struct session *s, const struct candidate *c)
{
    enum reason why = may_start(s, c);
    bool recorded = s->names;
    enum reason proof = why == REASON_NONE || (report_wanted() && !recorded) ? session_prove(s, c) : why;
    if (proof == REASON_NONE && (report_wanted() || patterns_wanted()))
        report_keep_names(s);
    if (why == REASON_NONE)
        why = proof == REASON_NONE ? may_serve(s, c) : proof;
    s->tally.reason = why;
    if (why == REASON_NONE)
        why = c->exact == REASON_NONE ? start_alone(s, c) : make_exact(s);
    else
        session_drop_proof(s);
    if (!report_wanted())
        report_forget(s);
    else if (!recorded)
        report_progress(s, true);
    return why;
}

/* Begins a session for a candidate that fits, and returns it locked; or returns NULL and says why. */
static struct session *begin(struct candidate *c, enum reason *why)
{
    settle_others(c);
    struct session *s = take_place(c);
    *why = table_taken < TABLE_SIZE ? REASON_BUSY : REASON_TOO_MANY;
    if (!s)
        return NULL;
    *why = REASON_DESTINATION_USED;
    if (!s->running && s->tally.written >= s->hold)
        *why = start_in(s, c);
    if (*why == REASON_NONE)
        return s;
    /* The place stays as a record of what the report will say, or of how long to hold back. */
    if (s->running || s->names || s->hold)
        table_unlock(s);
    else
        table_release(s);
    return NULL;
}

/* The candidate came to nothing. Is its pair to be asked about less often from now on, or never again? */
static void refuse(const struct candidate *c, enum reason why)
{
    bool for_good = why == REASON_NOT_REGULAR || why == REASON_SAME_FILE || why == REASON_SHARED ||
                    why == REASON_EXCLUDED || why == REASON_POLICY;
    bool only_not_yet = why == REASON_YOUNG;
    PROBE_REFUSE(c->destination, reason_name(why));
    if (!only_not_yet)
        recogniser_refused(c->source, c->destination, for_good);
}

/*
 * Could the candidate be part of a copy, as far as its files tell? `note`: how its bytes were read, or NULL if the
 * kernel is to copy them. Needs no table. True, with c->refused set, if it could not but the report should tell of it.
 */
static bool fits(struct candidate *c, const struct read_note *note)
{
    enum reason files = files_fit(c);
    bool two_files = files == REASON_NONE || files == REASON_SHARED;
    enum reason places = two_files ? places_fit(c, note) : files;
    c->refused = files == REASON_NONE ? places : files;
    bool goes_on = c->refused == REASON_NONE || (two_files && report_wanted() && c->from >= 0 && c->to >= 0);
    if (!goes_on)
        refuse(c, c->refused);
    return goes_on;
}

/* ---- one call by itself ---- */

/* The record by which the candidate can be offloaded by itself, locked, or NULL and why there is none. */
static struct session *exact_record(struct candidate *c, enum reason *why)
{
    settle_others(c);
    struct session *s = take_place(c);
    *why = s ? REASON_NONE : table_taken < TABLE_SIZE ? REASON_BUSY : REASON_TOO_MANY;
    if (s && s->running)
        *why = REASON_BUSY;
    else if (s && !exact_renew(s, c))
        *why = start_in(s, c);
    if (!s || *why == REASON_NONE)
        return s;
    if (s->running || s->names || s->hold)
        table_unlock(s);
    else
        table_release(s);
    return NULL;
}

/*
 * A write at the descriptor's offset, which it moves: while it is offloaded the session runs, so that other threads'
 * calls wait for it, and is not begun if there is one under way that has not (underway.h).
 */
static enum reason write_and_step_on(struct session *s, const struct candidate *c)
{
    enum reason why = REASON_NONE;
    session_run(s);
    if (underway_any() || table_has_rival(s) ||
        (!*underway_single &&
         (used_unseen(&streamed, &c->destination_state, -1) || standard_stream_has(&c->destination_state, -1))))
        why = REASON_BUSY;
    if (why == REASON_NONE && KERNEL(SYS_lseek, c->destination, 0, SEEK_CUR) != c->to)
        why = REASON_MOVED;
    if (why == REASON_NONE)
        why = exact_write(s, c);
    if (why == REASON_NONE && !session_step_on(c->destination, c->to, c->write->n))
        why = REASON_MOVED;
    session_stop(s);
    return why;
}

/* The record goes back, and tells what came of the candidate. */
static void leave_record(struct session *s, const struct candidate *c, enum reason why)
{
    if (why == REASON_NONE)
        recogniser_served(c->source, c->destination);
    else
        s->tally.reason = why;
    report_progress(s, false);
    table_unlock(s);
}

static bool write_by_itself(struct candidate *c)
{
    enum reason why = c->exact;
    struct session *s = c->n < EXACT_LEAST && !report_wanted() ? NULL : exact_record(c, &why);
    if (s) {
        why = moves_offset(c) ? write_and_step_on(s, c) : exact_write(s, c);
        leave_record(s, c, why);
    }
    if (why != REASON_NONE)
        refuse(c, why);
    return why == REASON_NONE;
}

/* As sessions do, and copies of the kernel's: what they put into the file must not come between another thread's. */
static size_t copy_by_itself(struct candidate *c)
{
    enum reason why;
    size_t copied = 0;
    bool counted = underway_begin(c->destination);
    struct session *s = exact_record(c, &why);
    if (s) {
        copied = exact_copy(s, c, &why);
        if (copied && !s->engine->remote)
            guard_access(c->source);
        leave_record(s, c, why);
    }
    underway_end(counted);
    if (!copied)
        refuse(c, why);
    return copied;
}

/* ---- serving ---- */

/*
 * A new session to serve the candidate, locked, or NULL. The candidate may then be offloaded by itself, if c->exact
 * says why nothing could run ahead; otherwise it has been refused.
 */
static struct session *new_session(struct candidate *c)
{
    enum reason why;
    struct session *s = c->exact == REASON_NONE ? begin(c, &why) : NULL;
    if (s || c->exact != REASON_NONE)
        return s;
    if (why == REASON_MAPPED || why == REASON_STREAMED || why == REASON_DESTINATION_USED)
        c->exact = why;
    else
        refuse(c, why);
    return NULL;
}

/* The program has come on with the copy. */
static void leave_session(struct session *s)
{
    report_progress(s, false);
    settle_if_asked(s);
    table_unlock(s);
    /* Asked after we looked, while the lock was still ours: whoever has it now looks as well. */
    if (__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST) && table_lock_again(s)) {
        settle_if_asked(s);
        table_unlock(s);
    }
}

/* A running session takes the write. */
static bool write_running(int fd, const struct program_write *w, bool *running)
{
    uint64_t blocked;
    if (!table_enter_running(&blocked))
        return false;
    struct session *s = running_session(fd);
    bool served = s && session_write(s, w);
    *running = s != NULL;
    if (s)
        leave_session(s);
    table_leave(blocked);
    return served;
}

/* The write is the first of a copy, perhaps, or one of those that are offloaded each by itself. */
static bool write_candidate(struct candidate *c)
{
    struct session *s = new_session(c);
    if (!s)
        return c->exact != REASON_NONE && write_by_itself(c);
    bool served = session_write(s, c->write);
    if (!served)
        refuse(c, s->tally.reason);
    leave_session(s);
    return served;
}

static struct candidate candidate_of(int fd, const struct program_write *w)
{
    return (struct candidate){
        .destination = fd, .write = w, .n = w->n, .to = w->at, .exact = w->at >= 0 ? REASON_PLACED : REASON_NONE};
}

/* The bytes are those of the source that `note` tells of, or (NULL) those that stand at c->from. */
static bool write_from_source(struct candidate *c, const struct read_note *note)
{
    if (!fits(c, note) || !table_enter(&c->blocked))
        return false;
    bool served = write_candidate(c);
    table_leave(c->blocked);
    return served;
}

/* Its bytes were read to other memory, or by another thread. */
static __attribute__((noinline)) bool write_guessed(int fd, const struct program_write *w)
{
    if (!guess_is_due(w->n))
        return false;
    struct candidate c = candidate_of(fd, w);
    bool served = guess_source(&c) && write_from_source(&c, NULL);
    guess_was(w->n, served);
    return served;
}

/*
 * Whether the note tells what a write with an offset of its own is of. Threads that share their buffers (qemu-img) leave
 * each other notes that do not: then its source is looked for by content. That is found out as rarely as guesses are made,
 * where a program changes what it has read.
 */
static bool tells_of(const struct read_note *note, int fd, const struct program_write *w)
{
    return w->at < 0 || w->n < EXACT_LEAST || *underway_single || !guess_is_due(w->n) ||
           !guess_contradicts(note, fd, w);
}

/* The write may be part of a copy, of bytes that were read as the note says. */
static __attribute__((noinline)) bool write_first(int fd, const struct program_write *w, const struct read_note *note)
{
    if (!tells_of(note, fd, w))
        return recogniser_may_guess(w->n) && write_guessed(fd, w);
    struct candidate c = candidate_of(fd, w);
    c.source = note->fd;
    return write_from_source(&c, note);
}

static bool serve_write(int fd, const struct program_write *w)
{
    bool running = false;
    if (w->n == 0 || w->n > LONGEST_CALL || switched_off())
        return false;
    if (w->at < 0 && copy_running() && write_running(fd, w, &running))
        return true;
    if (running)
        return false;
    const struct read_note *note = recogniser_match(w->pieces->iov_base);
    if (note)
        return recogniser_worth(note->fd, fd) && write_first(fd, w, note);
    bool may_be_ours = w->at >= 0 ? w->n >= EXACT_LEAST : owned_holds(fd);
    return may_be_ours && recogniser_may_guess(w->n) && write_guessed(fd, w);
}

bool copy_write(int fd, const void *buffer, size_t n)
{
    const struct iovec piece = {(void *)(uintptr_t)buffer, n};
    const struct program_write w = {.pieces = &piece, .count = 1, .n = n, .at = -1};
    return serve_write(fd, &w);
}

bool copy_write_at(int fd, const void *buffer, size_t n, off_t at)
{
    const struct iovec piece = {(void *)(uintptr_t)buffer, n};
    const struct program_write w = {.pieces = &piece, .count = 1, .n = n, .at = at};
    return serve_write(fd, &w);
}

/*
 * The bytes of the pieces from the first that is not empty on, which becomes the first. 0 if one of them may be refused
 * by the kernel: the program's call gives the error.
 */
static size_t length_of(struct program_write *w)
{
    size_t n = 0;
    for (int i = 0; i < w->count; i++) {
        /* An address is looked at even where there is nothing to be read (import_iovec()). */
        if (w->pieces[i].iov_len > LONGEST_CALL - n || !compare_is_memory(w->pieces[i].iov_base, w->pieces[i].iov_len))
            return 0;
        n += w->pieces[i].iov_len;
    }
    /* libstdc++ writes an empty piece before the bytes. */
    for (; n && w->pieces->iov_len == 0; w->count--)
        w->pieces++;
    return n;
}

/* A write of pieces: of a stream, or the program's own. */
static size_t write_pieces(int fd, struct program_write *w)
{
    w->n = length_of(w);
    return w->n && serve_write(fd, w) ? w->n : 0;
}

size_t copy_write_pieces(int fd, const struct iovec *pieces, int count, off_t at)
{
    struct program_write w = {.pieces = pieces, .count = count, .at = at};
    bool ours = at >= 0 || owned_holds(fd);
    if (!ours || count <= 0 || count > IOV_MAX || !compare_readable(pieces, (size_t)count * sizeof *pieces))
        return 0;
    return write_pieces(fd, &w);
}

size_t copy_write_stream(int fd, const struct iovec *pieces, int count)
{
    struct program_write w = {.pieces = pieces, .count = count, .at = -1};
    return owned_holds(fd) ? write_pieces(fd, &w) : 0;
}

ssize_t copy_read_pieces(int fd, const struct iovec *pieces, int count, ssize_t n, off_t at)
{
    size_t left = n > 0 && !recogniser_is_irregular(fd) ? (size_t)n : 0;
    for (int i = 0; i < count && left; i++) {
        size_t part = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        if (part)
            recogniser_note_at(fd, pieces[i].iov_base, part, at);
        at += at < 0 ? 0 : (off_t)part;
        left -= part;
    }
    return n;
}

void copy_leaving_for_later(int fd, bool changes)
{
    struct file_state file;
    /* Before sessions are settled: none is to begin in between. */
    if (!switched_off() && guard_look(fd, &file))
        unseen_add_file(file.device, file.inode);
    if (copy_running())
        copy_settle_file_of(fd, changes);
}

void copy_mapping(int fd)
{
    copy_leaving_for_later(fd, true);
}

void copy_mapped(int fd, const void *at, size_t n, off_t from)
{
    compare_what_may_go();
    if (recogniser_is_irregular(fd))
        return;
    recogniser_note_source(fd);
    guess_note_mapping(fd, at, n, from);
}

/* ---- copies that the kernel is asked for ---- */

/* An offset of the program's, which may lie in memory that is not there: the kernel gives EFAULT then. */
static bool offset_at(const off_t *pointer, off_t *offset)
{
    if (settings.filtered)
        return false;
    struct iovec here = {offset, sizeof *offset}, there = {(void *)pointer, sizeof *offset};
    return KERNEL(SYS_process_vm_readv, KERNEL(SYS_getpid), &here, 1, &there, 1, 0) == sizeof *offset;
}

static bool set_offset_at(off_t *pointer, off_t offset)
{
    struct iovec here = {&offset, sizeof offset}, there = {pointer, sizeof offset};
    return KERNEL(SYS_process_vm_writev, KERNEL(SYS_getpid), &here, 1, &there, 1, 0) == sizeof offset;
}

/* Where one side of the copy begins: at an offset of the program's or, if `pointer` is NULL, at the descriptor's. */
static off_t begins_at(int fd, const off_t *pointer)
{
    off_t offset = -1;
    if (!pointer)
        return KERNEL(SYS_lseek, fd, 0, SEEK_CUR);
    return offset_at(pointer, &offset) ? offset : -1;
}

/* Where it goes on. The kernel sets a descriptor's offset as simply (do_sendfile(), ksys_copy_file_range()). */
static bool goes_on_at(int fd, off_t *pointer, off_t offset)
{
    if (pointer)
        return set_offset_at(pointer, offset);
    return KERNEL(SYS_lseek, fd, offset, SEEK_SET) == offset;
}

static size_t serve_copy(struct session *s, int in, off_t *from, off_t at, size_t n)
{
    if (s->pair.source != in) {
        session_settle(s, REASON_DESTINATION_USED);
        return 0;
    }
    /* Writing the offset back must not fail when the copy is made. */
    if (from && !set_offset_at(from, at))
        return 0;
    n = session_copy(s, at, n);
    if (n)
        goes_on_at(in, from, at + (off_t)n);
    if (n && !s->engine->remote)
        guard_access(in);
    return n;
}

/* A socket or pipe, to which most programs send files, is known after the first time. */
static bool may_be_copied(int out, int in)
{
    return copy_running() || !recogniser_gave_up(in, out);
}

/* A session of the kernel's copy: the one that runs for the destination, or a new one. */
static struct session *session_between(struct candidate *c)
{
    struct session *s = running_session(c->destination);
    bool worth = !s && recogniser_worth(c->source, c->destination) && fits(c, NULL);
    return worth ? new_session(c) : s;
}

/* Offloads the copy by itself, and moves its offsets. *rest is what the program's own call has to copy after it. */
static size_t copy_alone(struct candidate *c, off_t *from, off_t *to, size_t *rest)
{
    bool keeps = (!from || set_offset_at(from, c->from)) && (!to || set_offset_at(to, c->to));
    size_t copied = keeps ? copy_by_itself(c) : 0;
    if (!copied)
        return 0;
    goes_on_at(c->source, from, c->from + (off_t)copied);
    goes_on_at(c->destination, to, c->to + (off_t)copied);
    off_t left = c->source_state.size - c->from;
    size_t wanted = (off_t)c->n < left ? c->n : (size_t)left;
    /* Less than all because a signal has come: then the kernel's own call would end as well. */
    *rest = wanted - copied < EXACT_LEAST ? wanted - copied : 0;
    return copied;
}

size_t copy_between(int out, int in, off_t *from, size_t n, size_t *rest)
{
    struct candidate c = {.source = in, .destination = out, .to = -1, .n = n < LONGEST_CALL ? n : LONGEST_CALL};
    *rest = 0;
    if (n == 0 || switched_off() || !may_be_copied(out, in) || !table_enter(&c.blocked))
        return 0;
    c.from = begins_at(in, from);
    size_t served = 0;
    struct session *s = c.from < 0 ? NULL : session_between(&c);
    if (s) {
        s->blocked = c.blocked;
        served = serve_copy(s, in, from, c.from, c.n);
        if (!served)
            refuse(&c, s->tally.reason);
        leave_session(s);
    } else if (c.exact != REASON_NONE && c.refused == REASON_NONE) {
        served = copy_alone(&c, from, NULL, rest);
    }
    table_leave(c.blocked);
    return served;
}

/* The kernel serves this call by itself but for what it does not know. */
static bool is_beyond_kernel(const struct candidate *c)
{
    struct session asked = {0};
    session_identify(&asked, c);
    return session_choose(&asked, c) == REASON_NONE && asked.engine->beyond_kernel;
}

/* Whether the copy is worth a look, which is asked of every call of every program. */
static bool may_be_beyond_kernel(const struct copied_range *r)
{
    return r->n && !switched_off() && engine_any_beyond_kernel(settings.engines) && recogniser_worth(r->in, r->out);
}

size_t copy_range(struct copied_range *r)
{
    struct candidate c = {.source = r->in, .destination = r->out, .exact = REASON_OWN_CALL};
    r->rest = 0;
    if (!may_be_beyond_kernel(r) || !table_enter(&c.blocked))
        return 0;
    c.n = r->n < LONGEST_CALL ? r->n : LONGEST_CALL;
    c.from = begins_at(r->in, r->from);
    c.to = begins_at(r->out, r->to);
    /* The kernel's is between regular files, and EINVAL for others (generic_file_rw_checks() in fs/read_write.c). */
    bool serves = c.from >= 0 && c.to >= 0 && fits(&c, NULL) && c.refused == REASON_NONE && !has_raw_side(&c);
    if (serves && !is_beyond_kernel(&c)) {
        recogniser_refused(r->in, r->out, true);
        serves = false;
    }
    size_t served = serves ? copy_alone(&c, r->from, r->to, &r->rest) : 0;
    table_leave(c.blocked);
    return served;
}

/* ---- what the program's own calls copied ---- */

void copy_count_written(int fd, size_t n)
{
    uint64_t blocked;
    table_count_written(fd, n);
    if (!settings.progress || !table_enter(&blocked))
        return;
    struct session *s = table_find(fd);
    if (s)
        leave_session(s);
    table_leave(blocked);
}

/* The record of a copy that the program has the kernel make, locked, or NULL. `c`: what is copied. */
static struct session *record_of(struct candidate *c)
{
    if (files_fit(c) == REASON_NOT_REGULAR || guard_same_file(&c->source_state, &c->destination_state))
        return NULL;
    struct session *s = take_place(c);
    if (s && !s->running) {
        start_in(s, c);
    } else if (s) {
        table_unlock(s);
        s = NULL;
    }
    return s;
}

/* The program's clone counts as an engine's. n bytes, or all from there on if 0. */
static void count_clone(struct session *s, const struct candidate *c)
{
    uint64_t there = c->from < s->source.size ? (uint64_t)(s->source.size - c->from) : 0;
    uint64_t n = c->n && c->n < there ? c->n : there;
    s->tally.engine = "program";
    s->tally.offloaded += n;
    s->mark = c->to + (off_t)n;
}

static void note_own(struct candidate *c, void (*count)(struct session *, const struct candidate *))
{
    uint64_t blocked;
    if (switched_off() || !report_wanted() || !table_enter(&blocked))
        return;
    struct session *s = record_of(c);
    if (s && count)
        count(s, c);
    if (s)
        table_unlock(s);
    table_leave(blocked);
}

void copy_note_own_call(int in, int out)
{
    struct candidate c = {.source = in, .destination = out, .refused = REASON_OWN_CALL};
    note_own(&c, NULL);
}

void copy_note_own_clone(int in, off_t from, int out, off_t to, size_t n)
{
    struct candidate c = {
        .source = in, .destination = out, .from = from, .to = to, .n = n, .refused = REASON_UNFINISHED};
    note_own(&c, count_clone);
}

/* ---- copies through a pipe: two calls of splice(2) ---- */

void copy_note_spliced(int in, const off_t *from, int pipe, size_t n)
{
    off_t end = -1;
    piped.n = 0;
    if (from && !offset_at(from, &end))
        return;
    piped = (struct piped){n, from ? end - (off_t)n : -1, in, pipe, recogniser_age(in)};
}

/* The second call of a pair. */
struct pair {
    struct candidate c;
    struct program_write w; /* its bytes, once they have left the pipe */
    struct piped from;
    int pipe;
    off_t *to; /* the call's own pointer to its offset, or NULL */
};

/* Whether the session that runs for the destination goes on where the pipe's bytes are from. */
static enum reason goes_on(const struct session *s, const struct candidate *c)
{
    if (s->pair.source != c->source || c->from + s->shift != s->mark)
        return REASON_DESTINATION_USED;
    return c->from + (off_t)c->n <= s->source.size ? REASON_NONE : REASON_SOURCE_ENDED;
}

/*
 * What is against serving the pair. Asked before the pipe is emptied: what comes of it then is a write, and only to the
 * file systems of engines is splice(2) one, and only from another file, whose pages no part of the write changes.
 */
static enum reason pair_fits(struct candidate *c)
{
    struct session asked = {0};
    if (!fits(c, NULL))
        return REASON_NOT_REGULAR;
    enum reason why = c->refused == REASON_NONE ? session_fits(&asked, c) : c->refused;
    if (why == REASON_NONE && c->exact != REASON_NONE && (asked.engine->remote || c->n < EXACT_LEAST))
        why = c->exact;
    if (why == REASON_NONE && asked.direct)
        why = REASON_UNALIGNED;
    return why == REASON_NONE ? exact_limits(&asked, c, c->n) : why;
}

/* The pair is left to the program. */
static void refuse_pair(struct candidate *c, enum reason why)
{
    refuse(c, why);
    c->write = NULL;
    c->refused = why;
    note_own(c, NULL);
}

/* As splice(2) does, until it meets an error: what has not been written by then is in the pipe. */
static long write_drained(struct pair *p)
{
    size_t done = 0, n = p->w.n;
    char *bytes = p->w.pieces->iov_base;
    long wrote = 1;
    bool counted = copy_writing(p->c.destination);
    signals_let_end(p->c.blocked);
    while (done < n && wrote > 0) {
        wrote = KERNEL(SYS_pwrite64, p->c.destination, bytes + done, n - done, p->c.to + (off_t)done);
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (done < n)
        KERNEL(SYS_write, p->from.end, bytes + done, n - done);
    if (done)
        goes_on_at(p->c.destination, p->to, p->c.to + (off_t)done);
    return copy_wrote(p->c.destination, done ? (long)done : wrote, counted);
}

/* The pipe's bytes have been taken out of it, and are now served as those of a write, or written. */
static long move_drained(struct pair *p, struct session *s)
{
    bool served = s ? session_write(s, &p->w) : write_candidate(&p->c);
    if (s)
        leave_session(s);
    if (!served)
        return write_drained(p);
    /* The descriptor's offset has moved with a write that has none of its own. */
    if (p->w.at >= 0)
        goes_on_at(p->c.destination, p->to, p->c.to + (off_t)p->w.n);
    return (long)p->w.n;
}

static long move_piped(struct pair *p)
{
    struct session *s = p->w.at < 0 ? running_session(p->c.destination) : NULL;
    enum reason why = s ? goes_on(s, &p->c) : pair_fits(&p->c);
    struct iovec bytes = {NULL, p->w.n};
    if (why == REASON_NONE && !piped_drain(p->pipe, &bytes))
        why = REASON_NO_MEMORY;
    if (why != REASON_NONE) {
        if (s)
            table_unlock(s);
        refuse_pair(&p->c, why);
        return 0;
    }
    p->w.pieces = &bytes;
    p->c.n = p->w.n = bytes.iov_len;
    return move_drained(p, s);
}

/* Finds out where the bytes stand in both files. False if that is nowhere. */
static bool places_of(struct pair *p)
{
    struct candidate *c = &p->c;
    c->to = begins_at(c->destination, p->to);
    c->from = p->from.at >= 0 ? p->from.at : KERNEL(SYS_lseek, c->source, 0, SEEK_CUR) - (off_t)c->n;
    /* splice(2) sets a descriptor's offset as plainly as we do, whoever shares it; a session is for one's own alone. */
    p->w.at = !p->to && owned_holds(c->destination) ? -1 : c->to;
    c->exact = p->w.at < 0 ? REASON_NONE : REASON_PLACED;
    return c->to >= 0 && c->to <= INT64_MAX - (off_t)c->n && c->from >= 0 && (!p->to || set_offset_at(p->to, c->to));
}

long copy_splice(int pipe, int out, off_t *to, size_t n, unsigned flags)
{
    const unsigned known = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
    struct pair p = {.from = piped, .pipe = pipe, .to = to, .w = {.count = 1, .n = piped.n}};
    p.c = (struct candidate){.source = p.from.source, .destination = out, .write = &p.w, .n = p.from.n};
    piped.n = 0;
    if (n < p.c.n || n > LONGEST_CALL || flags & ~known || switched_off() || settings.filtered ||
        p.from.age != recogniser_age(p.c.source) || !recogniser_worth(p.c.source, out) || !table_enter(&p.c.blocked))
        return 0;
    long moved = piped_fills(&p.from, pipe) && places_of(&p) ? move_piped(&p) : 0;
    table_leave(p.c.blocked);
    return moved;
}
