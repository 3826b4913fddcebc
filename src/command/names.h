/* File names, which may hold any byte but NUL, as text that can be printed. */
#ifndef OFFLOAD_NAMES_H
#define OFFLOAD_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The name on one line for the user's locale (LC_CTYPE), quoted where needed as a shell reads it back: 'a b', or
 * $'a\nb' where bytes are not printable. Does not return without memory. To be freed.
 */
char *name_printable(const char *name);

/*
 * As name_printable(), for words that are no file name and come from outside: nothing is quoted, and what is not
 * printable becomes '?'. To be freed.
 */
char *text_printable(const char *text);

/* The name as UTF-8, with U+FFFD for each byte that is part of no character. To be freed. */
char *name_utf8(const char *name);

/* Whether the name is UTF-8 (RFC 3629). */
bool name_is_utf8(const char *name);

/* All bytes of the name as hexadecimal digits. To be freed. */
char *name_hex(const char *name);

/* The name behind such digits, or NULL if they are none, or hold a NUL byte. To be freed. */
char *name_from_hex(const char *digits);

/* Columns that text takes on a terminal in the user's locale; a byte that is no character takes one. */
size_t text_width(const char *text);

/* Cuts text in place to so many columns at most. */
void text_cut(char *text, size_t columns);

#endif
