/* Whether a file is one whose bytes a disk may copy behind its file system's back. */
#ifndef LIBOFFLOAD_SUITS_H
#define LIBOFFLOAD_SUITS_H

#include "../../core/reasons.h"

#include <stdbool.h>

/* Whether the process may have the disks asked at all: CAP_SYS_RAWIO, CAP_SYS_ADMIN, CAP_LEASE, CAP_FOWNER. */
bool suits_process(void);

/* Whether the process has one thread, by the kernel's word. */
bool suits_alone(void);

/* Whether there is room on the stack, of which all this takes 4 KiB and more: a signal handler's own may have two (sigaltstack(2)). */
bool suits_stack(void);

/* Where the kernel has a folder for each thread; another place in tests, whose runner has threads. */
extern const char *suits_threads;

/*
 * REASON_NONE if the file's blocks hold its bytes as they are, and it takes a write that leaves no trace but in its
 * bytes and times. Needs Linux 6.1.
 */
enum reason suits_source(int fd);
enum reason suits_destination(int fd);

/* REASON_NONE if the block device takes writes. */
enum reason suits_raw_destination(int fd);

#endif
