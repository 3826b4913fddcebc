#include "absolute.h"

#include "command.h"
#include "names.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *keep(char *text, const char *option)
{
    if (!text)
        fail(STATUS_FAILED, "no memory for %s; give the process more of it (ulimit -v)", option);
    return text;
}

/* ---- what could match nothing ---- */

static bool leads_up(const char *pattern)
{
    for (const char *part = pattern; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2]))
            return true;
    }
    return false;
}

static void check(const char *option, const char *pattern)
{
    char *shown = name_printable(pattern);
    if (leads_up(pattern))
        fail(STATUS_FAILED, "%s cannot use %s: names are compared in full, and have no '..'; give the full path",
             option, shown);
    if (pattern[strlen(pattern) - 1] == '/')
        fail(STATUS_FAILED, "%s cannot use %s: no file's name ends in a slash; for all in a directory add a *", option,
             shown);
    free(shown);
}

/* ---- the part before the first wildcard ---- */

static size_t plain_length(const char *pattern)
{
    size_t n = 0;
    while (pattern[n] && !strchr("*?[", pattern[n]))
        n += pattern[n] == '\\' && pattern[n + 1] ? 2 : 1;
    return n;
}

static char *current_directory(const char *option)
{
    char *directory = getcwd(NULL, 0);
    if (!directory)
        fail(STATUS_FAILED, "%s: the current directory is not known (%s): give the pattern's full path", option,
             strerror(errno));
    return directory;
}

/* The name that the n bytes stand for: absolute, without backslashes, and without "." and empty parts. */
static char *plain_name(const char *option, const char *pattern, size_t n)
{
    char *directory = *pattern == '/' ? keep(strdup(""), option) : current_directory(option);
    char *name = keep(malloc(strlen(directory) + n + 2), option);
    char *end = stpcpy(stpcpy(name, directory), "/");
    for (size_t i = 0; i < n; i++) {
        bool starts = end[-1] == '/';
        if (starts && (pattern[i] == '/' || (pattern[i] == '.' && pattern[i + 1] == '/')))
            continue;
        i += pattern[i] == '\\' && i + 1 < n;
        *end++ = pattern[i];
    }
    *end = 0;
    free(directory);
    return name;
}

/* Follows the symbolic links in the longest beginning of the name, up to its byte `end`, that is there. */
static char *follow_links(const char *option, char *name, char *end)
{
    char *real = NULL;
    while (!real && end > name) {
        char byte = *end;
        *end = 0;
        real = realpath(name, NULL);
        *end = byte;
        while (!real && *--end != '/')
            ;
    }
    if (!real)
        return keep(strdup(name), option);
    char *followed = keep(malloc(strlen(real) + strlen(end) + 1), option);
    stpcpy(stpcpy(followed, strcmp(real, "/") == 0 && *end ? "" : real), end);
    free(real);
    return followed;
}

/* ---- all of it ---- */

static char *with_backslashes(const char *option, const char *name, const char *rest)
{
    char *pattern = keep(malloc(2 * strlen(name) + strlen(rest) + 1), option);
    char *end = pattern;
    for (; *name; name++) {
        if (strchr("*?[\\", *name))
            *end++ = '\\';
        *end++ = *name;
    }
    stpcpy(end, rest);
    return pattern;
}

char *absolute_pattern(const char *option, const char *pattern)
{
    if (!strchr(pattern, '/'))
        return keep(strdup(pattern), option);
    check(option, pattern);
    if (*pattern == '*')
        return keep(strdup(pattern), option);
    size_t n = plain_length(pattern);
    char *name = plain_name(option, pattern, n);
    /* What stands directly before a wildcard is only the beginning of a name. */
    char *followed = follow_links(option, name, pattern[n] ? strrchr(name, '/') : name + strlen(name));
    char *whole = with_backslashes(option, followed, pattern + n);
    free(followed);
    free(name);
    return whole;
}
