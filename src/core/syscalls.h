/*
 * System calls made by the library itself.
 *
 * The library never calls libc for them: a libc function would come back into our own hooks, set errno, and act on
 * a pending cancellation of the program's thread. These return the kernel's word: a result, or a negative errno.
 * They are safe in signal handlers, in a vfork child and before libc is initialised.
 */
#ifndef LIBOFFLOAD_SYSCALLS_H
#define LIBOFFLOAD_SYSCALLS_H

#include "newer.h"

#if defined(__clang_analyzer__)
/* clang's analyzer reads no assembly: what a call fills in would be garbage to it. */
long kernel_call(long number, ...);
#elif defined(__x86_64__)
/* syscall(2): number in rax, arguments in rdi rsi rdx r10 r8 r9; the instruction destroys rcx and r11. */
static inline long kernel_call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
/* syscall(2): number in x8, arguments in x0 to x5. */
static inline long kernel_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "liboffload knows the system calls of x86-64 and arm64 only"
#endif

_Static_assert(sizeof(long) == 8 && sizeof(void *) == 8, "offsets and pointers travel in a long");

#define KERNEL_PADDED(number, a, b, c, d, e, f, ...) \
    kernel_call((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* KERNEL(SYS_lseek, fd, 0, SEEK_CUR): a system call with up to six arguments, each an integer or a pointer. */
#define KERNEL(...) KERNEL_PADDED(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

#endif
