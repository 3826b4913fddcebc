/* The clock by which the library measures how long something took, and how long ago it was. */
#ifndef LIBOFFLOAD_CLOCK_H
#define LIBOFFLOAD_CLOCK_H

#include "syscalls.h"

#include <time.h>

/* Nanoseconds of a clock that only goes forward (CLOCK_MONOTONIC, clock_gettime(2)). Safe in any thread and signal handler. */
static inline long clock_ns(void)
{
    struct timespec now;
    KERNEL(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

#endif
