/* Trying a copy: by the library's own session, into a file that nobody else sees and that is gone afterwards. */
#ifndef OFFLOAD_TRIAL_H
#define OFFLOAD_TRIAL_H

#include "core/guards.h"
#include "core/session.h"

#include <stdbool.h>

struct trial_file {
    int fd;     /* -1: there is none, see `error` */
    int error;  /* the errno of making it */
    bool nocow; /* it has the attribute "no copy on write" (chattr +C) */
};

/*
 * Makes an empty file in the directory, one at a time. `like`: a file whose attribute +C it is given or relieved of, or
 * -1. It is gone when it is closed, after trial_unname(); also if a signal ends the process before that.
 */
struct trial_file trial_make(int directory, int like);

/* To be called after the last trial: on some file systems the file has had to keep a name until then. */
void trial_unname(void);

/* Whether what the descriptor leads to lies on a file server. */
bool trial_is_remote(int fd);

/* Whether the file has the attribute "no copy on write". */
bool trial_is_nocow(int fd);

struct trial {
    bool made;                   /* the step was made, or tried to be; else only judged */
    enum reason why;             /* REASON_NONE: the copy can begin */
    int error;                   /* the errno of the engine that was chosen and failed, or 0 */
    uint64_t bytes;              /* that the step brought into the file */
    bool fine_stamps;            /* nobody has to set the destination's times */
    const struct engine *engine; /* chosen, or NULL */
    struct file_pair pair;
};

/*
 * How the library judges a copy of the source into `destination`, the user's policy aside. `by_kernel`: the program
 * leaves the copying to the kernel, else it reads and writes. With `step` the destination is a file of trial_make(),
 * and the first step of the copy is made for real if all speaks for it and the source's times stay as they are;
 * without, it may be any file or directory of the file system.
 */
struct trial trial_run(int source, int destination, bool by_kernel, bool step);

#endif
