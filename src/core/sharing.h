/* Blocks that two files have in common (FIEMAP, Documentation/filesystems/fiemap.rst). */
#ifndef LIBOFFLOAD_SHARING_H
#define LIBOFFLOAD_SHARING_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether n bytes from `from` on in one file, and from `to` on in the other, lie in the very same blocks, or in none on
 * either side. False where the file system does not say for certain. Any descriptors will do. What is dirty of the two is written back.
 */
bool sharing_all(int a, off_t from, int b, off_t to, off_t n);

#endif
