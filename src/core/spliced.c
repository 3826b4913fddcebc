/* The calls of copy.h for copies through a pipe: two calls of splice(2). */
#include "begin.h"
#include "copy.h"
#include "exact.h"
#include "mark.h"
#include "offsets.h"
#include "owncalls.h"
#include "settings.h"
#include "settle.h"
#include "signals.h"
#include "syscalls.h"
#include "write.h"

#include <fcntl.h>
#include <unistd.h>

void copy_note_spliced(int in, const off_t *from, int pipe, size_t n)
{
    off_t end = -1;
    piped.n = 0;
    if (settle_over() || (from && !offsets_get(from, &end)))
        return;
    piped = (struct piped){n, from ? end - (off_t)n : -1, in, pipe, recogniser_age(in)};
}

/* The second call of a pair. */
struct pair {
    struct candidate c;
    struct iovec bytes;     /* what lay in the pipe, once that is empty */
    struct program_write w; /* of the bytes */
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
    if (!begin_fits(c, NULL))
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
    begin_refuse(c, why);
    c->write = NULL;
    c->refused = why;
    owncalls_note(c, NULL);
}

/* As splice(2) does, until it meets an error: what has not been written by then is in the pipe. */
static long write_drained(struct pair *p)
{
    size_t done = 0, n = p->w.n;
    char *bytes = p->bytes.iov_base;
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
        offsets_go_on(p->c.destination, p->to, p->c.to + (off_t)done);
    return copy_wrote(p->c.destination, done ? (long)done : wrote, counted);
}

/* The pipe's bytes have been taken out of it, and are now served as those of a write, or written. */
static long move_drained(struct pair *p, struct session *s)
{
    bool served = s ? mark_write(s, &p->w) : write_candidate(&p->c);
    if (s)
        settle_leave(s);
    if (!served)
        return write_drained(p);
    /* The descriptor's offset has moved with a write that has none of its own. */
    if (p->w.at >= 0)
        offsets_go_on(p->c.destination, p->to, p->c.to + (off_t)p->w.n);
    return (long)p->w.n;
}

static long move_piped(struct pair *p)
{
    struct session *s = p->w.at < 0 ? settle_running(p->c.destination) : NULL;
    enum reason why = s ? goes_on(s, &p->c) : pair_fits(&p->c);
    p->bytes.iov_len = p->w.n;
    if (why == REASON_NONE && !piped_drain(p->pipe, &p->bytes))
        why = REASON_NO_MEMORY;
    if (why != REASON_NONE) {
        if (s)
            table_unlock(s);
        refuse_pair(&p->c, why);
        return 0;
    }
    p->w.pieces = &p->bytes;
    p->c.n = p->w.n = p->bytes.iov_len;
    return move_drained(p, s);
}

/* Finds out where the bytes stand in both files. False if that is nowhere. */
static bool places_of(struct pair *p)
{
    struct candidate *c = &p->c;
    c->to = offsets_begin(c->destination, p->to);
    c->from = p->from.at >= 0 ? p->from.at : KERNEL(SYS_lseek, c->source, 0, SEEK_CUR) - (off_t)c->n;
    /* splice(2) sets a descriptor's offset as plainly as we do, whoever shares it; a session is for one's own alone. */
    p->w.at = !p->to && owned_holds(c->destination) ? -1 : c->to;
    c->exact = p->w.at < 0 ? REASON_NONE : REASON_PLACED;
    return c->to >= 0 && c->to <= INT64_MAX - (off_t)c->n && c->from >= 0 && (!p->to || offsets_set(p->to, c->to));
}

long copy_splice(int pipe, int out, off_t *to, size_t n, unsigned flags)
{
    const unsigned known = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
    struct pair p = {.from = piped, .pipe = pipe, .to = to, .w = {.count = 1, .n = piped.n}};
    p.c = (struct candidate){.source = p.from.source, .destination = out, .write = &p.w, .n = p.from.n};
    piped.n = 0;
    if (n < p.c.n || n > LONGEST_CALL || flags & ~known || settle_over() || settings.filtered ||
        p.from.age != recogniser_age(p.c.source) || !recogniser_worth(p.c.source, out) || !table_enter(&p.c.blocked))
        return 0;
    long moved = piped_fills(&p.from, pipe) && places_of(&p) ? move_piped(&p) : 0;
    table_leave(p.c.blocked);
    return moved;
}
