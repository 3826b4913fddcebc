/* Files for the unit tests: unlinked, in TMPDIR, gone when they are closed. */
#ifndef UNIT_FILES_H
#define UNIT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Where the tests' files lie. */
const char *files_directory(void);

/* A new, empty file, open for reading and writing. Ends the test if there can be none. */
int file_new(void);

/* A new file of n bytes that no other seed gives. */
int file_filled(size_t n, unsigned seed);

/* The byte at that place of every file_filled() of that seed. */
char file_byte(size_t at, unsigned seed);

/* Waits until the clock that stamps files has moved on, so that the next change has another stamp. */
void file_tick(void);

/* The size of the file, and whether the first n bytes of two files are equal. */
off_t file_size(int fd);
bool files_equal(int a, int b, size_t n);

/* Has standard error written to a file from here on; the second puts it back and gives what was written. */
void stderr_catch(void);
const char *stderr_caught(void);

#endif
