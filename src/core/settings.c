#include "settings.h"

#include "../engines/engine.h"
#include "syscalls.h"
#include "touched.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A clone costs about as much as writing 64 KiB to the page cache: below that there is nothing to win. */
#define DEFAULT_MIN_SIZE (64 << 10)
/* While the settings are read: no size was given. */
#define UNSET ((off_t)-1)
/* Bytes. Nobody writes a longer file of settings. */
#define LONGEST_FILE (64 << 10)

/* Off until they are read: other libraries' constructors run before ours, and may copy. */
struct settings settings = {.off = true, .engines = ~0U, .min_size = DEFAULT_MIN_SIZE};

bool settings_complain = true;
TOUCHED_AT_START static const char *read_from; /* the file that is being read, or NULL: the environment */

/* "liboffload: PIECES". One write(2), so that lines of several processes do not mix. */
static void complain_of(const char *const *pieces)
{
    char line[512] = "liboffload: ";
    size_t length = strlen(line);
    if (!settings_complain)
        return;
    for (; *pieces; pieces++) {
        size_t n = strnlen(*pieces, sizeof line - 1 - length);
        memcpy(line + length, *pieces, n);
        length += n;
    }
    /* A value may hold what commands a terminal. */
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length] = '\n';
    KERNEL(SYS_write, STDERR_FILENO, line, length + 1);
}

/* "liboffload: FILE: NAME=VALUE: PROBLEM". */
static void complain(const char *name, const char *value, const char *problem)
{
    const char *file = read_from ? read_from : "";
    complain_of((const char *const[]){file, read_from ? ": " : "", name, "=", value, ": ", problem, NULL});
}

TOUCHED_AT_START static bool wants_off;

static void read_off(const char *value)
{
    wants_off = strcmp(value, "off") == 0;
    if (!wants_off && strcmp(value, "on") != 0 && *value)
        complain("OFFLOAD", value, "neither \"on\" nor \"off\"; taken as \"on\"");
}

static void read_engines(const char *value)
{
    unsigned engines = 0;
    settings.engines = ~0U;
    for (const char *name = value; *name;) {
        size_t n = strcspn(name, ",");
        unsigned bit = engine_bit(name, n);
        if (!bit) {
            complain("OFFLOAD_ENGINES", value, "no list of engines with commas; all are used");
            return;
        }
        engines |= bit;
        name += n;
        if (*name == ',')
            name++;
    }
    if (engines)
        settings.engines = engines;
}

static void read_min_size(const char *value)
{
    off_t size = 0;
    const char *digit = value;
    settings.min_size = UNSET;
    while (*digit >= '0' && *digit <= '9' && size < (off_t)1 << 56)
        size = size * 10 + (*digit++ - '0');
    if (!*value)
        return;
    if (*digit)
        complain("OFFLOAD_MIN_SIZE", value, "not a number of bytes; the default is used");
    else
        settings.min_size = size;
}

static void read_policy(const char *value)
{
    static const char *const words[] = {"auto", "always", "never"};
    for (unsigned i = 0; *value && i < sizeof words / sizeof *words; i++)
        if (strcmp(value, words[i]) == 0) {
            settings.policy = (enum policy)i;
            return;
        }
    settings.policy = POLICY_AUTO;
    if (*value)
        complain("OFFLOAD_POLICY", value, "none of auto, always, never; taken as auto");
}

/* What lazy buffers do not get right is few programs' concern, but theirs (docs/decisions/025): they have to be asked for. */
static void read_buffers(const char *value)
{
    settings.lazy = strcmp(value, "lazy") == 0;
    if (!settings.lazy && *value && strcmp(value, "auto") != 0 && strcmp(value, "compare") != 0)
        complain("OFFLOAD_BUFFERS", value, "none of auto, compare, lazy; buffers are compared");
}

/* The setting of that name, which is off unless it is switched on. */
static bool switched_on(const char *name, const char *value)
{
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0 && *value)
        complain(name, value, "neither \"on\" nor \"off\"; taken as \"off\"");
    return on;
}

static void read_smb_alone(const char *value)
{
    settings.smb_alone = switched_on("OFFLOAD_SMB_ALONE", value);
}

static void read_progress(const char *value)
{
    settings.progress = switched_on("OFFLOAD_PROGRESS", value);
}

static const char *text(const char *value)
{
    return *value ? value : NULL;
}

TOUCHED_AT_START static bool no_memory;

/* As text(), for what is looked at later: programs write their title over their environment (setproctitle(3)). */
static const char *lasting_text(const char *value)
{
    size_t n = strlen(value) + 1;
    long at = n > 1 ? KERNEL(SYS_mmap, NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : 0;
    bool failed = at < 0 && at > -4096;
    no_memory = no_memory || failed;
    return n > 1 && !failed ? memcpy((void *)at, value, n) : NULL;
}

static void read_include(const char *value)
{
    settings.include = lasting_text(value);
}

static void read_exclude(const char *value)
{
    settings.exclude = lasting_text(value);
}

static void read_report(const char *value)
{
    settings.report = text(value);
}

static void read_collect(const char *value)
{
    settings.collect = text(value);
}

/* Which file is read was decided before. */
static void read_config(const char *value)
{
    (void)value;
}

static const struct {
    const char *name;
    void (*read)(const char *value);
} readers[] = {
    {"OFFLOAD", read_off},
    {"OFFLOAD_POLICY", read_policy},
    {"OFFLOAD_ENGINES", read_engines},
    {"OFFLOAD_BUFFERS", read_buffers},
    {"OFFLOAD_SMB_ALONE", read_smb_alone},
    {"OFFLOAD_MIN_SIZE", read_min_size},
    {"OFFLOAD_INCLUDE", read_include},
    {"OFFLOAD_EXCLUDE", read_exclude},
    {"OFFLOAD_REPORT", read_report},
    {"OFFLOAD_PROGRESS", read_progress},
    {"OFFLOAD_COLLECT", read_collect},
    {"OFFLOAD_CONFIG", read_config},
};

const char *settings_name(size_t place)
{
    return place < sizeof readers / sizeof *readers ? readers[place].name : NULL;
}

/* By the place of the reader: what was read last, and in which file. */
TOUCHED_AT_START static struct {
    const char *value, *file;
} given[sizeof readers / sizeof *readers];

const char *settings_given(size_t place, const char **file)
{
    *file = given[place].file;
    return given[place].value;
}

/* False if the entry is no setting's. */
static bool read_setting(const char *entry)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        size_t n = strlen(readers[i].name);
        if (strncmp(entry, readers[i].name, n) == 0 && entry[n] == '=') {
            given[i].value = entry + n + 1;
            given[i].file = read_from;
            readers[i].read(entry + n + 1);
            return true;
        }
    }
    return false;
}

/* ---- files ---- */

/* Ends the line and returns what follows it; *line then has no blanks at either end. */
static char *cut_line(char **line)
{
    static const char blanks[] = " \t\r";
    char *end = *line + strcspn(*line, "\n");
    char *next = *end ? end + 1 : end;
    *line += strspn(*line, blanks);
    while (end > *line && strchr(blanks, end[-1]))
        end--;
    *end = 0;
    return next;
}

static void read_lines(char *line)
{
    while (*line) {
        char *next = cut_line(&line);
        if (*line && *line != '#' && !read_setting(line))
            complain_of(
                (const char *const[]){read_from, ": ", line, ": no setting of liboffload; see liboffload(7)", NULL});
        line = next;
    }
}

static bool is_trusted(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == (uid_t)KERNEL(SYS_geteuid);
}

/* What is wrong with the file, or NULL. Who can write it can lead every program that loads the library. */
static const char *distrust(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return ": ignored: it is not a regular file";
    if (!is_trusted(st))
        return ": ignored: it belongs neither to root nor to you; change its owner";
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return ": ignored: others may write it; take that away with chmod go-w";
    return st->st_size > LONGEST_FILE ? ": ignored: it is longer than 64 KiB" : NULL;
}

/*
 * The file's bytes with a zero behind them, in memory that stays: settings point into it. NULL if there are none, or if
 * there is a *problem with them.
 */
static char *bytes_of(int fd, const struct stat *st, const char **problem)
{
    size_t n = (size_t)st->st_size;
    long at = n ? KERNEL(SYS_mmap, NULL, n + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : -ENOMEM;
    if (at < 0 && at > -4096)
        return NULL;
    long got = KERNEL(SYS_pread64, fd, at, n, 0);
    if (got > 0 && memchr((void *)at, 0, (size_t)got))
        *problem = ": ignored: it has a zero byte, so it is no text; write it anew, as ASCII or UTF-8";
    return got > 0 && !*problem ? (char *)at : NULL;
}

static long open_file(const char *path)
{
    return KERNEL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* `asked`: the user named this file. Closes it. */
static void read_opened(long fd, const char *path, bool asked)
{
    struct stat st;
    KERNEL(SYS_fstat, fd, &st);
    const char *problem = distrust(&st);
    /* Another's home (su, sudo), or the host's root as a container shows him: nothing that the user has to mend. */
    bool silent = !asked && !is_trusted(&st);
    char *bytes = problem ? NULL : bytes_of((int)fd, &st, &problem);
    KERNEL(SYS_close, fd);
    read_from = path;
    if (problem && !silent)
        complain_of((const char *const[]){path, problem, NULL});
    if (bytes)
        read_lines(bytes);
    read_from = NULL;
}

static const char *variable(char *const *environment, const char *name)
{
    size_t n = strlen(name);
    for (; environment && *environment; environment++)
        if (**environment == *name && strncmp(*environment, name, n) == 0 && (*environment)[n] == '=' &&
            (*environment)[n + 1])
            return *environment + n + 1;
    return NULL;
}

/* The user's file, by the XDG Base Directory Specification. Its name is kept for the messages only if there is one. */
static void read_users_file(char *const *environment)
{
    static char kept[PATH_MAX];
    char path[PATH_MAX];
    const char *folder = variable(environment, "XDG_CONFIG_HOME");
    const char *below = folder ? "/offload.conf" : "/.config/offload.conf";
    if (!folder)
        folder = variable(environment, "HOME");
    if (!folder || *folder != '/' || strlen(folder) + strlen(below) >= sizeof path)
        return;
    strcpy(path, folder);
    strcat(path, below);
    long fd = open_file(path);
    if (fd >= 0)
        read_opened(fd, strcpy(kept, path), false);
}

static void read_named_file(const char *path)
{
    long fd = open_file(path);
    if (fd >= 0)
        read_opened(fd, path, true);
    else
        complain("OFFLOAD_CONFIG", path, "the file cannot be opened for reading; no file is read");
}

static void read_files(char *const *environment)
{
    const char *named = variable(environment, "OFFLOAD_CONFIG");
    if (named && strcmp(named, "none") != 0) {
        read_named_file(named);
    } else if (!named) {
        long fd = open_file(SYSCONFDIR "/offload.conf");
        if (fd >= 0)
            read_opened(fd, SYSCONFDIR "/offload.conf", false);
        read_users_file(environment);
    }
}

void settings_ask_for_filter(void)
{
    settings.filtered = KERNEL(SYS_prctl, PR_GET_SECCOMP) != 0;
    settings.filter_known = true;
}

static void read_all(char *const *environment)
{
    const char *off = variable(environment, "OFFLOAD");
    if (off && strcmp(off, "off") == 0) {
        read_setting(off - strlen("OFFLOAD="));
        return;
    }
    settings.min_size = UNSET;
    read_files(environment);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, "OFFLOAD", 7) == 0)
            read_setting(*environment);
    if (settings.min_size == UNSET)
        settings.min_size = settings.policy == POLICY_ALWAYS ? 0 : DEFAULT_MIN_SIZE;
}

void settings_read(char *const *environment, bool secure)
{
    settings_ask_for_filter();
    wants_off = secure;
    if (!secure)
        read_all(environment);
    /* Without memory it is not known what is to be excluded. */
    settings.off = wants_off || no_memory;
    settings.known = true;
}
