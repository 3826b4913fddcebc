#include "unable.h"

struct unable {
    dev_t source, destination;
    enum reason why;
};

#define UNABLE 64

/* Filled from the start on. A pair that two threads write at once is lost, and found out again. */
static struct unable unable[UNABLE];
static unsigned count;

enum reason unable_why(dev_t source, dev_t destination)
{
    unsigned known = __atomic_load_n(&count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < known; i++)
        if (unable[i].source == source && unable[i].destination == destination)
            return unable[i].why;
    return REASON_NONE;
}

void unable_remember(dev_t source, dev_t destination, enum reason why)
{
    unsigned place = __atomic_load_n(&count, __ATOMIC_ACQUIRE);
    if (why == REASON_NONE || place >= UNABLE || unable_why(source, destination) != REASON_NONE)
        return;
    unable[place] = (struct unable){source, destination, why};
    __atomic_store_n(&count, place + 1, __ATOMIC_RELEASE);
}
