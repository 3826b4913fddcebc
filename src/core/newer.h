/*
 * What the kernel has and the headers of the machine that builds may not: glibc 2.28 knows the system calls of Linux 4.17 by
 * name, whatever the kernel's own headers are. All of these have the same numbers on x86-64 and arm64.
 */
#ifndef LIBOFFLOAD_NEWER_H
#define LIBOFFLOAD_NEWER_H

#include <sys/syscall.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* linux/close_range.h, of Linux 5.9 and 5.11. */
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

#endif
