/* The line that shows large copies under way, on a terminal. */
#ifndef OFFLOAD_PROGRESS_H
#define OFFLOAD_PROGRESS_H

#include "record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies that are followed at once; further ones are not shown. */
#define PROGRESS_COPIES 64

struct progress_copy {
    uint64_t pid;
    char *source, *destination; /* NULL: the place is free */
    char engine[16];
    uint64_t size, done;
    uint64_t turn;         /* the number of its last record */
    int64_t since, latest; /* milliseconds of the monotonic clock: the first record and the last */
};

struct progress {
    int terminal; /* or -1: nothing is drawn */
    size_t columns, rows;
    bool drawn;   /* there is a line on the terminal */
    bool changed; /* it shows something older */
    int64_t drawn_at;
    uint64_t turns; /* records so far */
    struct progress_copy copies[PROGRESS_COPIES];
};

/* Whether progress can be shown at all: standard error is a terminal that can move its cursor. */
bool progress_possible(void);

/* Begins to follow copies, to draw on standard error if `on`. */
void progress_start(struct progress *progress, bool on);

/* Takes what a record says of a copy: how far it is, or that it has ended. */
void progress_take(struct progress *progress, const struct record *record);

/* Draws what is due, now. */
void progress_draw(struct progress *progress);

/* Milliseconds until progress_draw() has to do, or -1. */
int progress_time_left(const struct progress *progress);

/* Takes the line off the terminal; the next progress_draw() draws it again. */
void progress_clear(struct progress *progress);

/* Asks the terminal for its size. */
void progress_resized(struct progress *progress);

/* Clears the line and forgets all copies. */
void progress_end(struct progress *progress);

/*
 * The line for a copy, to be freed: name, percent, bytes, rate and engine, and how many others are under way, in so
 * many columns at most.
 */
char *progress_line(const struct progress_copy *copy, size_t others, size_t columns);

#endif
