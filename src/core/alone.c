#include "alone.h"

#include "begin.h"
#include "exact.h"
#include "offsets.h"
#include "report.h"
#include "syscalls.h"
#include "table.h"
#include "underway.h"

#include <unistd.h>

/*
 * A write at the descriptor's offset, which it moves: while it is offloaded the session runs, so that other threads'
 * calls wait for it, and is not begun if there is one under way that has not (underway.h).
 */
static enum reason write_and_step_on(struct session *s, const struct candidate *c)
{
    enum reason why = REASON_NONE;
    session_run(s);
    if (underway_any() || !owned_holds(c->destination) || table_has_rival(s) ||
        (!*underway_single && begin_is_streamed(&c->destination_state, -1, -1)))
        why = REASON_BUSY;
    if (why == REASON_NONE && KERNEL(SYS_lseek, c->destination, 0, SEEK_CUR) != c->to)
        why = REASON_MOVED;
    if (why == REASON_NONE)
        why = exact_write(s, c);
    /* Another thread may seek meanwhile: then the write goes to where it has sought. */
    if (why == REASON_NONE && !offsets_step_on(c->destination, c->to, c->write->n)) {
        exact_take_back(s, c);
        why = REASON_MOVED;
    }
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

bool alone_write(struct candidate *c)
{
    enum reason why = c->exact;
    struct session *s = c->n < EXACT_LEAST && !report_wanted() ? NULL : begin_exact(c, &why);
    if (s) {
        why = candidate_moves_offset(c) ? write_and_step_on(s, c) : exact_write(s, c);
        leave_record(s, c, why);
    }
    if (why != REASON_NONE)
        begin_refuse(c, why);
    return why == REASON_NONE;
}

size_t alone_copy(struct candidate *c)
{
    enum reason why;
    size_t copied = 0;
    bool counted = underway_begin(c->destination);
    struct session *s = begin_exact(c, &why);
    if (s) {
        s->blocked = c->blocked;
        copied = exact_copy(s, c, &why);
        if (copied && !s->engine->remote)
            guard_access(c->source);
        leave_record(s, c, why);
    }
    underway_end(counted);
    if (!copied)
        begin_refuse(c, why);
    return copied;
}
