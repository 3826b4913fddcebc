/* What the user set, by the environment or in a file (liboffload(7)). */
#ifndef LIBOFFLOAD_SETTINGS_H
#define LIBOFFLOAD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum policy {
    POLICY_AUTO,
    POLICY_ALWAYS, /* whatever the size: the command `offload` tells of each copy that was not offloaded */
    POLICY_NEVER,  /* copies are recognised and reported, and none is offloaded */
};

/* Written once by the constructor, before the program has threads; only read afterwards, but for `lazy`. */
struct settings {
    bool off;            /* OFFLOAD=off, or not read yet: every hook goes straight to the original */
    bool known;          /* they were read */
    enum policy policy;  /* OFFLOAD_POLICY */
    unsigned engines;    /* OFFLOAD_ENGINES; bit i: the engine at place i of engine_list() may serve */
    off_t min_size;      /* OFFLOAD_MIN_SIZE: bytes of source below which a copy is left alone */
    const char *include; /* OFFLOAD_INCLUDE, OFFLOAD_EXCLUDE: lists of patterns (patterns.h), or NULL */
    const char *exclude;
    const char *report;  /* OFFLOAD_REPORT: the file to append reports to, or NULL */
    const char *collect; /* OFFLOAD_COLLECT: the command's own file, which goes before, and is never complained of */
    bool smb_alone;      /* OFFLOAD_SMB_ALONE: nobody else changes what is copied on SMB shares */
    bool lazy;           /* OFFLOAD_BUFFERS=lazy; copy_look_for_memory() may take it back */
    bool progress;       /* OFFLOAD_PROGRESS: the report tells of copies under way */
    bool filter_known;   /* whether the next was asked for yet */
    bool filtered;       /* a seccomp filter was there at the start: only what every program calls is called */
};

extern struct settings settings;

/* Before the constructor has run, in another library's: finds out whether there is a filter. */
void settings_ask_for_filter(void);

/* Whether settings_read() tells of what it cannot use: the command leaves that to the library in its program. */
extern bool settings_complain;

/*
 * Reads the settings from the system's file, the user's file and the environment (NAME=VALUE strings, which must stay
 * in memory); what is read later holds. A value that cannot be used, or a file that others than root and the user may
 * have written, is told in one line on standard error, and does not count. A program that runs with more rights than
 * its caller (AT_SECURE, getauxval(3)) must not be led by its caller's environment: `secure` switches everything off.
 * The constructor's own: takes a low descriptor for a moment.
 */
void settings_read(char *const *environment, bool secure);

/* One setting by its place, from 0 on: its name in the environment, or NULL behind the last. */
const char *settings_name(size_t place);

/*
 * What settings_read() found for the setting at that place, whether it could be used or not, or NULL if it found
 * nothing; *file is then where, or NULL for the environment. While the library is off, only OFFLOAD is known.
 */
const char *settings_given(size_t place, const char **file);

/* Whether a source with that many bytes to copy is left alone for its size. */
static inline bool settings_too_small(off_t size)
{
    return size < settings.min_size;
}

#endif
