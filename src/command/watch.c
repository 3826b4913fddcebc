#include "watch.h"

#include "collect.h"
#include "command.h"
#include "core/reasons.h"
#include "core/settings.h"
#include "extents.h"
#include "names.h"
#include "output.h"
#include "program.h"
#include "progress.h"
#include "run.h"
#include "summary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many copies that were not offloaded are named one by one. */
#define NAMED 5

struct watching {
    const struct watch *watch;
    int out;             /* where the summary goes */
    struct output lines; /* those of -v */
    bool failed_to_write;
    bool collecting; /* the records can be read */
    struct collect collect;
    struct progress progress;
    struct summary summary;
    uint64_t failures; /* copies that were not wholly offloaded */
    char *failed[NAMED];
};

/* ---- a copy ---- */

/* A name that the library could not get is "?", which no name is without quotes. */
static char *name_told(const char *name)
{
    return *name ? name_printable(name) : strdup("?");
}

static char *names_of(const struct record *r)
{
    char *source = name_told(r->source);
    char *destination = name_told(r->destination);
    char *reason = text_printable(r->reason);
    char *text = NULL;
    if (asprintf(&text, "%s -> %s%s%s%s", source ? source : "", destination ? destination : "",
                 record_is_whole(r) ? "" : " (", record_is_whole(r) ? "" : reason, record_is_whole(r) ? "" : ")") < 0)
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

/* The line of -v, whole whoever else writes there. */
static void tell_of(struct watching *w, const struct record *r)
{
    char *amount = amount_of(r);
    char *names = names_of(r);
    char *line = NULL;
    progress_clear(&w->progress);
    int n = asprintf(&line, "%s%s: %s\n", w->lines.fd == STDERR_FILENO ? "offload: " : "", amount ? amount : "",
                     names ? names : "");
    if (n > 0)
        output_add(&w->lines, line, (size_t)n);
    free(line);
    free(names);
    free(amount);
}

/* What the library cannot know of a copy that the program had the kernel make, the files can tell. */
static struct record look_at_files(const struct record *record)
{
    struct record r = *record;
    if (r.offloaded || strcasecmp(r.cause, reason_name(REASON_OWN_CALL)) != 0)
        return r;
    switch (extents_compare(r.source, r.destination)) {
    case EXTENTS_SHARED:
        r.engine = "program";
        r.offloaded = r.written ? r.written : r.size;
        r.written = 0;
        r.cause = "none";
        r.reason = reason_words(REASON_NONE);
        break;
    case EXTENTS_APART:
        r.reason = "the program had the kernel copy (copy_file_range), which did not share all extents";
        break;
    case EXTENTS_UNKNOWN:
        r.reason = "the program had the kernel copy (copy_file_range); whether extents are shared is not known";
        break;
    }
    return r;
}

static void take_copy(struct watching *w, const struct record *record)
{
    summary_add(&w->summary, record);
    if (w->lines.fd >= 0)
        tell_of(w, record);
    if (!w->watch->always || record_is_whole(record))
        return;
    if (w->failures < NAMED)
        w->failed[w->failures] = names_of(record);
    w->failures++;
}

static void take_record(void *what, const struct record *record)
{
    struct watching *w = what;
    progress_take(&w->progress, record);
    if (record->progress)
        return;
    const struct record seen = look_at_files(record);
    take_copy(w, &seen);
}

/* ---- while it runs ---- */

static void work(void *what)
{
    struct watching *w = what;
    output_write(&w->lines);
    if (w->collecting)
        collect_read(&w->collect);
    if (output_waits_for(&w->lines) < 0)
        progress_draw(&w->progress);
}

static int room(void *what)
{
    const struct watching *w = what;
    return output_waits_for(&w->lines);
}

static int time_left(void *what)
{
    const struct watching *w = what;
    return output_waits_for(&w->lines) < 0 ? progress_time_left(&w->progress) : -1;
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

/* A descriptor of the command's own output that can be written and leads to that file, or -1. */
static int standard_of(const struct stat *file)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        struct stat own;
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &own) == 0 && own.st_dev == file->st_dev &&
            own.st_ino == file->st_ino)
            return fd;
    }
    return -1;
}

/*
 * The file of --output, emptied; but where the command's own output goes to the same file, nothing of that is taken
 * away or written over: its place in the file is ours too. -1 with errno if that fails.
 */
static int open_file(const char *name)
{
    struct stat file;
    int fd = above_standard(open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666));
    if (fd < 0 || fstat(fd, &file) < 0)
        return -1;
    int standard = standard_of(&file);
    if (standard >= 0) {
        close(fd);
        return fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    }
    return S_ISREG(file.st_mode) && ftruncate(fd, 0) < 0 ? -1 : fd;
}

/* Opens what -v and --report print to. */
static void open_output(struct watching *w)
{
    const struct options *options = w->watch->options;
    w->out = STDERR_FILENO;
    if (options->output) {
        w->out = open_file(options->output);
        if (w->out < 0)
            fail(STATUS_FAILED, "--output cannot open %s: %s; choose another file", name_printable(options->output),
                 strerror(errno));
    }
    /* A JSON document has its file to itself. */
    output_open(&w->lines, !options->verbose ? -1 : options->report == REPORT_JSON ? STDERR_FILENO : w->out);
}

/* ---- after it ---- */

static ssize_t write_out(void *what, const char *bytes, size_t n)
{
    const struct watching *w = what;
    return write_all(w->out, bytes, n) ? (ssize_t)n : 0;
}

/* The table has room in the stream's buffer, and is written at once; a list of copies may be of any length. */
static void print_summary(struct watching *w)
{
    static char buffer[1 << 16];
    if (w->watch->options->report == NO_REPORT || !w->collecting)
        return;
    FILE *out = fopencookie(w, "w", (cookie_io_functions_t){.write = write_out});
    if (!out)
        fail(STATUS_FAILED, "no memory for the summary; give the process more of it (ulimit -v)");
    setvbuf(out, buffer, _IOFBF, sizeof buffer);
    w->summary.unusable = w->collect.unusable;
    w->summary.nothing = w->watch->nothing;
    if (w->watch->options->report == REPORT_TABLE)
        summary_table(&w->summary, out);
    else
        summary_json(&w->summary, out);
    bool failed = ferror(out);
    failed |= fclose(out) != 0;
    /* As with all that goes to standard error: there is no one to tell. */
    w->failed_to_write |= failed && w->out != STDERR_FILENO;
    if (w->summary.list_is_cut)
        say("the list of copies is not complete, as there was no room for it beside %s; set TMPDIR to a directory with "
            "room",
            w->collect.path);
}

static void print_failures(const struct watching *w)
{
    for (uint64_t i = 0; i < w->failures && i < NAMED; i++)
        say("not wholly offloaded: %s", w->failed[i] ? w->failed[i] : "?");
    if (w->failures)
        say("%llu of %llu copies were not wholly offloaded, as --policy=always asks; see offload --report",
            (unsigned long long)w->failures, (unsigned long long)w->summary.copies);
    if (w->collect.short_of_room)
        say("records of copies may be missing: there was no room for them in %s; set TMPDIR to a directory with room",
            w->collect.path);
    if (w->watch->always && w->collect.unusable)
        say("--policy=always cannot be kept: %llu %s of the records could not be read",
            (unsigned long long)w->collect.unusable, w->collect.unusable == 1 ? "line" : "lines");
    if (w->watch->always && w->watch->nothing)
        say("--policy=always cannot be kept: %s; what the program copied is not known", w->watch->nothing);
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

/* Whether every record that was written has been read. */
static bool all_known(const struct watching *w)
{
    return w->collecting && !w->collect.unusable && !w->collect.short_of_room;
}

_Noreturn static void end(struct watching *w, int status)
{
    bool whole = output_is_whole(w);
    for (size_t i = 0; i < NAMED; i++)
        free(w->failed[i]);
    summary_free(&w->summary);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (w->watch->always && (w->failures || w->watch->nothing || !all_known(w)))
            exit(STATUS_NOT_OFFLOADED);
        if (!whole || w->summary.list_is_cut)
            exit(STATUS_FAILED);
    }
    run_end_alike(status);
}

/* Says that there are no records; without --policy=always there is nothing left to wait for. */
static void do_without_records(const struct watching *w, const char *path, char **argv)
{
    const char *why = strerror(errno);
    if (w->watch->always) {
        say("cannot make a file for the records (%s: %s): the command runs, but --policy=always cannot be kept, as its "
            "copies are not known; set TMPDIR to a directory with room",
            w->collect.path, why);
        return;
    }
    say("cannot make a file for the records (%s: %s): the command runs, and there will be no summary; set TMPDIR to a "
        "directory with room",
        w->collect.path, why);
    run_release_signals();
    run_in_place(path, argv);
}

static void open_list(struct watching *w)
{
    w->summary.list = collect_make_another(&w->collect);
    w->summary.list_is_cut = w->summary.list < 0;
}

static void close_lines(struct watching *w)
{
    output_close(&w->lines);
    w->failed_to_write |= w->lines.failed && w->lines.fd != STDERR_FILENO;
    if (w->lines.lost)
        say("%llu lines of -v are lost: nobody read them for too long", (unsigned long long)w->lines.lost);
}

void watch_run(const struct watch *watch, const char *path, char **argv)
{
    static struct watching w;
    w.watch = watch;
    open_output(&w);
    open_forwards(&w);
    run_hold_signals();
    w.collecting = collect_open(&w.collect, take_record, &w);
    if (!w.collecting)
        do_without_records(&w, path, argv);
    progress_start(&w.progress, watch->options->progress);
    if (w.collecting && watch->options->report == REPORT_JSON)
        open_list(&w);
    if ((w.collecting && setenv("OFFLOAD_COLLECT", w.collect.path, 1) < 0) ||
        (watch->options->progress && setenv("OFFLOAD_PROGRESS", "on", 1) < 0))
        fail(STATUS_FAILED, "cannot set OFFLOAD_COLLECT: %s; give the process more memory", strerror(errno));
    const struct run_events events = {&w,      w.collecting ? w.collect.notice : -1, work, room, time_left, resized,
                                      stopping};
    struct run_end ended = run_child(path, argv, &events);
    if (w.collecting)
        collect_close(&w.collect);
    progress_end(&w.progress);
    run_drop_signals();
    close_lines(&w);
    if (ended.error)
        exit(program_complain(path, argv[0], ended.error));
    print_summary(&w);
    print_failures(&w);
    end(&w, ended.status);
}
