/* Patterns of file names (OFFLOAD_INCLUDE, OFFLOAD_EXCLUDE): which copies the user wants left alone. */
#ifndef LIBOFFLOAD_PATTERNS_H
#define LIBOFFLOAD_PATTERNS_H

#include <stdbool.h>

/*
 * Whether one of the patterns matches the absolute path. Patterns are joined by colons; one without a slash is matched
 * against the path's last component, one with a slash against all of it. `*` stands for any bytes, slashes among them,
 * `?` for one byte, `[a-z]` and `[!a-z]` for one byte of or outside a set; a backslash takes the next byte as it is. An
 * empty pattern matches nothing. Any thread, signal safe; fnmatch(3) is not, since it may allocate.
 */
bool patterns_match(const char *patterns, const char *path);

/* Whether OFFLOAD_INCLUDE or OFFLOAD_EXCLUDE is set, so that names have to be looked at. */
bool patterns_wanted(void);

/* Whether the settings let a copy between these absolute paths be offloaded. "": a path that is not known. */
bool patterns_allow(const char *source, const char *destination);

#endif
