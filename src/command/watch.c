#include "watch.h"

#include "collect.h"
#include "command.h"
#include "core/settings.h"
#include "names.h"
#include "progress.h"
#include "run.h"
#include "summary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many copies that were not offloaded are named one by one. */
#define NAMED 5

struct watching {
    const struct watch *watch;
    int out;   /* where the summary goes */
    int lines; /* where the lines of -v go, or -1 */
    bool failed_to_write;
    struct collect collect;
    struct progress progress;
    struct summary summary;
    uint64_t failures; /* copies that were not wholly offloaded */
    char *failed[NAMED];
};

/* ---- a copy ---- */

static char *names_of(const struct record *r)
{
    char *source = name_printable(r->source);
    char *destination = name_printable(r->destination);
    char *reason = text_printable(r->reason);
    char *text = NULL;
    if (asprintf(&text, "%s -> %s%s%s%s", source, destination, record_is_whole(r) ? "" : " (",
                 record_is_whole(r) ? "" : reason, record_is_whole(r) ? "" : ")") < 0)
        text = NULL;
    free(source);
    free(destination);
    free(reason);
    return text;
}

static char *amount_of(const struct record *r)
{
    char *text = NULL;
    int n;
    char *engine = text_printable(r->engine ? r->engine : "an engine");
    if (r->offloaded == 0)
        n = asprintf(&text, "none of %llu bytes offloaded", (unsigned long long)r->written);
    else if (r->written == 0)
        n = asprintf(&text, "%llu bytes by %s", (unsigned long long)r->offloaded, engine);
    else
        n = asprintf(&text, "%llu of %llu bytes by %s", (unsigned long long)r->offloaded,
                     (unsigned long long)record_bytes(r), engine);
    free(engine);
    return n < 0 ? NULL : text;
}

static void print(struct watching *w, int fd, const char *text, size_t n)
{
    /* As with all that goes to standard error: there is no one to tell. */
    if (!write_all(fd, text, n) && fd != STDERR_FILENO)
        w->failed_to_write = true;
}

/* The line of -v, whole whoever else writes there. */
static void tell_of(struct watching *w, const struct record *r)
{
    char *amount = amount_of(r);
    char *names = names_of(r);
    char *line = NULL;
    progress_clear(&w->progress);
    int n = asprintf(&line, "%s%s: %s\n", w->lines == STDERR_FILENO ? "offload: " : "", amount ? amount : "",
                     names ? names : "");
    if (n > 0)
        print(w, w->lines, line, (size_t)n);
    free(line);
    free(names);
    free(amount);
}

static void take_record(void *what, const struct record *record)
{
    struct watching *w = what;
    progress_take(&w->progress, record);
    if (record->progress)
        return;
    summary_add(&w->summary, record);
    if (w->lines >= 0)
        tell_of(w, record);
    if (!w->watch->always || record_is_whole(record))
        return;
    if (w->failures < NAMED)
        w->failed[w->failures] = names_of(record);
    w->failures++;
}

/* ---- while it runs ---- */

static void work(void *what)
{
    struct watching *w = what;
    collect_read(&w->collect);
    progress_draw(&w->progress);
}

static int time_left(void *what)
{
    const struct watching *w = what;
    return progress_time_left(&w->progress);
}

static void resized(void *what)
{
    struct watching *w = what;
    progress_resized(&w->progress);
}

static void stopping(void *what)
{
    struct watching *w = what;
    progress_clear(&w->progress);
}

/* ---- before it ---- */

/* Opens the user's own file for records, as the library would (report_open()). */
static int open_log(void)
{
    if (!settings.report)
        return -1;
    int fd = open(settings.report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        say("OFFLOAD_REPORT: the file cannot be opened for writing (%s); no reports", strerror(errno));
    return above_standard(fd);
}

/*
 * The library writes to OFFLOAD_COLLECT alone: an outer `offload` gets its records from this one, and so does the file
 * that the user asked for; as without us, one that is in the environment only if there is no outer one.
 */
static void open_forwards(struct watching *w)
{
    struct collect *c = &w->collect;
    c->forward[0] =
        settings.collect ? above_standard(open(settings.collect, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY)) : -1;
    c->forward[1] = w->watch->options->logs || c->forward[0] < 0 ? open_log() : -1;
    c->forward_progress = settings.progress;
}

/* Opens what -v and --report print to. */
static void open_output(struct watching *w)
{
    const struct options *options = w->watch->options;
    w->out = STDERR_FILENO;
    if (options->output) {
        w->out = above_standard(open(options->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666));
        if (w->out < 0)
            fail(STATUS_FAILED, "--output cannot open %s: %s; choose another file", name_printable(options->output),
                 strerror(errno));
    }
    /* A JSON document has its file to itself. */
    w->lines = !options->verbose ? -1 : options->report == REPORT_JSON ? STDERR_FILENO : w->out;
}

/* ---- after it ---- */

static void print_summary(struct watching *w)
{
    char *text = NULL;
    size_t n = 0;
    if (w->watch->options->report == NO_REPORT)
        return;
    FILE *memory = open_memstream(&text, &n);
    w->summary.unusable = w->collect.unusable;
    w->summary.nothing = w->watch->nothing;
    if (memory && w->watch->options->report == REPORT_TABLE)
        summary_table(&w->summary, memory);
    else if (memory)
        summary_json(&w->summary, memory);
    if (memory && fclose(memory) == 0)
        print(w, w->out, text, n);
    free(text);
}

static void print_failures(const struct watching *w)
{
    for (uint64_t i = 0; i < w->failures && i < NAMED; i++)
        say("not wholly offloaded: %s", w->failed[i] ? w->failed[i] : "?");
    if (w->failures)
        say("%llu of %llu copies were not wholly offloaded, as --policy=always asks; see offload --report",
            (unsigned long long)w->failures, (unsigned long long)w->summary.copies);
    else if (!w->summary.copies && w->watch->nothing && w->watch->options->report == NO_REPORT)
        say("no copy was recognised: %s", w->watch->nothing);
}

/* Whether all that was printed has got to its file; says so if not. */
static bool output_is_whole(struct watching *w)
{
    if (w->out != STDERR_FILENO && close(w->out) < 0)
        w->failed_to_write = true;
    if (w->failed_to_write) {
        char *shown = name_printable(w->watch->options->output);
        say("--output could not write all of %s: make room there, or choose another file", shown);
        free(shown);
    }
    return !w->failed_to_write;
}

_Noreturn static void end(struct watching *w, int status)
{
    bool whole = output_is_whole(w);
    for (size_t i = 0; i < NAMED; i++)
        free(w->failed[i]);
    summary_free(&w->summary);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (w->watch->always && w->failures)
            exit(STATUS_NOT_OFFLOADED);
        if (!whole)
            exit(STATUS_FAILED);
    }
    run_end_alike(status);
}

void watch_run(const struct watch *watch, const char *path, char **argv)
{
    static struct watching w;
    w.watch = watch;
    open_output(&w);
    open_forwards(&w);
    run_hold_signals();
    if (!collect_open(&w.collect, take_record, &w)) {
        say("cannot make a file for the records (%s: %s): the command runs, and there will be no summary; set TMPDIR "
            "to a directory with room",
            w.collect.path, strerror(errno));
        run_release_signals();
        run_in_place(path, argv);
    }
    progress_start(&w.progress, watch->options->progress);
    if (watch->options->report == REPORT_JSON)
        w.summary.list = json_array();
    if (setenv("OFFLOAD_COLLECT", w.collect.path, 1) < 0 ||
        (watch->options->progress && setenv("OFFLOAD_PROGRESS", "on", 1) < 0))
        fail(STATUS_FAILED, "cannot set OFFLOAD_COLLECT: %s; give the process more memory", strerror(errno));
    const struct run_events events = {&w, w.collect.notice, work, time_left, resized, stopping};
    struct run_end ended = run_child(path, argv, &events);
    collect_close(&w.collect);
    progress_end(&w.progress);
    run_drop_signals();
    if (ended.error)
        exit(run_complain(path, argv[0], ended.error));
    print_summary(&w);
    print_failures(&w);
    end(&w, ended.status);
}
