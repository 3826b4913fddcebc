#include "owncalls.h"

#include "begin.h"
#include "copy.h"
#include "report.h"
#include "settings.h"
#include "settle.h"
#include "table.h"

void copy_count_written(int fd, size_t n)
{
    uint64_t blocked;
    table_count_written(fd, n);
    if (!settings.progress || !table_enter(&blocked))
        return;
    struct session *s = table_find(fd);
    if (s)
        settle_leave(s);
    table_leave(blocked);
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

void owncalls_note(struct candidate *c, void (*count)(struct session *, const struct candidate *))
{
    uint64_t blocked;
    if (settle_over() || !report_wanted() || !table_enter(&blocked))
        return;
    struct session *s = begin_record(c);
    if (s && count)
        count(s, c);
    if (s)
        table_unlock(s);
    table_leave(blocked);
}

void copy_note_own_call(int in, int out)
{
    struct candidate c = {.source = in, .destination = out, .refused = REASON_OWN_CALL};
    owncalls_note(&c, NULL);
}

void copy_note_own_clone(int in, off_t from, int out, off_t to, size_t n)
{
    struct candidate c = {
        .source = in, .destination = out, .from = from, .to = to, .n = n, .refused = REASON_UNFINISHED};
    owncalls_note(&c, count_clone);
}
