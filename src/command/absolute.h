/* Patterns of file names as a user gives them, made such that they can match. */
#ifndef OFFLOAD_ABSOLUTE_H
#define OFFLOAD_ABSOLUTE_H

/*
 * The pattern (core/patterns.h) as the library can compare it, with absolute names that have no symbolic link. One with
 * a slash is taken from the current directory unless it begins with `/` or `*`, and the symbolic links before its first
 * wildcard are followed, as far as the directories are there; any other stays. To be freed. `option` is the option as
 * the user knows it: a pattern that could match nothing ends the process with one line and STATUS_FAILED.
 */
char *absolute_pattern(const char *option, const char *pattern);

#endif
