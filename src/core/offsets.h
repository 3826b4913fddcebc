/*
 * The offsets of descriptors, and those that a program has of its own, which some calls take a pointer to (sendfile(2),
 * copy_file_range(2), splice(2)): that may lead to no memory, for which the kernel has EFAULT, or be NULL for the descriptor's.
 */
#ifndef LIBOFFLOAD_OFFSETS_H
#define LIBOFFLOAD_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads the program's offset. False if that cannot be done, also under a seccomp filter. */
bool offsets_get(const off_t *pointer, off_t *offset);

/* Writes it. False, and nothing has changed, if that cannot be done. */
bool offsets_set(off_t *pointer, off_t offset);

/* Where one side of a call begins, or -1 if that cannot be told. */
off_t offsets_begin(int fd, const off_t *pointer);

/*
 * The kernel refuses what would end beyond the last offset that there can be, however little of it there is to copy
 * (rw_verify_area(), generic_copy_file_checks() in fs/read_write.c).
 */
static inline bool offsets_go_beyond(off_t at, size_t n)
{
    return n > INT64_MAX || at > INT64_MAX - (off_t)n;
}

/* Sets where it goes on. */
bool offsets_go_on(int fd, off_t *pointer, off_t offset);

/* Moves the offset of a descriptor that stood at `at` on by n bytes. False, and it has not moved, if it stood elsewhere. */
bool offsets_step_on(int fd, off_t at, size_t n);

#endif
