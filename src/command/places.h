/* The two places that `offload probe` was given: what is there, and on which file system. */
#ifndef OFFLOAD_PLACES_H
#define OFFLOAD_PLACES_H

#include "mounts.h"

#include <stdbool.h>
#include <sys/stat.h>

struct places {
    char *source, *destination;        /* paths; the destination's with the source's name added to a directory's */
    char *source_shown, *shown;        /* the same as they are printed */
    char *directory, *directory_shown; /* where the destination lies, or would */
    int source_fd, directory_fd;       /* for reading; a directory that may not be read, as a place only (O_PATH) */
    int existing_fd; /* the destination open for reading; -1 if it does not exist, or may not be read */
    bool exists;
    struct statx source_status, status;       /* the destination's if it exists */
    struct mounts mounts;                     /* none if /proc does not tell */
    const struct mount *source_mount, *mount; /* or NULL */
};

/* Looks at both. Ends the process with one line if the question cannot be answered. */
void places_find(struct places *places, const char *source, const char *destination);

void places_free(struct places *places);

/*
 * The destination's absolute path without symbolic links, whether it exists or not; NULL if memory is short. To be
 * freed.
 */
char *places_real_destination(const struct places *places);

/* Whether the destination exists on another file system or mount than its directory, and so is no pattern for it. */
bool places_destination_is_mount(const struct places *places);

#endif
