/* The library's file: where it is, whether it is of this version, and how it gets into LD_PRELOAD. */
#ifndef OFFLOAD_LIBRARY_H
#define OFFLOAD_LIBRARY_H

#include <stdbool.h>

/*
 * The path of the library that belongs to this command: beside this executable in a build tree, else where it was
 * installed with it, else where it was configured to be. In memory that stays. NULL, after a line to the user, if its
 * version is another; if there is none to be used, the process ends where the library is `needed`, else likewise.
 */
const char *library_to_load(bool needed);

/* Puts the library first in LD_PRELOAD, in place of any other liboffload.so, and keeps what else is there. */
void library_preload(const char *path);

#endif
