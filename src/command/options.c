#include "options.h"

#include "absolute.h"
#include "command.h"
#include "engines/engine.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- values ---- */

/* A function that looks at an option's value, and keeps it. `name` is the option as the user knows it. */
typedef void take_value(struct options *options, const char *name, const char *value);

static void set(const char *variable, const char *value)
{
    if (setenv(variable, value, 1) < 0)
        fail(STATUS_FAILED, "cannot set %s: %s; give the process more memory", variable, strerror(errno));
}

static void take_verbose(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->verbose = true;
}

static void take_report(struct options *options, const char *name, const char *value)
{
    if (!value || strcmp(value, "table") == 0)
        options->report = REPORT_TABLE;
    else if (strcmp(value, "json") == 0)
        options->report = REPORT_JSON;
    else
        fail(STATUS_FAILED, "%s does not know the form %s: use table or json (a file is named with --output)", name,
             name_printable(value));
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Whether a file can be written or made there; says why not, and ends. */
static void check_file(const char *name, const char *file)
{
    char *shown = name_printable(file);
    if (!*file)
        fail(STATUS_FAILED, "%s got an empty name: give the file to write to", name);
    if (is_directory(file))
        fail(STATUS_FAILED, "%s cannot use %s, which is a directory: name a file", name, shown);
    if (faccessat(AT_FDCWD, file, F_OK, AT_EACCESS) == 0) {
        if (faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) < 0)
            fail(STATUS_FAILED, "%s may not write to %s: choose another file", name, shown);
        free(shown);
        return;
    }
    char *directory = strdup(file);
    char *slash = directory ? strrchr(directory, '/') : NULL;
    if (slash)
        slash[1] = 0;
    const char *place = slash ? directory : ".";
    if (!is_directory(place))
        fail(STATUS_FAILED, "%s cannot make %s, its directory does not exist: make the directory first", name, shown);
    if (faccessat(AT_FDCWD, place, W_OK | X_OK, AT_EACCESS) < 0)
        fail(STATUS_FAILED, "%s may not make %s in its directory: choose another place", name, shown);
    free(directory);
    free(shown);
}

static void take_output(struct options *options, const char *name, const char *value)
{
    check_file(name, value);
    options->output = value;
}

static void take_progress(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->progress = true;
}

static void take_policy(struct options *options, const char *name, const char *value)
{
    if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 && strcmp(value, "never") != 0)
        fail(STATUS_FAILED, "%s does not know the policy %s: use auto, always or never", name, name_printable(value));
    set("OFFLOAD_POLICY", value);
    options->always = strcmp(value, "always") == 0;
}

/* "clone, server", as many as there are. */
static const char *engine_names(void)
{
    static char names[80];
    char *end = names;
    for (const struct engine *const *engine = engine_list(); *engine; engine++)
        end += snprintf(end, (size_t)(names + sizeof names - end), "%s%s", end > names ? ", " : "", (*engine)->name);
    return names;
}

static void take_engines(struct options *options, const char *name, const char *value)
{
    (void)options;
    if (!*value)
        fail(STATUS_FAILED, "%s got an empty list: name at least one of %s", name, engine_names());
    for (const char *engine = value; engine; engine = strchr(engine, ',')) {
        engine += *engine == ',';
        size_t n = strcspn(engine, ",");
        if (engine_bit(engine, n))
            continue;
        fail(STATUS_FAILED, "%s does not know %s: use a comma-separated list of %s", name,
             name_printable(strndupa(engine, n)), engine_names());
    }
    set("OFFLOAD_ENGINES", value);
}

static void take_buffers(struct options *options, const char *name, const char *value)
{
    (void)options;
    if (strcmp(value, "auto") != 0 && strcmp(value, "compare") != 0 && strcmp(value, "lazy") != 0)
        fail(STATUS_FAILED, "%s does not know %s: use auto, compare or lazy", name, name_printable(value));
    set("OFFLOAD_BUFFERS", value);
}

static void take_smb_alone(struct options *options, const char *name, const char *value)
{
    (void)options;
    (void)name;
    (void)value;
    set("OFFLOAD_SMB_ALONE", "on");
}

static void take_min_size(struct options *options, const char *name, const char *value)
{
    (void)options;
    if (!*value || value[strspn(value, "0123456789")])
        fail(STATUS_FAILED, "%s needs a number of bytes, not %s: for example %s 65536", name, name_printable(value),
             name);
    errno = 0;
    /* The library takes numbers up to here. */
    if (strtoull(value, NULL, 10) > (unsigned long long)1 << 56 || errno)
        fail(STATUS_FAILED, "%s cannot be %s, more than any file holds: for example %s 65536", name, value, name);
    set("OFFLOAD_MIN_SIZE", value);
}

/*
 * Adds a pattern to those of the same option before it (core/patterns.h). A colon, which would end it, gets a
 * backslash; what has one already keeps it.
 */
static void add_pattern(char **patterns, const char *variable, const char *name, const char *given)
{
    if (!*given)
        fail(STATUS_FAILED, "%s got an empty pattern, which matches nothing: for example %s '*.iso'", name, name);
    char *absolute = absolute_pattern(name, given);
    const char *value = absolute;
    char *longer = malloc((*patterns ? strlen(*patterns) : 0) + 2 * strlen(value) + 2);
    if (!longer)
        fail(STATUS_FAILED, "no memory for %s; give the process more of it (ulimit -v)", variable);
    char *end = longer;
    if (*patterns)
        end = stpcpy(stpcpy(end, *patterns), ":");
    for (; *value; value++) {
        if (*value == ':' || (*value == '\\' && !value[1]))
            *end++ = '\\';
        else if (*value == '\\')
            *end++ = *value++;
        *end++ = *value;
    }
    *end = 0;
    free(absolute);
    free(*patterns);
    *patterns = longer;
    set(variable, longer);
}

static void take_include(struct options *options, const char *name, const char *value)
{
    static char *patterns;
    (void)options;
    add_pattern(&patterns, "OFFLOAD_INCLUDE", name, value);
}

static void take_exclude(struct options *options, const char *name, const char *value)
{
    static char *patterns;
    (void)options;
    add_pattern(&patterns, "OFFLOAD_EXCLUDE", name, value);
}

/* The command may change its directory before it opens the file. */
static void take_log(struct options *options, const char *name, const char *value)
{
    char path[2 * PATH_MAX];
    char directory[PATH_MAX];
    check_file(name, value);
    if (*value == '/')
        stpncpy(path, value, sizeof path - 1)[0] = 0;
    else if (!getcwd(directory, sizeof directory))
        fail(STATUS_FAILED, "%s: the current directory is not known (%s): give the file's full path", name,
             strerror(errno));
    else
        snprintf(path, sizeof path, "%s/%s", directory, value);
    set("OFFLOAD_REPORT", path);
    options->logs = true;
}

static void take_off(struct options *options, const char *name, const char *value)
{
    (void)options;
    (void)name;
    (void)value;
    set("OFFLOAD", "off");
}

static void take_help(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->help = true;
}

static void take_version(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->version = true;
}

/* ---- the table ---- */

enum value { NO_VALUE, MAY_HAVE_VALUE, NEEDS_VALUE };

static const struct option {
    const char *name;
    char letter; /* or 0 */
    enum value value;
    take_value *take;
    const char *variable; /* that it sets, or NULL */
    const char *value_name;
    const char *help;
} table[] = {
    {"verbose", 'v', NO_VALUE, take_verbose, NULL, NULL, "print a line for each file when it has been copied"},
    {"report", 0, MAY_HAVE_VALUE, take_report, NULL, "table|json",
     "print at the end what was offloaded, by what, and why the\nrest was not"},
    {"output", 'o', NEEDS_VALUE, take_output, NULL, "FILE",
     "write what -v and --report print to FILE, not to standard\nerror"},
    {"progress", 0, NO_VALUE, take_progress, "OFFLOAD_PROGRESS", NULL,
     "show large copies under way, if standard error is a\nterminal"},
    {"policy", 0, NEEDS_VALUE, take_policy, "OFFLOAD_POLICY", "POLICY",
     "auto: offload what gains by it (the default); always: files\nof any size, and end with 124 if a copy was not "
     "wholly\n"
     "offloaded; never: offload nothing"},
    {"engines", 0, NEEDS_VALUE, take_engines, "OFFLOAD_ENGINES", "LIST",
     "use these engines only, in a comma-separated list:\n"},
    {"buffers", 0, NEEDS_VALUE, take_buffers, "OFFLOAD_BUFFERS", "HOW",
     "how it is proven that what is written was read: compare the\nbytes (auto, compare), or leave the reads out until "
     "somebody\nlooks (lazy; see liboffload(7), Buffers)"},
    {"smb-alone", 0, NO_VALUE, take_smb_alone, "OFFLOAD_SMB_ALONE", NULL,
     "you know that nobody else changes what COMMAND copies on\nSMB shares: copy there by the server too"},
    {"min-size", 0, NEEDS_VALUE, take_min_size, "OFFLOAD_MIN_SIZE", "BYTES",
     "leave files alone that are smaller than this"},
    {"include", 0, NEEDS_VALUE, take_include, "OFFLOAD_INCLUDE", "PATTERN",
     "offload only copies from or to files that match (may be\ngiven again)"},
    {"exclude", 0, NEEDS_VALUE, take_exclude, "OFFLOAD_EXCLUDE", "PATTERN",
     "leave copies alone from or to files that match (may be\ngiven again)"},
    {"log", 0, NEEDS_VALUE, take_log, "OFFLOAD_REPORT", "FILE",
     "append a line of JSON to FILE for each copy that was\nrecognised"},
    {"off", 0, NO_VALUE, take_off, "OFFLOAD", NULL, "start COMMAND with the library, but switched off"},
    {"version", 0, NO_VALUE, take_version, NULL, NULL, "print the version and exit"},
    {"help", 0, NO_VALUE, take_help, NULL, NULL, "print this text and exit"},
};

#define OPTIONS (sizeof table / sizeof *table)

/* ---- reading ---- */

static const struct option *find_name(const char *name, size_t n)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0)
            return &table[i];
    return NULL;
}

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (letter && table[i].letter == letter)
            return &table[i];
    return NULL;
}

/* The value that is an argument of its own; moves on to it. */
static const char *next_word(const char *name, char ***at)
{
    if (!(*at)[1])
        fail(STATUS_FAILED, "%s needs a value: see 'offload --help'", name);
    return *++*at;
}

static void read_long(struct options *options, char ***at)
{
    const char *word = **at;
    size_t n = strcspn(word + 2, "=");
    const char *value = word[2 + n] ? word + 2 + n + 1 : NULL;
    const struct option *option = find_name(word + 2, n);
    char name[20];
    if (!option)
        fail(STATUS_FAILED, "does not know the option %s: see 'offload --help'", name_printable(word));
    snprintf(name, sizeof name, "--%s", option->name);
    if (option->value == NO_VALUE && value)
        fail(STATUS_FAILED, "%s takes no value: write it without %s", name, name_printable(word + 2 + n));
    if (option->value == NEEDS_VALUE && !value)
        value = next_word(name, at);
    option->take(options, name, value);
}

/* Letters may stand together, and a value may stand behind its letter. */
static void read_letters(struct options *options, char ***at)
{
    for (const char *letter = **at + 1; *letter; letter++) {
        const struct option *option = find_letter(*letter);
        char name[] = {'-', *letter, 0};
        if (!option)
            fail(STATUS_FAILED, "does not know the option %s: see 'offload --help'", name_printable(name));
        if (option->value != NEEDS_VALUE) {
            option->take(options, name, NULL);
            continue;
        }
        option->take(options, name, letter[1] ? letter + 1 : next_word(name, at));
        return;
    }
}

void options_read(struct options *options, int argc, char **argv)
{
    char **at = argc > 0 ? argv + 1 : argv;
    *options = (struct options){0};
    for (; *at && !options->ended && (*at)[0] == '-' && (*at)[1]; at++) {
        if (strcmp(*at, "--") == 0)
            options->ended = true;
        else if ((*at)[1] == '-')
            read_long(options, &at);
        else
            read_letters(options, &at);
    }
    options->words = (int)(at - argv);
}

/* ---- --help ---- */

#define HELP_COLUMN 26

static void print_option(const struct option *option)
{
    char left[80];
    const char *value = option->value_name ? option->value_name : "";
    snprintf(left, sizeof left, "  %c%c%c --%s%s%s%s", option->letter ? '-' : ' ',
             option->letter ? option->letter : ' ', option->letter ? ',' : ' ', option->name,
             option->value == MAY_HAVE_VALUE ? "[="
             : *value                        ? "="
                                             : "",
             value, option->value == MAY_HAVE_VALUE ? "]" : "");
    printf("%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN)
        printf("\n%*s", HELP_COLUMN, "");
    for (const char *text = option->help; *text; text++)
        if (*text == '\n')
            printf("\n%*s", HELP_COLUMN, "");
        else
            putchar(*text);
    puts(option->take == take_engines ? engine_names() : "");
}

void options_help(void)
{
    puts("Usage: offload [OPTION]... [--] COMMAND [ARGUMENT]...\n"
         "       offload probe SOURCE DESTINATION\n"
         "       offload doctor\n"
         "Runs COMMAND with liboffload: where it copies a file, the file system makes the copy.\n"
         "probe says how a copy from here to there would be made, doctor what this machine allows.\n");
    for (size_t i = 0; i < OPTIONS; i++)
        print_option(&table[i]);
    puts("\nThese set variables for COMMAND, which can be set without offload as well:");
    for (size_t i = 0; i < OPTIONS; i++)
        if (table[i].variable)
            printf("  --%-10s %s\n", table[i].name, table[i].variable);
    puts("\nThe exit status is that of COMMAND; or 124 if a copy was not wholly offloaded though --policy=always\n"
         "asks for it, 125 if offload itself fails, 126 if COMMAND cannot be run, 127 if it is not found.");
}
