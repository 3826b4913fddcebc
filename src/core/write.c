#include "write.h"

#include "alone.h"
#include "begin.h"
#include "copy.h"
#include "guess.h"
#include "mark.h"
#include "offsets.h"
#include "reads.h"
#include "settle.h"

#include <limits.h>
#include <sys/uio.h>

/* A running session takes the write. */
static bool write_running(int fd, const struct program_write *w, bool *running)
{
    uint64_t blocked;
    if (!table_enter_running(&blocked))
        return false;
    struct session *s = settle_running(fd);
    bool served = s && mark_write(s, w);
    *running = s != NULL;
    if (s)
        settle_leave(s);
    table_leave(blocked);
    return served;
}

bool write_candidate(struct candidate *c)
{
    struct session *s = begin_session(c);
    if (!s)
        return c->exact != REASON_NONE && alone_write(c);
    bool served = mark_write(s, c->write);
    if (!served)
        begin_refuse(c, s->tally.reason);
    settle_leave(s);
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
    if (!begin_fits(c, note) || !table_enter(&c->blocked))
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
    if (copy_running())
        reads_end_if_killed();
    if (w->n == 0 || w->n > LONGEST_CALL || settle_over())
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
    return !offsets_go_beyond(at, n) && serve_write(fd, &w);
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
    return w->n && !offsets_go_beyond(w->at, w->n) && serve_write(fd, w) ? w->n : 0;
}

size_t copy_write_pieces(int fd, const struct iovec *pieces, int count, off_t at)
{
    struct program_write w = {.pieces = pieces, .count = count, .at = at};
    bool ours = (at >= 0 || owned_holds(fd)) && !settle_over();
    if (!ours || count <= 0 || count > IOV_MAX || !compare_readable(pieces, (size_t)count * sizeof *pieces))
        return 0;
    return write_pieces(fd, &w);
}

size_t copy_write_stream(int fd, const struct iovec *pieces, int count)
{
    struct program_write w = {.pieces = pieces, .count = count, .at = -1};
    return owned_holds(fd) ? write_pieces(fd, &w) : 0;
}
