#include "unseen.h"

struct unseen_use streamed, several, mapped;

bool unseen_add(struct unseen_use *set, int fd)
{
    if (fd < 0)
        return false;
    if ((unsigned)fd < UNSEEN_RANGE)
        return __atomic_fetch_or(&set->held[fd / 8], (uint8_t)(1 << fd % 8), __ATOMIC_RELAXED) >> fd % 8 & 1;
    bool before = set->beyond;
    set->beyond = true;
    return before;
}

void unseen_remove_range(struct unseen_use *set, int first, int last)
{
    for (int fd = first < 0 ? 0 : first; fd <= last && fd < UNSEEN_RANGE; fd++)
        if (unseen_holds(set, fd))
            __atomic_fetch_and(&set->held[fd / 8], (uint8_t) ~(1 << fd % 8), __ATOMIC_RELAXED);
}
