/* What the disks do not copy: read here, and written here. */
#ifndef LIBOFFLOAD_PLAINCOPY_H
#define LIBOFFLOAD_PLAINCOPY_H

#include <stdint.h>

/*
 * Copies n bytes between two places of two files through `room` bytes of memory, aligned to pages. 0, or a negative errno:
 * not all of them are there.
 */
int plain_copy(int source, uint64_t from, int destination, uint64_t to, uint64_t n, char *memory, uint64_t room);

#endif
