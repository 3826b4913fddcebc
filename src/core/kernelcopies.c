/* The calls of copy.h for copies that the kernel is asked for: sendfile(2), copy_file_range(2). */
#include "alone.h"
#include "begin.h"
#include "copy.h"
#include "mark.h"
#include "offsets.h"
#include "settings.h"
#include "settle.h"
#include "signals.h"

static size_t serve_copy(struct session *s, int in, off_t *from, off_t at, size_t n)
{
    if (s->pair.source != in) {
        mark_settle(s, REASON_DESTINATION_USED);
        return 0;
    }
    /* Writing the offset back must not fail when the copy is made. */
    if (from && !offsets_set(from, at))
        return 0;
    n = mark_copy(s, at, n);
    if (n)
        offsets_go_on(in, from, at + (off_t)n);
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
    struct session *s = settle_running(c->destination);
    bool worth = !s && recogniser_worth(c->source, c->destination) && begin_fits(c, NULL);
    return worth ? begin_session(c) : s;
}

/*
 * What is left of a copy for the program's own call: n bytes or up to the source's end, but for those that are copied. Nothing if that
 * is much and a signal waits: the kernel's own call would have ended there as well.
 */
static size_t left_over(const struct candidate *c, off_t source_size, size_t copied)
{
    off_t there = source_size - c->from;
    size_t wanted = (off_t)c->n < there ? c->n : (size_t)there;
    return wanted - copied < EXACT_LEAST || !signals_wait(c->blocked) ? wanted - copied : 0;
}

/* Offloads the copy by itself, and moves its offsets. *rest is what the program's own call has to copy after it. */
static size_t copy_alone(struct candidate *c, off_t *from, off_t *to, size_t *rest)
{
    bool keeps = (!from || offsets_set(from, c->from)) && (!to || offsets_set(to, c->to));
    size_t copied = keeps ? alone_copy(c) : 0;
    if (!copied)
        return 0;
    offsets_go_on(c->source, from, c->from + (off_t)copied);
    offsets_go_on(c->destination, to, c->to + (off_t)copied);
    *rest = left_over(c, c->source_state.size, copied);
    return copied;
}

size_t copy_between(int out, int in, off_t *from, size_t n, size_t *rest)
{
    struct candidate c = {.source = in, .destination = out, .to = -1, .n = n < LONGEST_CALL ? n : LONGEST_CALL};
    *rest = 0;
    if (n == 0 || settle_over() || !may_be_copied(out, in) || !table_enter(&c.blocked))
        return 0;
    c.from = offsets_begin(in, from);
    size_t served = 0;
    bool fits = c.from >= 0 && !offsets_go_beyond(c.from, n) && !offsets_go_beyond(offsets_begin(out, NULL), n);
    struct session *s = fits ? session_between(&c) : NULL;
    if (s) {
        s->blocked = c.blocked;
        served = serve_copy(s, in, from, c.from, c.n);
        if (served)
            *rest = left_over(&c, s->source.size, served);
        else
            begin_refuse(&c, s->tally.reason);
        settle_leave(s);
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
    return r->n && !settle_over() && engine_any_beyond_kernel(settings.engines) && recogniser_worth(r->in, r->out);
}

size_t copy_range(struct copied_range *r)
{
    struct candidate c = {.source = r->in, .destination = r->out, .exact = REASON_OWN_CALL};
    r->rest = 0;
    if (!may_be_beyond_kernel(r) || !table_enter(&c.blocked))
        return 0;
    c.n = r->n < LONGEST_CALL ? r->n : LONGEST_CALL;
    c.from = offsets_begin(r->in, r->from);
    c.to = offsets_begin(r->out, r->to);
    /* The kernel's is between regular files, and EINVAL for others (generic_file_rw_checks() in fs/read_write.c). */
    bool in_range = c.from >= 0 && c.to >= 0 && !offsets_go_beyond(c.from, r->n) && !offsets_go_beyond(c.to, r->n);
    bool serves = in_range && begin_fits(&c, NULL) && c.refused == REASON_NONE && !candidate_has_raw_side(&c);
    if (serves && !is_beyond_kernel(&c)) {
        recogniser_refused(r->in, r->out, true);
        serves = false;
    }
    size_t served = serves ? copy_alone(&c, r->from, r->to, &r->rest) : 0;
    table_leave(c.blocked);
    return served;
}
