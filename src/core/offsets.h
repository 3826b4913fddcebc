/*
 * Offsets as the calls have them that take a pointer to one (sendfile(2), copy_file_range(2), splice(2)): in the program's
 * memory, which may not be there, for which the kernel has EFAULT; or the descriptor's own, where the pointer is NULL.
 */
#ifndef LIBOFFLOAD_OFFSETS_H
#define LIBOFFLOAD_OFFSETS_H

#include <stdbool.h>
#include <sys/types.h>

/* Reads the program's offset. False if that cannot be done, also under a seccomp filter. */
bool offsets_get(const off_t *pointer, off_t *offset);

/* Writes it. False, and nothing has changed, if that cannot be done. */
bool offsets_set(off_t *pointer, off_t offset);

/* Where one side of a call begins, or -1 if that cannot be told. */
off_t offsets_begin(int fd, const off_t *pointer);

/* Sets where it goes on. */
bool offsets_go_on(int fd, off_t *pointer, off_t offset);

#endif
