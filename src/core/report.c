#include "report.h"

#include "private.h"
#include "settings.h"
#include "syscalls.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name of SESSION_PATH bytes, each written as \u00xx, three times, and the rest. */
#define LINE_SIZE ((size_t)3 * 6 * SESSION_PATH + 4096)
#define NAMES_SIZE ((size_t)2 * SESSION_PATH)

static int *const descriptor = &private_descriptors[PRIVATE_REPORT];
static struct stat opened; /* what the descriptor led to: the program may close any number, and open it again */

/* ---- the descriptor ---- */

static long open_report(void)
{
    return KERNEL(SYS_openat, AT_FDCWD, settings.report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
}

void report_open(void)
{
    if (!settings.report || settings.off)
        return;
    long low = open_report();
    if (low < 0) {
        static const char problem[] = "liboffload: OFFLOAD_REPORT: the file cannot be opened for writing; no reports\n";
        KERNEL(SYS_write, STDERR_FILENO, problem, sizeof problem - 1);
        return;
    }
    *descriptor = private_descriptor(low);
    KERNEL(SYS_fstat, *descriptor, &opened);
}

bool report_wanted(void)
{
    return *descriptor >= 0;
}

static bool still_ours(void)
{
    struct stat now;
    return KERNEL(SYS_fstat, *descriptor, &now) == 0 && now.st_dev == opened.st_dev && now.st_ino == opened.st_ino;
}

/* ---- the line ---- */

struct line {
    char *bytes;
    size_t length;
};

static void add(struct line *line, const char *text)
{
    size_t n = strlen(text);
    memcpy(line->bytes + line->length, text, n);
    line->length += n;
}

static void add_number(struct line *line, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    memcpy(line->bytes + line->length, digits + at, sizeof digits - at);
    line->length += sizeof digits - at;
}

/* \u and four hexadecimal digits (RFC 8259, 7). */
static void add_escape(struct line *line, unsigned code)
{
    static const char hex[] = "0123456789abcdef";
    char escape[] = {'\\', 'u', hex[code >> 12 & 15], hex[code >> 8 & 15], hex[code >> 4 & 15], hex[code & 15], 0};
    add(line, escape);
}

/* The length of the UTF-8 character at `c` (RFC 3629, 4), or 0 if the bytes are none. */
static unsigned utf8_length(const unsigned char *c)
{
    if (c[0] < 0x80)
        return 1;
    unsigned length = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    for (unsigned i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    bool surrogate = c[0] == 0xed && c[1] > 0x9f;
    bool beyond = c[0] == 0xf4 && c[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

/*
 * A string. A byte that is no UTF-8 becomes a lone low surrogate, U+DC80 to U+DCFF, as Python's surrogateescape has
 * it (PEP 383), so that the name can be had back.
 */
static void add_string(struct line *line, const char *text)
{
    add(line, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        unsigned length = utf8_length(c);
        if (length == 0)
            add_escape(line, 0xdc00U + *c++);
        else if (*c < 0x20 || *c == '"' || *c == '\\' || *c == 0x7f)
            add_escape(line, *c++);
        else
            while (length--)
                line->bytes[line->length++] = (char)*c++;
    }
    add(line, "\"");
}

static void add_number_field(struct line *line, const char *name, uint64_t number)
{
    add(line, ", \"");
    add(line, name);
    add(line, "\": ");
    add_number(line, number);
}

static void add_string_field(struct line *line, const char *name, const char *text)
{
    add(line, ", \"");
    add(line, name);
    add(line, "\": ");
    if (text)
        add_string(line, text);
    else
        add(line, "null");
}

/* Why the copy is not offloaded to its end, seen from the end. */
static enum reason outcome(const struct session *s)
{
    if (s->tally.offloaded && !s->tally.written && s->mark == s->source.size + s->shift)
        return REASON_NONE;
    return s->tally.reason == REASON_NONE ? REASON_UNFINISHED : s->tally.reason;
}

static void write_line(const struct session *s, struct line *line)
{
    /* Behind the line's own bytes: the program's stack may be a signal handler's, of two kilobytes. */
    char *program = line->bytes + LINE_SIZE;
    long n = KERNEL(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", program, SESSION_PATH - 1);
    program[n > 0 ? n : 0] = 0;
    add(line, "{\"program\": ");
    add_string(line, program);
    add_number_field(line, "pid", (uint64_t)KERNEL(SYS_getpid));
    add_string_field(line, "source", s->names);
    add_string_field(line, "destination", s->names + SESSION_PATH);
    add_number_field(line, "size", (uint64_t)s->source.size);
    add_number_field(line, "offloaded", s->tally.offloaded);
    add_number_field(line, "written", s->tally.written);
    add_string_field(line, "engine", s->tally.offloaded ? s->tally.engine : NULL);
    add_number_field(line, "reads_elided", s->tally.reads_elided);
    add_number_field(line, "writes_elided", s->tally.writes_elided);
    add_string_field(line, "reason", reason_words(outcome(s)));
    add(line, "}\n");
    KERNEL(SYS_write, *descriptor, line->bytes, line->length);
}

/* ---- a copy ---- */

static void *take_pages(size_t n)
{
    long at = KERNEL(SYS_mmap, NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

static void keep_name(int fd, char *name)
{
    char link[40] = "/proc/self/fd/";
    struct line path = {link, strlen(link)};
    add_number(&path, (uint64_t)fd);
    link[path.length] = 0;
    long n = KERNEL(SYS_readlinkat, AT_FDCWD, link, name, SESSION_PATH - 1);
    name[n > 0 ? n : 0] = 0;
}

void report_keep_names(struct session *s)
{
    if (!report_wanted() || s->names)
        return;
    s->names = take_pages(NAMES_SIZE);
    if (!s->names)
        return;
    keep_name(s->pair.source, s->names);
    keep_name(s->pair.destination, s->names + SESSION_PATH);
}

void report_copy(struct session *s)
{
    if (!s->names)
        return;
    struct line line = {take_pages(LINE_SIZE + SESSION_PATH), 0};
    if (line.bytes && still_ours())
        write_line(s, &line);
    if (line.bytes)
        KERNEL(SYS_munmap, line.bytes, LINE_SIZE + SESSION_PATH);
    KERNEL(SYS_munmap, s->names, NAMES_SIZE);
    s->names = NULL;
}
