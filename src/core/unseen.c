#include "unseen.h"

struct unseen_use streamed, several;

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

#define FILES_TOLD_APART 32768
static uint8_t mapped[FILES_TOLD_APART / 8];
static bool all_mapped;
bool unseen_any_file;

void unseen_add_file(uint64_t number)
{
    unsigned place = (unsigned)(number % FILES_TOLD_APART);
    if (number)
        __atomic_fetch_or(&mapped[place / 8], (uint8_t)(1 << place % 8), __ATOMIC_SEQ_CST);
    else
        __atomic_store_n(&all_mapped, true, __ATOMIC_SEQ_CST);
    __atomic_store_n(&unseen_any_file, true, __ATOMIC_SEQ_CST);
    /* Who adds one looks next for copies that run ahead, who begins one looks here once it runs: one sees the other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool unseen_may_be_mapped(uint64_t number)
{
    unsigned place = (unsigned)(number % FILES_TOLD_APART);
    return !number || __atomic_load_n(&all_mapped, __ATOMIC_SEQ_CST) ||
           __atomic_load_n(&mapped[place / 8], __ATOMIC_SEQ_CST) >> place % 8 & 1;
}
