/* Holes: ranges of a file that read as zeros and have no blocks. */
#ifndef LIBOFFLOAD_HOLES_H
#define LIBOFFLOAD_HOLES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Whether the file system has given a block to that range of the file, written or not, or may have. What lies beyond the
 * file's end counts as well. Any descriptor will do (FIEMAP); nothing is written back.
 */
bool holes_has_blocks(int fd, off_t from, off_t end);

/*
 * Whether the program has been promised space in that range, which lies beyond the file's end: blocks that it has
 * allocated itself (fallocate(2), FALLOC_FL_KEEP_SIZE). fs_type: statfs(2) f_type.
 */
bool holes_are_promised(int fd, uint64_t fs_type, off_t from, off_t end);

/*
 * Whether the blocks that the range has, within the file, hold nothing and were not asked for: XFS gives a file with a hint
 * for its extents' size (FS_IOC_FSSETXATTR, which qemu-img sets) more than it needs. Needs Linux 6.5. fs_type as above.
 */
bool holes_are_unpromised(int fd, uint64_t fs_type, off_t from, off_t end);

/*
 * Makes that range of the file a hole, as if it had never been written to: whole blocks are given back, the rest of it
 * reads as zeros. False if the file system cannot. The file's size stays, its times are this moment's.
 */
bool holes_make(int fd, off_t from, off_t end);

#endif
