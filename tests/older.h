/*
 * What the tests use of libc and of the kernel, where the headers of the machine that builds are older: a call of libc that is
 * not there yet is made by number, as programs for such a libc do.
 */
#ifndef OFFLOAD_TESTS_OLDER_H
#define OFFLOAD_TESTS_OLDER_H

#include "../src/core/newer.h"

#include <elf.h>
#include <features.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#if !__GLIBC_PREREQ(2, 32)
static inline const char *strerrorname_np(int error)
{
    return strerror(error);
}
#endif

#if !__GLIBC_PREREQ(2, 34)
static inline int close_range(unsigned first, unsigned last, int flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

static inline void closefrom(int first)
{
    syscall(SYS_close_range, first, ~0U, 0);
}
#endif

#if __GLIBC_PREREQ(2, 36)
#include <sys/pidfd.h>
#else
static inline int pidfd_open(int pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static inline int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
    return (int)syscall(SYS_pidfd_getfd, pidfd, fd, flags);
}
#endif

#endif
