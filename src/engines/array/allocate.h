/*
 * Blocks that are written without having been: to a file system a block is unwritten until the file system itself has
 * written it, and reads as zeros whatever the disk has put there. FALLOC_FL_WRITE_ZEROES (Linux 6.17) gives blocks that
 * the disk fills with zeros by itself.
 */
#ifndef LIBOFFLOAD_ALLOCATE_H
#define LIBOFFLOAD_ALLOCATE_H

#include "../engine.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether it can be that the destination's device and kernel do so. Asks sysfs. */
bool allocate_may_work(const struct file_pair *pair);

/*
 * Gives n bytes of the destination from `at` on written blocks that hold zeros; the file ends behind them, or where it
 * ended before. False if that cannot be had.
 */
bool allocate_written(const struct file_pair *pair, uint64_t at, uint64_t n);

/* For tests: what makes the blocks in the kernel's place, which needs a kernel and a disk that can. */
extern bool (*allocate_instead)(int fd, uint64_t at, uint64_t n);

#endif
