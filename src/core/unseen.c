#include "unseen.h"

#include "syscalls.h"

struct unseen_use streamed, mapped;

void unseen_add(struct unseen_use *set, int fd)
{
    if (fd < 0)
        return;
    if (fd >= UNSEEN_RANGE)
        set->beyond = true;
    else
        __atomic_fetch_or(&set->held[fd / 8], (uint8_t)(1 << fd % 8), __ATOMIC_RELAXED);
}

static long owner; /* a pid; a fork's child keeps what it inherited, too */

void unseen_start(void)
{
    owner = KERNEL(SYS_getpid);
}

void unseen_remove_range(struct unseen_use *set, int first, int last)
{
    if (owner && KERNEL(SYS_getpid) != owner)
        return;
    for (int fd = first < 0 ? 0 : first; fd <= last && fd < UNSEEN_RANGE; fd++)
        if (unseen_holds(set, fd))
            __atomic_fetch_and(&set->held[fd / 8], (uint8_t) ~(1 << fd % 8), __ATOMIC_RELAXED);
}
