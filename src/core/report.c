#include "report.h"

#include "json.h"
#include "private.h"
#include "settings.h"
#include "syscalls.h"

#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_SIZE ((size_t)2 * SESSION_PATH)
/* Program, source and destination, and the rest. */
#define LINE_SIZE ((size_t)3 * JSON_NAME_ROOM(SESSION_PATH) + 4096)

/* Bytes of source below which a copy is over before anybody would look for its progress. */
#define LARGE ((off_t)32 << 20)
/* Bytes between two lines of progress at least; and there are about so many lines in a copy at most. */
#define PROGRESS_STEP ((uint64_t)16 << 20)
#define PROGRESS_LINES 128

static int *const descriptor = &private_descriptors[PRIVATE_REPORT];

/* ---- the descriptor ---- */

/* Never blocks: neither the opening of a FIFO, nor a write to one that nobody reads; such a line is lost. */
#define WRITING (O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* The file is as the command made it: of this user, for nobody else, and under that name alone. */
static bool is_commands_own(long fd)
{
    struct stat st;
    return KERNEL(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) == 0 && st.st_nlink == 1 &&
           st.st_uid == (uid_t)KERNEL(SYS_geteuid);
}

/*
 * The command's own file is gone when the command has ended, and programs that it started may live on: no complaint.
 * Whoever finds the name free by then may put something else there.
 */
static long open_collect(void)
{
    if (!settings.collect)
        return -1;
    long low = KERNEL(SYS_openat, AT_FDCWD, settings.collect, WRITING | O_NOFOLLOW);
    if (low < 0 || is_commands_own(low))
        return low;
    KERNEL(SYS_close, low);
    return -1;
}

static long open_report(void)
{
    long low = open_collect();
    if (low >= 0 || !settings.report)
        return low;
    low = KERNEL(SYS_openat, AT_FDCWD, settings.report, WRITING | O_CREAT, 0666);
    if (low < 0) {
        static const char problem[] = "liboffload: OFFLOAD_REPORT: the file cannot be opened for writing; no reports\n";
        KERNEL(SYS_write, STDERR_FILENO, problem, sizeof problem - 1);
    }
    return low;
}

void report_open(void)
{
    long low = settings.off ? -1 : open_report();
    if (low < 0)
        return;
    private_keep(PRIVATE_REPORT, private_descriptor(low));
}

bool report_wanted(void)
{
    return *descriptor >= 0;
}

/* ---- the lines ---- */

/* Why the copy is not offloaded to its end, seen from the end. */
static enum reason outcome(const struct session *s)
{
    if (s->tally.offloaded && !s->tally.written && s->mark == s->source.size + s->shift)
        return REASON_NONE;
    return s->tally.reason == REASON_NONE ? REASON_UNFINISHED : s->tally.reason;
}

/* Who copies what. */
static void add_copy(struct json *line, const char *event, const struct session *s)
{
    /* Behind the line's own bytes: the program's stack may be a signal handler's, of two kilobytes. */
    char *program = line->bytes + LINE_SIZE;
    long n = KERNEL(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", program, SESSION_PATH - 1);
    program[n > 0 ? n : 0] = 0;
    json_raw(line, "{");
    json_text(line, "event", event);
    json_text(line, "version", PACKAGE_VERSION);
    json_name(line, "program", program);
    json_number(line, "pid", (uint64_t)KERNEL(SYS_getpid));
    json_name(line, "source", report_source(s));
    json_name(line, "destination", report_destination(s));
    json_number(line, "size", (uint64_t)s->source.size);
}

static const char *engine_of(const struct session *s)
{
    return s->tally.offloaded ? s->tally.engine : NULL;
}

/* How it was proven that the program wrote what it had read; NULL if nothing was proven, or there were no buffers. */
static const char *proof_of(const struct session *s)
{
    if (!s->pair.compares || !s->tally.writes_elided)
        return NULL;
    return s->tally.reads_elided ? "lazy" : "compare";
}

/* Why no read was left out, or not any more, where it was asked that they be. */
static void add_laziness(struct json *line, const struct session *s)
{
    enum reason why = s->lazy.refused;
    if (why == REASON_NONE && proof_of(s) && !s->tally.reads_elided)
        why = REASON_LAZY_SMALL;
    json_text(line, "buffers_reason", why == REASON_NONE ? NULL : reason_words(why));
    json_number(line, "faults", s->lazy.faults);
}

/* The reason's name in small letters. */
static void add_cause(struct json *line, enum reason why)
{
    json_text(line, "cause", reason_name(why));
    char *last = line->bytes + line->length - 1;
    for (char *c = last - strlen(reason_name(why)); c < last; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
}

static void add_outcome(struct json *line, const struct session *s)
{
    json_number(line, "offloaded", s->tally.offloaded);
    json_number(line, "written", s->tally.written);
    json_text(line, "engine", engine_of(s));
    json_text(line, "buffers", proof_of(s));
    json_number(line, "reads_elided", s->tally.reads_elided);
    json_number(line, "writes_elided", s->tally.writes_elided);
    if (settings.lazy || s->lazy.refused != REASON_NONE)
        add_laziness(line, s);
    add_cause(line, outcome(s));
    json_text(line, "reason", reason_words(outcome(s)));
}

static void add_progress(struct json *line, const struct session *s)
{
    json_number(line, "done", s->tally.told);
    json_text(line, "engine", engine_of(s));
}

static void *take_pages(size_t n)
{
    long at = KERNEL(SYS_mmap, NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

static uint64_t pending(void)
{
    uint64_t signals = 0;
    KERNEL(SYS_rt_sigpending, &signals, sizeof signals);
    return signals;
}

/*
 * All signals are blocked here (table_enter()). Those by which the kernel answers a write beyond the file size limit or
 * to a pipe without a reader are for a write of ours, not of the program's: they are taken back.
 */
static void write_quietly(const struct json *line)
{
    const uint64_t answers = 1UL << (SIGXFSZ - 1) | 1UL << (SIGPIPE - 1);
    const struct timespec at_once = {0, 0};
    uint64_t before = pending();
    KERNEL(SYS_write, *descriptor, line->bytes, line->length);
    uint64_t ours = pending() & ~before & answers;
    if (ours)
        KERNEL(SYS_rt_sigtimedwait, &ours, NULL, &at_once, sizeof ours);
}

static void write_line(const struct session *s, const char *event, void (*add)(struct json *, const struct session *))
{
    struct json line = {take_pages(LINE_SIZE + SESSION_PATH), 0};
    if (line.bytes && private_leads_there(PRIVATE_REPORT)) {
        add_copy(&line, event, s);
        add(&line, s);
        json_raw(&line, "}\n");
        write_quietly(&line);
    }
    if (line.bytes)
        KERNEL(SYS_munmap, line.bytes, LINE_SIZE + SESSION_PATH);
}

/* ---- a copy ---- */

static void keep_name(int fd, char *name)
{
    char link[JSON_PATH];
    json_path(link, "/proc/self/fd/", (uint64_t)fd, "");
    long n = KERNEL(SYS_readlinkat, AT_FDCWD, link, name, SESSION_PATH - 1);
    /* One that fills the room may have been cut. */
    name[n > 0 && n < SESSION_PATH - 1 ? n : 0] = 0;
}

void report_keep_names(struct session *s)
{
    if (s->names)
        return;
    s->names = take_pages(NAMES_SIZE);
    if (!s->names)
        return;
    keep_name(s->pair.source, s->names);
    keep_name(s->pair.destination, s->names + SESSION_PATH);
}

const char *report_source(const struct session *s)
{
    return s->names;
}

const char *report_destination(const struct session *s)
{
    return s->names ? s->names + SESSION_PATH : NULL;
}

void report_forget(struct session *s)
{
    if (s->names)
        KERNEL(SYS_munmap, s->names, NAMES_SIZE);
    s->names = NULL;
}

void report_copy(struct session *s)
{
    if (s->names && report_wanted())
        write_line(s, "copy", add_outcome);
    report_forget(s);
}

void report_progress(struct session *s, bool begins)
{
    if (!settings.progress || !s->names || !report_wanted() || s->source.size < LARGE)
        return;
    uint64_t done = s->tally.offloaded + s->tally.written;
    uint64_t step = (uint64_t)s->source.size / PROGRESS_LINES;
    if (!begins && done - s->tally.told < (step > PROGRESS_STEP ? step : PROGRESS_STEP))
        return;
    s->tally.told = done;
    write_line(s, "progress", add_progress);
}
