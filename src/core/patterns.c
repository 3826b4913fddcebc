#include "patterns.h"

#include "settings.h"

#include <stddef.h>
#include <string.h>

/* The end of one pattern of a list: its colon, or the list's end. */
static const char *pattern_end(const char *pattern)
{
    while (*pattern && *pattern != ':')
        pattern += *pattern == '\\' && pattern[1] ? 2 : 1;
    return pattern;
}

/* The bracket that closes a set, or NULL if none does: then the opening one stands for itself. */
static const char *set_end(const char *set, const char *end)
{
    const char *c = set + 1;
    if (c < end && *c == '!')
        c++;
    /* A bracket in the first place is one of the set. */
    for (c++; c < end; c++)
        if (*c == ']')
            return c;
    return NULL;
}

static bool in_set(const char *set, const char *close, unsigned char byte)
{
    bool inverted = set[1] == '!';
    bool found = false;
    for (const char *c = set + 1 + inverted; c < close; c++) {
        bool range = c + 2 < close && c[1] == '-';
        unsigned char low = (unsigned char)c[0], high = (unsigned char)(range ? c[2] : c[0]);
        found = found || (byte >= low && byte <= high);
        c += range ? 2 : 0;
    }
    return found != inverted;
}

/* Matches the pattern's first element, which is no star, against one byte. Returns what is behind it, or NULL. */
static const char *match_one(const char *pattern, const char *end, char byte)
{
    const char *close = *pattern == '[' ? set_end(pattern, end) : NULL;
    if (close)
        return in_set(pattern, close, (unsigned char)byte) ? close + 1 : NULL;
    if (*pattern == '?')
        return pattern + 1;
    if (*pattern == '\\' && pattern + 1 < end)
        pattern++;
    return *pattern == byte ? pattern + 1 : NULL;
}

/* Only the last star ever has to give back what it took: the time is at most the product of the lengths. */
static bool matches(const char *pattern, const char *end, const char *text)
{
    const char *star = NULL, *taken = NULL;
    while (*text) {
        const char *next = pattern < end && *pattern != '*' ? match_one(pattern, end, *text) : NULL;
        if (next) {
            pattern = next;
            text++;
        } else if (pattern < end && *pattern == '*') {
            star = ++pattern;
            taken = text;
        } else if (star) {
            pattern = star;
            text = ++taken;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

bool patterns_match(const char *patterns, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    for (const char *pattern = patterns; *pattern;) {
        const char *end = pattern_end(pattern);
        bool whole = memchr(pattern, '/', (size_t)(end - pattern)) != NULL;
        if (end > pattern && matches(pattern, end, whole ? path : last))
            return true;
        pattern = *end ? end + 1 : end;
    }
    return false;
}

bool patterns_wanted(void)
{
    return settings.include || settings.exclude;
}

bool patterns_allow(const char *source, const char *destination)
{
    if (patterns_wanted() && !(*source && *destination))
        return false;
    if (settings.exclude && (patterns_match(settings.exclude, source) || patterns_match(settings.exclude, destination)))
        return false;
    return !settings.include || patterns_match(settings.include, source) ||
           patterns_match(settings.include, destination);
}
