/* A run that is watched: its records are shown, drawn and counted, and told of at the end. */
#ifndef OFFLOAD_WATCH_H
#define OFFLOAD_WATCH_H

#include "options.h"

#include <stdbool.h>

struct watch {
    const struct options *options;
    bool always;         /* copies that are not wholly offloaded count as failures */
    const char *nothing; /* why nothing can be recognised, or NULL */
};

/* Runs the program under watch and ends the process as it ended. Where nothing can be watched, says so and runs it. */
_Noreturn void watch_run(const struct watch *watch, const char *path, char **argv);

#endif
