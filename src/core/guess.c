#include "guess.h"

#include "../buffers/compare.h"
#include "exact.h"
#include "guards.h"
#include "settings.h"
#include "syscalls.h"

#include <unistd.h>

#define LONGEST_WAIT 1024

/*
 * What a program writes for itself in passing (a cache, a log, a compiled script) is short. That it is no copy says
 * nothing of long writes, which each could be offloaded by itself.
 */
static __thread struct pace {
    unsigned wait;  /* writes that are still let pass */
    unsigned delay; /* writes that were to be let pass the last time */
} of_short, of_long;

static struct pace *pace_of(size_t n)
{
    return n < EXACT_LEAST ? &of_short : &of_long;
}

bool guess_is_due(size_t n)
{
    struct pace *pace = pace_of(n);
    if (!pace->wait)
        return true;
    pace->wait--;
    return false;
}

void guess_was(size_t n, bool right)
{
    struct pace *pace = pace_of(n);
    if (right) {
        pace->delay = 0;
        return;
    }
    pace->delay = pace->delay == 0 ? 1 : pace->delay < LONGEST_WAIT ? pace->delay * 2 : pace->delay;
    pace->wait = pace->delay;
    /* They have been looked at, and are not to be read, and their times of access moved, much later. */
    recogniser_forget_sources();
}

/* ---- mappings ---- */

struct mapping {
    uintptr_t at;
    size_t n; /* 0: none */
    off_t from;
    int fd;
    uint8_t age;
};

/* The last ones. What two threads write at once may be of two mappings: it leads to a guess that is wrong. */
#define MAPPINGS 8
static struct mapping mappings[MAPPINGS];
static unsigned next_mapping;

void guess_note_mapping(int fd, const void *at, size_t n, off_t from)
{
    unsigned place = __atomic_fetch_add(&next_mapping, 1, __ATOMIC_RELAXED) % MAPPINGS;
    mappings[place] = (struct mapping){(uintptr_t)at, n, from, fd, recogniser_age(fd)};
}

/* The newest mapping that holds the byte, or NULL. */
static const struct mapping *mapping_of(const void *byte)
{
    unsigned next = __atomic_load_n(&next_mapping, __ATOMIC_RELAXED);
    for (unsigned back = 1; back <= MAPPINGS; back++) {
        const struct mapping *mapping = &mappings[(next - back) % MAPPINGS];
        if ((uintptr_t)byte - mapping->at < mapping->n)
            return mapping->age == recogniser_age(mapping->fd) ? mapping : NULL;
    }
    return NULL;
}

/* ---- the look ---- */

/* Does the source hold the write's first and last bytes at that place? If so, that is where the candidate is from. */
static bool holds(struct candidate *c, int source, off_t from, off_t size)
{
    const struct iovec *first = c->write->pieces;
    if (from < 0 || from > size - (off_t)c->n || !compare_begins(first->iov_base, first->iov_len, source, from))
        return false;
    c->source = source;
    c->from = from;
    return true;
}

/* Is it a file that a clone to the destination could be of? */
static bool is_likely(const struct candidate *c, int source, struct file_state *state)
{
    return source != c->destination && guard_look(source, state) && !state->raw && state->size > 0 &&
           !settings_too_small(state->size) && state->device == c->destination_state.device;
}

/* This thread's last read, or NULL: its descriptor has been closed, or there was none. */
static const struct read_note *last_read(void)
{
    const struct read_note *note = recogniser_newest();
    return note->length && note->age == recogniser_age(note->fd) ? note : NULL;
}

/* Where that has come to: the write has the bytes before it, or is one read late. */
static bool holds_where_read(struct candidate *c)
{
    struct file_state state;
    const struct read_note *note = last_read();
    if (!note || !is_likely(c, note->fd, &state))
        return false;
    off_t end = recogniser_source_offset(note, note->buffer) + (off_t)note->length;
    return holds(c, note->fd, c->to, state.size) || holds(c, note->fd, end - (off_t)c->n, state.size) ||
           holds(c, note->fd, end - (off_t)note->length - (off_t)c->n, state.size);
}

static bool holds_in_mapping(struct candidate *c)
{
    struct file_state state;
    const char *first = c->write->pieces->iov_base;
    const struct mapping *mapping = mapping_of(first);
    if (!mapping || !is_likely(c, mapping->fd, &state))
        return false;
    return holds(c, mapping->fd, mapping->from + (off_t)((uintptr_t)first - mapping->at), state.size);
}

static bool holds_in_any(struct candidate *c)
{
    for (unsigned i = 0; i < SOURCES; i++) {
        struct file_state state;
        int source = recogniser_source(i);
        if (source >= 0 && is_likely(c, source, &state) && holds(c, source, c->to, state.size))
            return true;
    }
    return false;
}

bool guess_contradicts(const struct read_note *note, int destination, const struct program_write *w)
{
    const struct iovec *first = w->pieces;
    struct candidate c = {.write = w, .n = w->n, .destination = destination};
    struct file_state state;
    if (!guard_look(destination, &c.destination_state) || !is_likely(&c, note->fd, &state))
        return false;
    return !compare_readable(first->iov_base, first->iov_len) ||
           !holds(&c, note->fd, recogniser_source_offset(note, first->iov_base), state.size);
}

/* Whether anything that was read or mapped is still open. A program that has closed it all (sort) pays no system call. */
static bool may_have_source(const struct candidate *c)
{
    bool may = last_read() || mapping_of(c->write->pieces->iov_base);
    for (unsigned i = 0; i < SOURCES && !may; i++)
        may = recogniser_source(i) >= 0;
    return may;
}

bool guess_source(struct candidate *c)
{
    const struct iovec *first = c->write->pieces;
    if (!may_have_source(c))
        return false;
    if (!guard_look(c->destination, &c->destination_state)) {
        recogniser_found_irregular(c->destination);
        return false;
    }
    if (c->to < 0)
        c->to = KERNEL(SYS_lseek, c->destination, 0, SEEK_CUR);
    if (c->to < 0 || !compare_readable(first->iov_base, first->iov_len))
        return false;
    return holds_in_mapping(c) || holds_where_read(c) || holds_in_any(c);
}
