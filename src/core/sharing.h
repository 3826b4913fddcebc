/* Blocks that two files have in common (FIEMAP, Documentation/filesystems/fiemap.rst). */
#ifndef LIBOFFLOAD_SHARING_H
#define LIBOFFLOAD_SHARING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What a file has from a place on: a hole, or blocks that lie one behind the other, of so many bytes. Blocks that were never written
 * read as zeros: a clone has a hole in their place (XFS), or has them too (Btrfs).
 */
struct stretch {
    uint64_t n;
    uint64_t place; /* of the first byte, on the device; of a hole, none */
    bool is_hole;
    bool unwritten;
};

/*
 * What the file has from `at` on, looked for in n bytes. False where the file system does not say for certain. Any
 * descriptor will do. What is dirty there is written back.
 */
bool sharing_stretch(int fd, off_t at, off_t n, struct stretch *stretch);

/* Whether n bytes of a clone from `from` on lie where the stretch has them, the first of which is its own. As above. */
bool sharing_lies_in(int fd, off_t from, off_t n, struct stretch stretch);

/*
 * Whether n bytes from `from` on in one file, and from `to` on in its clone, lie in the very same blocks, or in none on
 * either side. False where the file system does not say for certain. Any descriptors will do. What is dirty of the two is written back.
 */
bool sharing_all(int source, off_t from, int clone, off_t to, off_t n);

#endif
