#include "progress.h"

#include "command.h"
#include "names.h"
#include "summary.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The line is drawn at most so often, in milliseconds. */
#define INTERVAL 100
/* Stands for the rest of a name. */
#define DOTS "..."

/*
 * The line is the last row of the terminal, and what the command prints scrolls above it (DECSTBM): no column of the
 * command's has to be known, and none is overwritten. All around it the cursor is kept and given back (DECSC, DECRC).
 * These sequences are those of the VT100, which every terminal with a cursor follows, the Linux console too.
 */
#define CLEAR "\033[J"     /* from the cursor to the end, where nothing of the command's can be */
#define ROOM "\033D\033[A" /* down, which scrolls in the last row, and up again: one row is free below */
#define KEEP "\0337"
#define BACK "\0338"
#define WHOLE_SCREEN KEEP "\033[r" BACK

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- the copies ---- */

static bool is_of(const struct progress_copy *copy, const struct record *r)
{
    return copy->destination && copy->pid == r->pid && strcmp(copy->destination, r->destination) == 0 &&
           strcmp(copy->source, r->source) == 0;
}

static struct progress_copy *find(struct progress *p, const struct record *record)
{
    for (size_t i = 0; i < PROGRESS_COPIES; i++)
        if (is_of(&p->copies[i], record))
            return &p->copies[i];
    return NULL;
}

static void forget(struct progress *p, struct progress_copy *copy)
{
    free(copy->source);
    free(copy->destination);
    *copy = (struct progress_copy){0};
    p->changed = true;
}

static struct progress_copy *follow(struct progress *p, const struct record *r)
{
    struct progress_copy *copy = find(p, r);
    for (size_t i = 0; !copy && i < PROGRESS_COPIES; i++) {
        if (p->copies[i].destination)
            continue;
        copy = &p->copies[i];
        *copy = (struct progress_copy){.pid = r->pid, .since = now()};
        copy->source = strdup(r->source);
        copy->destination = strdup(r->destination);
        if (!copy->source || !copy->destination) {
            forget(p, copy);
            return NULL;
        }
    }
    return copy;
}

void progress_take(struct progress *progress, const struct record *record)
{
    if (progress->terminal < 0)
        return;
    if (!record->progress) {
        struct progress_copy *ended = find(progress, record);
        if (ended)
            forget(progress, ended);
        return;
    }
    struct progress_copy *copy = follow(progress, record);
    if (!copy)
        return;
    copy->size = record->size;
    copy->done = record->done;
    copy->latest = now();
    copy->turn = ++progress->turns;
    stpncpy(copy->engine, record->engine ? record->engine : "", sizeof copy->engine - 1);
    copy->engine[sizeof copy->engine - 1] = 0;
    progress->changed = true;
}

/* A process that was killed says nothing of its copies any more. */
static void forget_dead(struct progress *p)
{
    for (size_t i = 0; i < PROGRESS_COPIES; i++)
        if (p->copies[i].destination && kill((pid_t)p->copies[i].pid, 0) < 0 && errno == ESRCH)
            forget(p, &p->copies[i]);
}

/* The copy that was heard of last, or NULL, and how many others there are. */
static const struct progress_copy *latest(const struct progress *p, size_t *others)
{
    const struct progress_copy *copy = NULL;
    *others = 0;
    for (size_t i = 0; i < PROGRESS_COPIES; i++) {
        if (!p->copies[i].destination)
            continue;
        *others += copy != NULL;
        if (!copy || p->copies[i].turn > copy->turn)
            copy = &p->copies[i];
    }
    return copy;
}

/* ---- the line ---- */

static unsigned percent(const struct progress_copy *copy)
{
    if (copy->done >= copy->size)
        return 100;
    return (unsigned)((__uint128_t)copy->done * 100 / copy->size);
}

static char *shown_name(const struct progress_copy *copy)
{
    const char *slash = strrchr(copy->destination, '/');
    return name_printable(slash && slash[1] ? slash + 1 : copy->destination);
}

char *progress_line(const struct progress_copy *copy, size_t others, size_t columns)
{
    char size[16], rate[16], more[32] = "", figures[128];
    int64_t time = copy->latest - copy->since;
    char *engine = text_printable(*copy->engine ? copy->engine : "not offloaded");
    uint64_t per_second = time > 0 ? (uint64_t)((__uint128_t)copy->done * 1000 / (uint64_t)time) : 0;
    if (others)
        snprintf(more, sizeof more, "  (%zu more)", others);
    snprintf(figures, sizeof figures, "  %3u%%  %10s  %10s/s  %s%s", percent(copy), bytes_for_people(copy->done, size),
             bytes_for_people(per_second, rate), engine, more);
    free(engine);
    char *name = shown_name(copy);
    size_t room = columns > text_width(figures) ? columns - text_width(figures) : 0;
    bool cut = text_width(name) > room;
    if (cut)
        text_cut(name, room > strlen(DOTS) ? room - strlen(DOTS) : 0);
    char *line = NULL;
    if (asprintf(&line, "%s%s%s", name, cut ? DOTS : "", figures) < 0)
        line = NULL;
    free(name);
    if (line)
        text_cut(line, columns);
    return line;
}

/* ---- the terminal ---- */

bool progress_possible(void)
{
    const char *type = getenv("TERM");
    return isatty(STDERR_FILENO) && type && *type && strcmp(type, "dumb") != 0;
}

/* Whether the terminal is ours to draw on: we are in the foreground. */
static bool in_front(const struct progress *p)
{
    return p->terminal >= 0 && tcgetpgrp(p->terminal) == getpgrp();
}

/* Whether a program has the whole screen: it takes keys as they come. */
static bool is_taken(const struct progress *p)
{
    struct termios mode;
    return tcgetattr(p->terminal, &mode) < 0 || !(mode.c_lflag & ICANON);
}

/* A terminal that is gone shows nothing, and that is all. */
static void send_text(const struct progress *p, char *text)
{
    if (text)
        write_all(p->terminal, text, strlen(text));
    free(text);
}

void progress_resized(struct progress *progress)
{
    struct winsize size;
    progress_clear(progress);
    progress->columns = 80;
    progress->rows = 24;
    if (progress->terminal >= 0 && ioctl(progress->terminal, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
        progress->columns = size.ws_col;
        progress->rows = size.ws_row;
    }
}

void progress_start(struct progress *progress, bool on)
{
    *progress = (struct progress){.terminal = on ? STDERR_FILENO : -1};
    progress_resized(progress);
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn && in_front(progress))
        send_text(progress, strdup(is_taken(progress) ? WHOLE_SCREEN : WHOLE_SCREEN CLEAR));
    progress->drawn = false;
    progress->changed = true;
}

static void draw_line(struct progress *p, char *line)
{
    char *text = NULL;
    if (!p->drawn && asprintf(&text, CLEAR ROOM KEEP "\033[1;%zur" BACK, p->rows - 1) >= 0)
        send_text(p, text);
    p->drawn = true;
    if (line && asprintf(&text, KEEP "\033[%zu;1H%s\033[K" BACK, p->rows, line) >= 0)
        send_text(p, text);
    free(line);
}

void progress_draw(struct progress *progress)
{
    size_t others;
    if (progress_time_left(progress) != 0)
        return;
    forget_dead(progress);
    const struct progress_copy *copy = latest(progress, &others);
    /* The last column is left free, where terminals differ. */
    if (copy && progress->rows > 2 && in_front(progress) && !is_taken(progress))
        draw_line(progress, progress_line(copy, others, progress->columns - 1));
    else
        progress_clear(progress);
    progress->changed = false;
    progress->drawn_at = now();
}

int progress_time_left(const struct progress *progress)
{
    if (progress->terminal < 0 || !progress->changed)
        return -1;
    int64_t left = progress->drawn_at + INTERVAL - now();
    return left < 0 ? 0 : left > INTERVAL ? INTERVAL : (int)left;
}

void progress_end(struct progress *progress)
{
    progress_clear(progress);
    for (size_t i = 0; i < PROGRESS_COPIES; i++)
        if (progress->copies[i].destination)
            forget(progress, &progress->copies[i]);
    progress->changed = false;
}
