/*
 * What every file of hooks starts with: it names its family (#define FAMILY_FILEIO), includes this, and writes one
 * function for each CALL of the family:
 *
 *     EXPORT ssize_t write(int fd, const void *buf, size_t n)
 *     {
 *         if (copy_may_serve(fd, buf, n)) {
 *             cancellation_point();                   what libc's call would be
 *             if (copy_write(fd, buf, n))             the core has dealt with it
 *                 return (ssize_t)n;
 *         }
 *         bool counted = copy_writing(fd);
 *         return copy_wrote(fd, original_write(fd, buf, n), counted);  or the program's own call is made
 *     }
 *
 * A hook allocates nothing, leaves errno alone, and waits for nothing but another thread's hook (fork and exit for those of all
 * copies, others for those of the same files), what the copy itself waits for (a disk, a server), and who fills lazy buffers.
 */
#ifndef LIBOFFLOAD_HOOK_H
#define LIBOFFLOAD_HOOK_H

#include "../core/copy.h"
#include "originals.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/*
 * The family's twins: further names for the same code. Written as assembly, for C would compare the twin's declaration
 * in libc's headers (`struct stat64 *`) with ours (`struct stat *`), which on 64 bit systems differ only by name.
 */
#define CALL(returns, name, parameters, without)
#define HOOK_ONLY(name)
#define TWIN(twin, name) __asm__(".globl " #twin "\n\t.type " #twin ", %function\n\t.set " #twin ", " #name "\n");
#define HANDOVER(name)
#define ENDING(name) HANDOVER(name)
#define LENDING(name) HANDOVER(name)
#define CLONING(name) HANDOVER(name)
#define THREADING(name) HANDOVER(name)
#include "calls.def"
#undef CALL
#undef TWIN
#undef HANDOVER
#undef HOOK_ONLY
#undef ENDING
#undef LENDING
#undef CLONING
#undef THREADING

/* copy_file_range(2) as syscall(2) makes it, with its arguments (kernelcopy.c). */
long copy_range_by_number(const long arguments[6]) __attribute__((visibility("hidden")));

void pthread_testcancel(void) __attribute__((weak)); /* libc's since 2.34, libpthread's before */

/*
 * A read or write is a cancellation point (pthreads(7)). One that the core serves without a call to libc is made one
 * here, before anything has happened.
 */
static inline void cancellation_point(void)
{
    if (copy_watching() && pthread_testcancel)
        pthread_testcancel();
}

/*
 * libc is about to put `count` times `size` bytes where it was told that there is room for `room`. If that is too little, it
 * ends the process by an abort(3) of its own, which no hook sees (__fread_chk() and its kin in glibc's debug/): this is the
 * ENDING before it.
 */
static inline void before_room_check(size_t size, size_t count, size_t room)
{
    size_t n;
    if ((__builtin_mul_overflow(size, count, &n) || n > room) && copy_watching())
        copy_finish();
}

#endif
