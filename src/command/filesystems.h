/* What each mounted file system can do for copies. */
#ifndef OFFLOAD_FILESYSTEMS_H
#define OFFLOAD_FILESYSTEMS_H

/*
 * Prints a line for each file system, however often it is mounted. Servers are not asked, and what is on a disk only
 * for a limited time.
 */
void filesystems_print(void);

#endif
