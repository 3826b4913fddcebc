/* What all parts of the command `offload` say to the user, and the subcommands that main() starts. */
#ifndef OFFLOAD_COMMAND_H
#define OFFLOAD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* Exit statuses of the command itself; every other one is that of the program it ran. 126 and 127 are env(1)'s. */
enum {
    STATUS_NOT_OFFLOADED = 124, /* --policy=always, and a copy was not wholly offloaded */
    STATUS_FAILED = 125,
    STATUS_CANNOT_RUN = 126,
    STATUS_NOT_FOUND = 127,
};

/* Prints "offload: " and the text as one line on standard error, in one write(2). */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Writes all n bytes, in one write(2) where the file takes them; waits where a program has made it non-blocking. False
 * if that fails, with errno.
 */
bool write_all(int fd, const char *bytes, size_t n);

/* As say(), and ends the process. The text says what, why, and what to do. */
void fail(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/*
 * `offload probe SOURCE DESTINATION` and `offload doctor`: take their own arguments, argv[0] being the word itself,
 * and return the exit status.
 */
int probe_main(int argc, char **argv);
int doctor_main(int argc, char **argv);

#endif
