/*
 * A lock between threads whose holder is running, or waits in the kernel for a disk, a server or the filler: signals are blocked
 * while it is held, and what is done under it ends. Three states of a futex: 0 free, 1 taken, 2 taken and waited for
 * (U. Drepper, "Futexes Are Tricky", mutex2).
 */
#ifndef LIBOFFLOAD_LOCK_H
#define LIBOFFLOAD_LOCK_H

#include "syscalls.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>

/* Takes the lock if it is free. */
static inline bool lock_try(int *lock)
{
    int free = 0;
    return __atomic_compare_exchange_n(lock, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void lock_take(int *lock)
{
    if (lock_try(lock))
        return;
    while (__atomic_exchange_n(lock, 2, __ATOMIC_ACQUIRE) != 0)
        KERNEL(SYS_futex, lock, FUTEX_WAIT_PRIVATE, 2, NULL);
}

static inline void lock_give(int *lock)
{
    if (__atomic_exchange_n(lock, 0, __ATOMIC_RELEASE) == 2)
        KERNEL(SYS_futex, lock, FUTEX_WAKE_PRIVATE, INT_MAX);
}

#endif
