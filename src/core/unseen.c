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

static unsigned number_of(dev_t device, ino_t inode)
{
    return (unsigned)((inode ^ device * 0x9E3779B97F4A7C15u) % FILES_TOLD_APART);
}

void unseen_add_file(dev_t device, ino_t inode)
{
    unsigned number = number_of(device, inode);
    __atomic_fetch_or(&mapped[number / 8], (uint8_t)(1 << number % 8), __ATOMIC_SEQ_CST);
}

bool unseen_may_be_mapped(dev_t device, ino_t inode)
{
    unsigned number = number_of(device, inode);
    return __atomic_load_n(&mapped[number / 8], __ATOMIC_SEQ_CST) >> number % 8 & 1;
}
