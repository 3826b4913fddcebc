/* What the user set through the environment: OFFLOAD, OFFLOAD_ENGINES, OFFLOAD_MIN_SIZE, OFFLOAD_REPORT. */
#ifndef LIBOFFLOAD_SETTINGS_H
#define LIBOFFLOAD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Written once by the constructor, before the program has threads; only read afterwards. */
struct settings {
    bool off;           /* OFFLOAD=off: every hook goes straight to the original */
    unsigned engines;   /* bit i: the engine at place i of engine_list() may serve */
    off_t min_size;     /* bytes of source below which a copy is left alone */
    bool filtered;      /* a seccomp filter was there at the start: only what every program calls is called */
    const char *report; /* the file to append reports to, or NULL */
};

extern struct settings settings;

/*
 * Reads the settings from the environment, NAME=VALUE strings that must stay in memory. A value that cannot be used
 * is told in one line on standard error, and the default holds. A program that runs with more rights than its caller
 * (AT_SECURE, getauxval(3)) must not be led by its caller's environment: `secure` switches everything off.
 */
void settings_read(char *const *environment, bool secure);

#endif
