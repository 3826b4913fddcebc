/* One seed run twice, in two directories that begin the same: plain and preloaded. */
#ifndef TRANSPARENCY_PAIR_H
#define TRANSPARENCY_PAIR_H

#include "trace.h"

#include <sys/stat.h>
#include <time.h>

enum { TIMED_OUT = -1, NAME_ROOM = 64, SIGNATURE_ROOM = 96 };

struct settings {
    const char *directory, *library, *actor;
    uint64_t first, last;
    int jobs, seconds, timeout, most;
    bool self;       /* plain against plain */
    bool first_only; /* stop at the first difference */
    bool seen;       /* leave out what calls the kernel behind libc's back */
};

struct side {
    char path[512];
    int fd;
    struct shared *trace;
    char trace_path[512];
    int status; /* of waitpid, or TIMED_OUT */
    struct timespec began, ended;
    struct stat sources[SOURCES];
    struct timespec made[SOURCES];
    bool have[SOURCES];
};

struct pair {
    const struct settings *settings;
    int null; /* /dev/null, what every actor has for its standard streams */
    struct program program;
    struct side plain, preloaded;
    char signature[SIGNATURE_ROOM]; /* what kind of difference, empty when there is none */
    bool engaged;                   /* the preloaded run shared extents that the plain one did not */
};

bool pair_open(struct pair *pair, const struct settings *settings, int worker);
void pair_run(struct pair *pair, uint64_t seed, const uint8_t *skip);
void pair_close(struct pair *pair);

/* compare.c: sets the signature, and tells of the difference in words */
bool compare(struct pair *pair, FILE *out);

#endif
