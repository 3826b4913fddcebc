/*
 * How the file system behind a descriptor was mounted. The kernel tells it without a file being opened, which would
 * take a descriptor's number of the program's.
 */
#ifndef LIBOFFLOAD_MOUNTOPTIONS_H
#define LIBOFFLOAD_MOUNTOPTIONS_H

#include <stdbool.h>

/*
 * Whether the mount has the option, as /proc/self/mountinfo shows it ("cache=none"), in *has. False if that cannot be
 * learned: statmount(2) tells options since Linux 6.11. Signal safe.
 */
bool mount_has_option(int fd, const char *option, bool *has);

#endif
