#include "begin.h"

#include "exact.h"
#include "mark.h"
#include "owned.h"
#include "patterns.h"
#include "probes.h"
#include "report.h"
#include "settings.h"
#include "settle.h"
#include "syscalls.h"
#include "table.h"
#include "underway.h"
#include "unseen.h"

#include <fcntl.h>
#include <unistd.h>

/* As guard_look(); what is no regular file is not asked about again. */
static bool look(int fd, struct file_state *state)
{
    bool regular = guard_look(fd, state);
    if (!regular)
        recogniser_found_irregular(fd);
    return regular;
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
    if (c->exact == REASON_NONE && candidate_has_raw_side(c))
        c->exact = REASON_RAW;
    if (owned_holds(c->destination))
        return REASON_NONE;
    c->exact = REASON_SHARED;
    return candidate_moves_offset(c) ? REASON_SHARED : REASON_NONE;
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
    /* Who may leave the bits there may give up that right on the way: the kernel is to look at each call. */
    if (c->exact == REASON_NONE && c->destination_state.set_id)
        c->exact = REASON_SET_ID;
    if (c->from < 0 || c->to < 0 || settings_too_small(c->source_state.size - c->from))
        return REASON_TOO_SMALL;
    return REASON_NONE;
}

bool begin_fits(struct candidate *c, const struct read_note *note)
{
    enum reason files = files_fit(c);
    bool two_files = files == REASON_NONE || files == REASON_SHARED;
    enum reason places = two_files ? places_fit(c, note) : files;
    c->refused = files == REASON_NONE ? places : files;
    bool goes_on = c->refused == REASON_NONE || (two_files && report_wanted() && c->from >= 0 && c->to >= 0);
    if (!goes_on)
        begin_refuse(c, c->refused);
    return goes_on;
}

/* Other sessions that have to do with the candidate's destination, or write its source, end before it begins. */
static void settle_others(const struct candidate *c)
{
    table_each_of_file(&c->destination_state, true, settle_visit, NULL);
    table_each_of_file(&c->source_state, false, settle_visit, NULL);
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
        s->lazy = (struct lazy_copy){0};
        s->hold = s->cuts = 0;
        s->mark = 0;
        session_drop_proof(s);
    }
    return s;
}

/* It stays as a record of what the report will say, or of how long to hold back. */
static void leave_place(struct session *s)
{
    if (s->running || s->names || s->hold)
        table_unlock(s);
    else
        table_release(s);
}

/* ---- what no hook sees ---- */

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

bool begin_is_streamed(const struct file_state *file, int stream, int standard)
{
    return used_unseen(&streamed, file, stream) || standard_stream_has(file, standard);
}

/*
 * May it run ahead although the destination is a stream's? What libc writes unseen goes to the descriptor's offset and
 * can be told from what a clone has put there (mark_settle()), if no other thread settles at that moment; and what it
 * reads unseen would be too long, but from a descriptor for writing alone. Of two streams with one number the other may
 * be one that appends: ftell(3) goes to the file's end with that.
 */
static bool stream_may_run(const struct session *s, const struct candidate *c)
{
    long flags = KERNEL(SYS_fcntl, c->destination, F_GETFL);
    return c->write && underway_told() && !unseen_holds(&several, c->destination) && s->engine->freezes_source &&
           !s->engine->remote && flags >= 0 && (flags & O_ACCMODE) == O_WRONLY;
}

static bool may_be_mapped(const struct candidate *c)
{
    return __atomic_load_n(&unseen_any_file, __ATOMIC_SEQ_CST) &&
           unseen_may_be_mapped(guard_number(c->destination, &c->destination_state));
}

/*
 * Is the destination written, or looked at, where no hook sees it? What a standard stream writes behind the destination's
 * own descriptor goes to the offset that the program's writes go to, and is found, if no other thread settles then; what
 * standard input reads there is not.
 */
static enum reason unseen_uses(const struct session *s, const struct candidate *c)
{
    bool only_written = underway_told() && c->destination != STDIN_FILENO;
    if (begin_is_streamed(&c->destination_state, stream_may_run(s, c) ? c->destination : -1,
                          only_written ? c->destination : -1))
        return REASON_STREAMED;
    return may_be_mapped(c) ? REASON_MAPPED : REASON_NONE;
}

/* ---- beginning ---- */

/* What is against the candidate, before its bytes are looked at. Fills in the session. */
static enum reason may_start(struct session *s, const struct candidate *c)
{
    /* Asked again under the lock: the process may have come to its end in another thread. */
    if (settle_over())
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

/*
 * Starts it, unless another thread's write may be in the middle of the file, another thread's session in its way, or a child being
 * started, which has the destination as well.
 */
static enum reason start_alone(struct session *s, const struct candidate *c)
{
    session_start(s, c);
    /* In this order: what is the process's own is loaded after its session was seen to run (underway_any() is a barrier). */
    if (!underway_any() && owned_holds(c->destination) && !table_has_rival(s) && !s->asked && !may_be_mapped(c))
        return REASON_NONE;
    mark_settle(s, REASON_BUSY);
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
    leave_place(s);
    return NULL;
}

struct session *begin_session(struct candidate *c)
{
    enum reason why;
    struct session *s = c->exact == REASON_NONE ? begin(c, &why) : NULL;
    if (s || c->exact != REASON_NONE)
        return s;
    if (why == REASON_MAPPED || why == REASON_STREAMED || why == REASON_DESTINATION_USED)
        c->exact = why;
    else
        begin_refuse(c, why);
    return NULL;
}

struct session *begin_exact(struct candidate *c, enum reason *why)
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
    leave_place(s);
    return NULL;
}

struct session *begin_record(struct candidate *c)
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

void begin_refuse(const struct candidate *c, enum reason why)
{
    bool for_good = why == REASON_NOT_REGULAR || why == REASON_SAME_FILE || why == REASON_SHARED ||
                    why == REASON_EXCLUDED || why == REASON_POLICY;
    bool only_not_yet = why == REASON_YOUNG;
    PROBE_REFUSE(c->destination, reason_name(why));
    if (!only_not_yet)
        recogniser_refused(c->source, c->destination, for_good);
}
