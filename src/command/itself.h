/* This executable: under which name it was started, and which other files are `offload` too. */
#ifndef OFFLOAD_ITSELF_H
#define OFFLOAD_ITSELF_H

#include <stdbool.h>

/* Whether the file is `offload`: this one, a link to one, or a copy under any name and of any version. */
bool itself_is(const char *path);

/* The last part of the name by which this executable was started, whatever argv[0] is. In memory that stays. */
const char *itself_called(char **argv);

#endif
