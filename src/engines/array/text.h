/* Reading what the kernel says in small text files (/proc, /sys), and making their paths, with system calls alone. */
#ifndef LIBOFFLOAD_TEXT_H
#define LIBOFFLOAD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_PATH 256
/* One line, as those files have, with the NUL. */
#define TEXT_FILE 64

/* Appends to a path of TEXT_PATH bytes; false if there is no room. */
bool text_append(char *path, const char *text);
bool text_append_number(char *path, uint64_t number);

/* Reads a file's first bytes. A descriptor's low number is taken for a moment: only in a process of one thread. */
bool text_read(const char *path, char text[TEXT_FILE]);

/* The decimal number at *at, which moves behind it. False if there is none, or one too large. */
bool text_number(const char **at, uint64_t *number);

#endif
